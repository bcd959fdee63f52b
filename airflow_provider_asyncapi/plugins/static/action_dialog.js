/** The dialog that asks before an action, and shows its results. */

import { ACTIONS, actOn, countMessages, keyOf } from "./actions.js";
import {
  Alert,
  Badge,
  Box,
  Button,
  Dialog,
  h,
  HStack,
  Portal,
  Progress,
  Text,
  useEffect,
  useRef,
  useState,
} from "./airflow.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ActionResult} ActionResult */
/** @typedef {import("./types.d.ts").Job} Job */

/** Number of jobs, and of different messages, that the dialog lists. */
const LISTED = 8;

/**
 * @param {number} number - how many jobs
 * @returns {string} their number in words
 */
const countJobs = (number) => (number === 1 ? "1 job" : `${number.toLocaleString()} jobs`);

/**
 * List the jobs that an action is about.
 *
 * @param {{ jobs: Job[] }} props - any number of jobs
 * @returns {ReactElement} a list of the first ones
 */
const JobList = ({ jobs }) =>
  h(
    Box,
    { as: "ul", color: "fg.muted", fontSize: "sm", listStyleType: "disc", overflowWrap: "anywhere", ps: 5 },
    jobs
      .slice(0, LISTED)
      .map((job) =>
        h("li", { key: keyOf(job) }, `${job.identifier ?? "no identifier"} (${job.task_id}, ${job.run_id})`),
      ),
    jobs.length > LISTED ? h("li", null, `and ${(jobs.length - LISTED).toLocaleString()} more`) : null,
  );

/**
 * Show what has become of the jobs.
 *
 * @param {{ done: string, results: ActionResult[] }} props - the word for a success, and the results so far
 * @returns {ReactElement} each different message once, which screen readers announce
 */
const ResultList = ({ done, results }) => {
  const messages = countMessages(results);
  return h(
    Box,
    { "aria-live": "polite", display: "flex", flexDirection: "column", gap: 2 },
    messages
      .slice(0, LISTED)
      .map(({ count, message, ok }) =>
        h(
          HStack,
          { alignItems: "flex-start", gap: 2, key: `${ok} ${message}` },
          h(
            Badge,
            { colorPalette: ok ? "success" : "failed", flexShrink: 0, variant: "solid" },
            ok ? done : "not done",
          ),
          h(
            Text,
            { fontSize: "sm", overflowWrap: "anywhere" },
            results.length === 1 ? message : `${countJobs(count)}: ${message}`,
          ),
        ),
      ),
    messages.length > LISTED
      ? h(Text, { color: "fg.muted", fontSize: "sm" }, `and ${messages.length - LISTED} other messages`)
      : null,
  );
};

/**
 * Ask whether to act, act, and show the results.
 *
 * @param {{ findOpener?: () => HTMLElement | null, request: import("./types.d.ts").ActionRequest,
 *   onClose: (hasActed: boolean) => void }} props - what gets the focus afterwards, the action and its jobs
 * @returns {ReactElement} a dialog over the page
 */
export const ActionDialog = ({ findOpener, request: { action, jobs }, onClose }) => {
  const { confirm, consequence, done, label } = ACTIONS[action];
  const [phase, setPhase] = useState(/** @type {"asking" | "acting" | "stopping" | "done"} */ ("asking"));
  const [results, setResults] = useState(/** @type {ActionResult[]} */ ([]));
  const [error, setError] = useState(/** @type {string | undefined} */ (undefined));
  const [abort] = useState(() => new AbortController());
  const harmless = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useEffect(() => () => abort.abort(), [abort]);

  const act = async () => {
    setPhase("acting");
    try {
      await actOn(action, jobs, setResults, abort.signal);
    } catch (problem) {
      // The results of the requests before are true all the same.
      setError(problem instanceof Error ? problem.message : String(problem));
    }
    setPhase("done");
  };
  const close = () => {
    if (phase === "acting") {
      setPhase("stopping");
      abort.abort();
    } else if (phase !== "stopping") {
      onClose(phase === "done");
    }
  };
  const isActing = phase === "acting" || phase === "stopping";
  const untouched = jobs.length - results.length;

  return h(Dialog.Root, {
    // Its type requires the children among the properties.
    children: h(
      Portal,
      null,
      h(Dialog.Backdrop),
      h(
        Dialog.Positioner,
        null,
        h(
          Dialog.Content,
          null,
          h(Dialog.Header, null, h(Dialog.Title, null, `${label}: ${countJobs(jobs.length)}`)),
          h(
            Dialog.Body,
            { display: "flex", flexDirection: "column", gap: 3 },
            phase === "asking" ? h(Dialog.Description, null, consequence) : null,
            phase === "asking" ? h(JobList, { jobs }) : h(ResultList, { done, results }),
            isActing
              ? h(
                  Progress.Root,
                  {
                    "aria-label": "Jobs that were acted on",
                    max: jobs.length,
                    size: "sm",
                    value: results.length,
                  },
                  h(Progress.Track, null, h(Progress.Range)),
                )
              : null,
            error === undefined
              ? null
              : h(
                  Alert.Root,
                  { role: "alert", status: "error" },
                  h(Alert.Indicator),
                  h(Alert.Content, null, h(Alert.Description, null, error)),
                ),
            phase === "done" && untouched > 0
              ? h(Text, { fontSize: "sm" }, `Nothing is known to have been done about ${countJobs(untouched)}.`)
              : null,
          ),
          h(
            Dialog.Footer,
            null,
            h(
              Button,
              { disabled: phase === "stopping", onClick: close, ref: harmless, variant: "outline" },
              { acting: "Stop", asking: "Do nothing", done: "Close", stopping: "Stop" }[phase],
            ),
            phase === "asking"
              ? h(Button, { colorPalette: action === "cancel" ? "danger" : "brand", onClick: act }, confirm)
              : null,
          ),
        ),
      ),
    ),
    closeOnInteractOutside: phase === "asking",
    finalFocusEl: findOpener,
    // Enter alone does nothing: the focus is on the button that leaves everything as it is.
    initialFocusEl: () => harmless.current,
    onOpenChange: ({ open }) => open || close(),
    open: true,
    role: "alertdialog",
    scrollBehavior: "inside",
  });
};
