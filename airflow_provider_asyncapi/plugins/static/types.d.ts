/** The shapes of what the server answers (plugins/jobs.py), and of what modules share. */

import type { ReactNode } from "react";

export type Group = "waiting" | "failed" | "done";

export type Level = "ok" | "warning" | "critical";

export type Reason = {
  code: string;
  message: string;
  /** The time since which it is so, for those that have one. */
  since: string | null;
};

export type Job = {
  dag_id: string;
  run_id: string;
  task_id: string;
  /** -1 if the task isn't mapped. */
  map_index: number;
  try_number: number;
  kind: "wait" | "submit";
  state: string | null;
  group: Group;
  health: { level: Level; reasons: Reason[] };
  conn_id: string | null;
  identifier: string | null;
  status: string | null;
  /** From 0 to 1. */
  progress: number | null;
  submitted_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  /** Seconds to the end, or to now. */
  duration: number | null;
  deadline: string | null;
  warned_at: string | null;
  polls: number | null;
  /** Whether some of the polls are counted by the interval. */
  has_estimated_polls: boolean;
  last_polled: string | null;
  next_poll: string | null;
  /** Whether the next poll may be earlier than `next_poll`. */
  is_next_poll_latest: boolean;
  next_poll_reason: string | null;
  delay: { seconds: number; reason: string } | null;
  error: string | null;
  attempt: number;
  last_failure: string | null;
  url: string | null;
};

export type Jobs = { jobs: Job[]; total: number; groups: Record<Group, number>; now: string };

/** The ids that Airflow passes if the page is a tab of a DAG or of a task instance. */
export type PageProps = { dagId?: string; runId?: string; taskId?: string; mapIndex?: number | string };

/** The filters, the order and the page, as the page's URL has them. */
export type View = {
  /** What rows are grouped by: empty, `run` or `connection`. */
  by: string;
  connection: string;
  dag: string;
  /** The job of the view of one job, as `formatJobKey` writes it; empty for the list. */
  details: string;
  group: string;
  health: string;
  hours: string;
  offset: number;
  order: string;
  search: string;
  state: string;
};

/** Change some of the view; the list then begins at its first page. */
export type ChangeView = (changes: Partial<View>) => void;

export type Column = {
  label: string;
  /** Whether the table lacks it until the user chooses it. */
  isOptional?: boolean;
  /** What the header shows in place of the label. */
  header?: ReactNode;
  /** What an exported file has of this column: the server's names. */
  fields?: string[];
  /** The server's name for the order by this column, if there is one. */
  order?: string;
  /** Where the content goes if the table has no room for the column. */
  fold?: {
    /** The label of another column, below whose content it is shown. */
    into: string;
    /** What is shown there, if that isn't the same; nothing for null. */
    show?: (job: Job) => ReactNode;
  };
  /** The content for a job; the same function for as long as it shows the same. */
  show: (job: Job) => ReactNode;
};

/** A column with those that are folded into it. */
export type Folded = Column & { folded: Column[] };

export type TimelineEntry = {
  at: string;
  kind: string;
  message: string;
  status: string | null;
  progress: number | null;
};

/** plugins/details_models.py */
export type JobDetails = {
  job: Job;
  timeline: TimelineEntry[];
  left_out: number;
  last_response: {
    at: string | null;
    request: string | null;
    status_code: number | null;
    content_type: string | null;
    text: string;
  } | null;
  result: {
    at: string | null;
    rows: number | null;
    bytes: number | null;
    files: string[];
    file_count: number;
  } | null;
  now: string;
};

/** plugins/overview.py */
export type ConnectionOverview = {
  conn_id: string | null;
  waiting: number;
  at_risk: number;
  failed: number;
  done: number;
  error_rate: number | null;
  rate_limited: number;
  rate_limited_since: string | null;
  rate_limited_until: string | null;
  last_success: string | null;
  median_duration: number | null;
};

export type Overview = { connections: ConnectionOverview[]; now: string };
export type ActionName = "cancel" | "poll" | "submit_again";

export type ActionRequest = { action: ActionName; jobs: Job[] };

export type ActionResult = { ok: boolean; message: string };
