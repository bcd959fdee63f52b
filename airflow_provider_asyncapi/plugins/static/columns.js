/** The columns of the table of jobs. */

import { Box, h, Text } from "./airflow.js";
import {
  Folded,
  HealthBadge,
  isAmongReasons,
  Moment,
  ProgressBar,
  Reasons,
  StateBadge,
  wrapName,
  Wrapped,
} from "./cells.js";
import { Ticking } from "./clock.js";
import { formatDuration, formatMoment, formatSince, formatUntil } from "./format.js";
import { dagPath, DetailsLink, InnerLink, OuterLink, runPath, taskPath } from "./links.js";

/** @typedef {import("./types.d.ts").Column} Column */
/** @typedef {import("./types.d.ts").Job} Job */

const MUTED = { color: "fg.muted", fontSize: "sm" };

/**
 * Return the name of a task, with its map index if it has one.
 *
 * @param {Pick<Job, "task_id" | "map_index">} job - what the task waits for
 * @returns {string} such as `wait [2]`
 */
export const nameTask = ({ map_index, task_id }) => (map_index < 0 ? task_id : `${task_id} [${map_index}]`);

/** @type {Column["show"]} */
const showIdentifier = ({ identifier, url }) =>
  h(
    Wrapped,
    // A long identifier gets a minimum width before other columns take it.
    { fontFamily: "mono", fontSize: "xs", minW: `min(${(identifier ?? "").length}ch, 7rem)` },
    url === null
      ? wrapName(identifier ?? "–")
      : h(
          OuterLink,
          { "aria-label": `${identifier}, opens the job's page at the vendor`, href: url },
          wrapName(identifier ?? "job"),
          " ↗",
        ),
  );

/** @type {Column["show"]} */
const showStatus = ({ attempt, error, health, kind, last_failure, status }) =>
  h(
    Wrapped,
    { maxW: "18rem" },
    attempt === 1
      ? null
      : h(
          Text,
          { ...MUTED, title: `Attempt ${attempt - 1} has failed: ${last_failure ?? "no message"}` },
          `attempt ${attempt}`,
        ),
    kind === "submit" ? "submit failed" : (status ?? (error === null ? "–" : null)),
    h(Reasons, { health }),
    error === null || isAmongReasons(error, health) ? null : h(Folded, { color: "red.fg", text: error }),
  );

/**
 * Show how long a job has taken, and how long it may take.
 *
 * @type {Column["show"]}
 */
const showTime = ({ deadline, duration, ended_at, group, started_at, submitted_at, warned_at }) => {
  const began = submitted_at ?? started_at;
  if (group !== "waiting") {
    return h(
      Box,
      { whiteSpace: "nowrap" },
      duration === null ? "–" : formatDuration(duration * 1000),
      h(Text, MUTED, h(Moment, { moment: ended_at })),
    );
  }
  return h(
    Box,
    { whiteSpace: "nowrap" },
    h(Text, { title: formatMoment(began) }, h(Ticking, { write: (now) => formatSince(began, now) })),
    deadline === null
      ? null
      : h(
          Text,
          { ...MUTED, title: `Deadline: ${formatMoment(deadline)}` },
          h(Ticking, {
            write: (now) => (new Date(deadline).getTime() > now ? `${formatUntil(deadline, now, "")} left` : "expired"),
          }),
        ),
    warned_at === null
      ? null
      : h(
          Text,
          { color: "orange.fg", fontSize: "sm", title: `Longer than warn_after since ${formatMoment(warned_at)}` },
          "longer than expected",
        ),
  );
};

/**
 * Write the number of polls.
 *
 * @param {Pick<Job, "has_estimated_polls" | "polls">} job - the job
 * @returns {string} such as `about 24 polls`
 */
export const countPolls = ({ has_estimated_polls, polls }) =>
  `${has_estimated_polls ? "about " : ""}${polls} ${polls === 1 ? "poll" : "polls"}`;

/**
 * Show when the API was and will be asked.
 *
 * @type {Column["show"]}
 */
const showPolls = (job) => {
  const { delay, group, is_next_poll_latest, last_polled, next_poll, next_poll_reason, polls } = job;
  return h(
    Box,
    null,
    group === "waiting" && next_poll !== null
      ? h(
          Text,
          { title: [formatMoment(next_poll), next_poll_reason].filter(Boolean).join(": "), whiteSpace: "nowrap" },
          h(Ticking, {
            write: (now) =>
              new Date(next_poll).getTime() > now
                ? `next ${is_next_poll_latest ? "within" : "in"} ${formatUntil(next_poll, now, "")}`
                : "next now",
          }),
        )
      : null,
    last_polled === null
      ? null
      : h(
          Text,
          { ...MUTED, title: formatMoment(last_polled), whiteSpace: "nowrap" },
          h(Ticking, { write: (now) => `last ${formatSince(last_polled, now)} ago` }),
        ),
    polls === null ? null : h(Text, { ...MUTED, whiteSpace: "nowrap" }, countPolls(job)),
    delay === null
      ? null
      : h(
          Text,
          { color: "orange.fg", fontSize: "sm", title: "Polls are later than poke_interval." },
          `${formatDuration(delay.seconds * 1000)} late (${delay.reason})`,
        ),
  );
};

/** @type {Column["show"]} */
const showProgress = ({ identifier, progress }) =>
  h(ProgressBar, { label: `Progress of job ${identifier}`, value: progress });

/** @type {Column["show"]} */
const showDag = ({ dag_id }) =>
  h(Wrapped, null, h(InnerLink, { "aria-label": dag_id, to: dagPath(dag_id) }, wrapName(dag_id)));

/** @type {Column["show"]} */
const showRun = (job) =>
  h(Wrapped, { fontSize: "sm" }, h(InnerLink, { "aria-label": job.run_id, to: runPath(job) }, wrapName(job.run_id)));

/** @type {Column["show"]} */
const showTask = (job) =>
  h(Wrapped, null, h(InnerLink, { "aria-label": nameTask(job), to: taskPath(job) }, wrapName(nameTask(job))));

/**
 * Label, sort order and content of each column.
 *
 * @type {import("./types.d.ts").Column[]}
 */
export const COLUMNS = [
  {
    label: "State",
    fields: ["state", "health"],
    order: "state",
    show: ({ health, state }) => h(Box, null, h(StateBadge, { state }), h(Box, null, h(HealthBadge, health))),
  },
  { label: "Job", fields: ["identifier", "url"], order: "identifier", show: showIdentifier },
  {
    label: "Status",
    fields: ["status", "reasons", "error", "attempt", "last_failure"],
    order: "status",
    show: showStatus,
  },
  {
    label: "Progress",
    fields: ["progress"],
    order: "progress",
    show: showProgress,
    fold: { into: "Status", show: (job) => (job.progress === null ? null : showProgress(job)) },
  },
  {
    label: "Task",
    fields: ["dag_id", "run_id", "task_id", "map_index", "try_number"],
    order: "task_id",
    show: (job) => h(Box, { minW: "9rem" }, showDag(job), showRun(job), showTask(job)),
  },
  {
    label: "Connection",
    fields: ["conn_id"],
    order: "conn_id",
    show: ({ conn_id }) => h(Wrapped, null, conn_id === null ? "–" : wrapName(conn_id)),
    fold: {
      into: "Task",
      show: ({ conn_id }) =>
        conn_id === null ? null : h(Wrapped, { ...MUTED, title: "Connection" }, wrapName(conn_id)),
    },
  },
  {
    label: "Time",
    fields: ["submitted_at", "started_at", "ended_at", "duration", "deadline", "warned_at"],
    order: "started_at",
    show: showTime,
    fold: { into: "Status" },
  },
  { label: "Polls", fields: ["polls", "last_polled", "next_poll", "delay"], show: showPolls, fold: { into: "Time" } },
  // The column of tasks has both, too.
  {
    isOptional: true,
    label: "Dag",
    fields: ["dag_id"],
    order: "dag_id",
    show: showDag,
    fold: { into: "Task", show: () => null },
  },
  {
    isOptional: true,
    label: "Dag Run",
    fields: ["run_id"],
    order: "run_id",
    show: showRun,
    fold: { into: "Task", show: () => null },
  },
  {
    isOptional: true,
    label: "Deadline",
    fields: ["deadline"],
    order: "deadline",
    show: ({ deadline }) => h(Box, { whiteSpace: "nowrap" }, h(Moment, { moment: deadline })),
    fold: {
      into: "Time",
      show: ({ deadline }) => deadline && h(Text, MUTED, "deadline ", h(Moment, { moment: deadline })),
    },
  },
  {
    isOptional: true,
    label: "Submitted",
    fields: ["submitted_at"],
    show: ({ submitted_at }) => h(Box, { whiteSpace: "nowrap" }, h(Moment, { moment: submitted_at })),
    fold: {
      into: "Time",
      show: ({ submitted_at }) => submitted_at && h(Text, MUTED, "submitted ", h(Moment, { moment: submitted_at })),
    },
  },
  {
    label: "More",
    fold: { into: "Job" },
    // Airflow opens the page of a task instance with its log.
    show: (job) =>
      h(
        Box,
        null,
        h(DetailsLink, { "aria-label": `Details of ${nameTask(job)}`, job }, "Details"),
        h("br"),
        h(
          InnerLink,
          { "aria-label": `Log of ${nameTask(job)}`, to: `${taskPath(job)}?try_number=${job.try_number}` },
          "Log",
        ),
      ),
  },
];

/** The labels of the columns that give way in a narrow window, the first ones first. */
const FOLD_ORDER = ["Submitted", "Deadline", "Dag Run", "Dag", "Polls", "Connection", "Progress", "More", "Time"];

/**
 * Fold columns into others, so that the table gets narrower and still shows everything.
 *
 * @param {Column[]} columns - the columns of the table
 * @param {number} count - the number of columns to fold; fewer are if no others can be
 * @returns {import("./types.d.ts").Folded[]} the columns that are left
 */
export const foldColumns = (columns, count) => {
  const left = columns.map((column) => ({ ...column, folded: /** @type {Column[]} */ ([]) }));
  for (const label of FOLD_ORDER) {
    const index = left.findIndex((column) => column.label === label);
    const column = left[index];
    const host = left.find((other) => other.label === column?.fold?.into);
    if (column !== undefined && host !== undefined && columns.length - left.length < count) {
      host.folded.push(column, ...column.folded);
      left.splice(index, 1);
    }
  }
  return left;
};

/** The key of the user's choice in the browser's storage. */
const CHOICE_KEY = "asyncapi_columns";

/**
 * Return the labels of the columns that the user has chosen.
 *
 * @returns {Set<string>} those that aren't optional, unless the user has chosen others
 */
export const readChosenColumns = () => {
  try {
    const chosen = JSON.parse(localStorage.getItem(CHOICE_KEY) ?? "");
    const known = COLUMNS.filter(({ label }) => Array.isArray(chosen) && chosen.includes(label));
    if (known.length > 0) {
      return new Set(known.map(({ label }) => label));
    }
  } catch {
    // Nothing was chosen yet, or something else has written there.
  }
  return new Set(COLUMNS.filter(({ isOptional }) => !isOptional).map(({ label }) => label));
};

/**
 * Store which columns the user has chosen.
 *
 * @param {Set<string>} chosen - their labels
 * @returns {void} nothing
 */
export const storeChosenColumns = (chosen) => {
  try {
    localStorage.setItem(CHOICE_KEY, JSON.stringify([...chosen]));
  } catch {
    // The browser stores nothing for this page: the choice lasts until it is loaded again.
  }
};

/**
 * Return the fields of an exported file that has what the table shows.
 *
 * @param {Column[]} columns - the columns of the table
 * @returns {string[]} the server's names, each once, in the order of the columns
 */
export const listFields = (columns) => [...new Set(columns.flatMap(({ fields }) => fields ?? []))];
