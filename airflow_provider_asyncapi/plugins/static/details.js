/** The view of one job: what it is, what has happened to it, and what the API has said. */

import { RowMenu, useActions } from "./action_controls.js";
import { Badge, Box, Code, Flex, h, Heading, Spinner, Text } from "./airflow.js";
import { HealthBadge, isAmongReasons, Moment, ProgressBar, Reasons, StateBadge, wrapName } from "./cells.js";
import { Ticking } from "./clock.js";
import { nameTask } from "./columns.js";
import { formatBytes, formatDuration, formatUntil } from "./format.js";
import { dagPath, InnerLink, OuterLink, runPath, taskPath } from "./links.js";
import { Problem } from "./problem.js";
import { urlOf, useAnswer } from "./server.js";
import { encodeQuery } from "./view.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("react").ReactNode} ReactNode */
/** @typedef {import("./types.d.ts").Job} Job */
/** @typedef {import("./types.d.ts").JobDetails} JobDetails */
/** @typedef {import("./types.d.ts").TimelineEntry} TimelineEntry */

/** Colours of the kinds of entries that need attention; others are grey. */
const PALETTES = new Map([
  ["error", "red"],
  ["failed", "red"],
  ["cancelled", "orange"],
  ["deadline", "red"],
  ["stalled", "red"],
  ["late_wait", "orange"],
  ["status_missing", "orange"],
  ["unknown_status", "orange"],
  ["callback", "blue"],
  ["fetched", "green"],
  ["recovered", "green"],
]);

/**
 * Return what is known of a job, as pairs of a name and a value.
 *
 * @param {Job} job - the job
 * @returns {[string, ReactNode][]} those that have a value, in the order to show
 */
const listFacts = (job) => {
  /** @type {[string, ReactNode][]} */
  const facts = [
    ["Status", job.status],
    ["Progress", job.progress === null ? null : h(ProgressBar, { label: "Progress", value: job.progress })],
    ["Connection", job.conn_id],
    ["Dag", h(InnerLink, { "aria-label": job.dag_id, to: dagPath(job.dag_id) }, wrapName(job.dag_id))],
    ["Dag Run", h(InnerLink, { "aria-label": job.run_id, to: runPath(job) }, wrapName(job.run_id))],
    ["Task", h(InnerLink, { "aria-label": nameTask(job), to: taskPath(job) }, wrapName(nameTask(job)))],
    ["Log", h(InnerLink, { to: `${taskPath(job)}?try_number=${job.try_number}` }, `Log of try ${job.try_number}`)],
    ["Attempt", job.attempt === 1 ? null : String(job.attempt)],
    ["Submitted", job.submitted_at && h(Moment, { moment: job.submitted_at })],
    [job.kind === "submit" ? "Began" : "Waiting since", job.started_at && h(Moment, { moment: job.started_at })],
    ["Ended", job.group === "waiting" ? null : h(Moment, { moment: job.ended_at })],
    ["Duration", job.duration === null ? null : formatDuration(job.duration * 1000)],
    ["Deadline", job.deadline && h(Moment, { moment: job.deadline })],
    ["Polls", job.polls === null ? null : `${job.has_estimated_polls ? "about " : ""}${job.polls}`],
    ["Last polled", job.last_polled && h(Moment, { moment: job.last_polled })],
  ];
  if (job.group === "waiting" && job.next_poll !== null) {
    const reason = job.next_poll_reason === null ? "" : ` (${job.next_poll_reason})`;
    const write = (/** @type {number} */ now) => {
      const left = formatUntil(job.next_poll, now, "");
      return (left === "" ? "now" : `${job.is_next_poll_latest ? "within " : ""}${left}`) + reason;
    };
    facts.push(["Next poll", h(Ticking, { write })]);
  }
  return facts.filter(([, value]) => value !== null && value !== "");
};

/**
 * Show pairs of a name and a value in columns.
 *
 * @param {{ facts: [string, ReactNode][] }} props - what to show
 * @returns {ReactElement} a list of descriptions
 */
const Facts = ({ facts }) =>
  h(
    Box,
    { as: "dl", display: "grid", gap: 3, gridTemplateColumns: "repeat(auto-fill, minmax(13rem, 1fr))" },
    facts.map(([name, value]) =>
      h(
        Box,
        { key: name, minW: 0, overflowWrap: "break-word" },
        h(Box, { as: "dt", color: "fg.muted", fontSize: "sm" }, name),
        h("dd", null, value),
      ),
    ),
  );

/**
 * Show what has happened to a job.
 *
 * @param {{ entries: TimelineEntry[], leftOut: number }} props - the oldest first, and how many weren't kept
 * @returns {ReactElement} a list
 */
const Timeline = ({ entries, leftOut }) =>
  h(
    Box,
    null,
    leftOut === 0 ? null : h(Text, { color: "fg.muted", fontSize: "sm" }, `${leftOut} entries weren't kept.`),
    h(
      Box,
      { "aria-label": "Timeline", as: "ol", borderStartWidth: 2, listStyle: "none", ps: 4 },
      entries.map(({ at, kind, message, progress, status }, index) =>
        h(
          Flex,
          { alignItems: "baseline", as: "li", gap: 3, key: `${at} ${index}`, py: 1, wrap: "wrap" },
          h(Box, { color: "fg.muted", fontSize: "sm", whiteSpace: "nowrap" }, h(Moment, { moment: at })),
          h(Badge, { colorPalette: PALETTES.get(kind) ?? "gray" }, kind.replaceAll("_", " ")),
          status === null ? null : h(Text, { fontWeight: "bold" }, status),
          progress === null ? null : h(Text, null, `${Math.floor(progress * 100)}%`),
          message === "" ? null : h(Text, { minW: 0, overflowWrap: "anywhere" }, message),
        ),
      ),
    ),
  );

/**
 * Show what was fetched.
 *
 * @param {{ result: NonNullable<JobDetails["result"]> }} props - its size and files
 * @returns {ReactElement} a text and a list
 */
const Result = ({ result: { bytes, file_count, files, rows } }) =>
  h(
    Box,
    null,
    [
      rows === null ? null : `${rows} ${rows === 1 ? "row" : "rows"}`,
      bytes === null ? null : formatBytes(bytes),
      file_count === 0 ? null : `${file_count} ${file_count === 1 ? "file" : "files"}`,
    ]
      .filter((each) => each !== null)
      .join(", "),
    h(
      Box,
      { as: "ul", fontFamily: "mono", fontSize: "sm", listStyle: "none", overflowWrap: "anywhere" },
      files.map((name) => h("li", { key: name }, name)),
      file_count > files.length ? h("li", { key: "" }, `and ${file_count - files.length} more`) : null,
    ),
  );

/**
 * Show the last response that has told something new; the server has masked and cut it.
 *
 * @param {{ response: NonNullable<JobDetails["last_response"]> }} props - the response
 * @returns {ReactElement} its head and its body
 */
const LastResponse = ({ response: { at, content_type, request, status_code, text } }) =>
  h(
    Box,
    null,
    h(
      Flex,
      { color: "fg.muted", columnGap: 3, fontSize: "sm", wrap: "wrap" },
      h(Box, { minW: 0, overflowWrap: "anywhere" }, request),
      status_code === null ? null : h(Box, null, `answered ${status_code}`),
      h(Box, null, content_type),
      h(Moment, { moment: at }),
    ),
    h(
      Code,
      {
        "aria-label": "Body of the last response",
        as: "pre",
        display: "block",
        maxH: "20rem",
        overflow: "auto",
        p: 2,
        role: "region",
        tabIndex: 0,
        whiteSpace: "pre-wrap",
        wordBreak: "break-word",
      },
      text,
    ),
  );

/**
 * Show a part of the view.
 *
 * @param {{ children?: ReactNode, title: string }} props - its heading and content
 * @returns {ReactElement} a section
 */
const Section = ({ children, title }) =>
  h(Box, { as: "section" }, h(Heading, { as: "h3", mb: 1, size: "sm" }, title), children);

/**
 * Show one job.
 *
 * @param {{ isTab?: boolean, place: import("./types.d.ts").PageProps }} props - the task instance that waits for it, and
 *   whether the view is a tab of its page, which Airflow shows for the tasks of all operators
 * @returns {ReactElement} the view
 */
export const DetailsView = ({ isTab = false, place: { dagId, mapIndex, runId, taskId } }) => {
  const query = encodeQuery({ dag_id: dagId, map_index: mapIndex ?? -1, run_id: runId, task_id: taskId });
  const answer = useAnswer(urlOf("jobs/details", query.toString()).href);
  const details = /** @type {JobDetails | undefined} */ (answer.data);
  const actions = useActions(details === undefined ? [] : [details.job]);
  if (details === undefined && isTab && answer.isMissing) {
    return h(Text, { color: "fg.muted" }, "This task waits for no remote job.");
  }
  if (details === undefined) {
    return answer.error === undefined
      ? h(Flex, { justifyContent: "center", py: 10 }, h(Spinner, { "aria-label": "Loading" }))
      : h(Problem, { message: answer.error });
  }
  const { job, last_response, left_out, result, timeline } = details;
  const name = job.identifier ?? nameTask(job);
  return h(
    Flex,
    { direction: "column", gap: 4 },
    answer.error === undefined ? null : h(Problem, { message: answer.error }),
    h(
      Flex,
      { alignItems: "center", columnGap: 3, rowGap: 1, wrap: "wrap" },
      h(Heading, { as: "h2", minW: 0, overflowWrap: "anywhere", size: "md" }, name),
      h(StateBadge, { state: job.state }),
      h(HealthBadge, job.health),
      job.url === null ? null : h(OuterLink, { href: job.url }, "Open at the vendor ↗"),
      actions.editable.has(job.dag_id) ? h(RowMenu, { job, onAct: actions.onAct }) : null,
    ),
    actions.dialog,
    actions.notice,
    h(Reasons, { health: job.health }),
    job.error === null || isAmongReasons(job.error, job.health)
      ? null
      : h(Text, { color: "red.fg", overflowWrap: "anywhere" }, job.error),
    h(Facts, { facts: listFacts(job) }),
    h(Section, { title: "Timeline" }, h(Timeline, { entries: timeline, leftOut: left_out })),
    result === null ? null : h(Section, { title: "Result" }, h(Result, { result })),
    last_response === null
      ? null
      : h(Section, { title: "Last response with news" }, h(LastResponse, { response: last_response })),
  );
};
