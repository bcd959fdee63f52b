/** Actions on one job that change nothing remote: they are taken at once, and their result is shown over the page. */

import { actOn, ACTIONS } from "./actions.js";
import { Alert, Button, h, useCallback, useEffect, useRef, useState } from "./airflow.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ActionName} ActionName */
/** @typedef {import("./types.d.ts").ActionRequest} ActionRequest */
/** @typedef {import("./types.d.ts").ActionResult} ActionResult */
/** @typedef {{ message: string, status: "error" | "info" | "success" }} Notice */

/**
 * Return whether an action needs no confirmation.
 *
 * @param {ActionRequest} request - the action and its jobs
 * @returns {boolean} false for many jobs, whose polls an API may take for too many
 */
export const isImmediate = ({ action, jobs }) => action === "poll" && jobs.length === 1;

/**
 * Act on one job.
 *
 * @param {ActionRequest} request - the action and its job
 * @returns {Promise<Notice>} what has become of it
 */
const actOnce = async ({ action, jobs }) => {
  /** @type {ActionResult[]} */
  let results = [];
  try {
    await actOn(action, jobs, (found) => (results = found), new AbortController().signal);
  } catch (problem) {
    return { message: problem instanceof Error ? problem.message : String(problem), status: "error" };
  }
  const [result] = results;
  return result === undefined
    ? { message: "The server has answered nothing about the job.", status: "error" }
    : { message: result.message, status: result.ok ? "success" : "error" };
};

/**
 * Take actions that need no confirmation, the latest of which is shown.
 *
 * @param {() => void} onDismiss - called when the user closes the notice, whose button had the focus
 * @returns {{ actNow: (request: ActionRequest) => void, notice: ReactElement | null }} what acts, and its result
 */
export const useImmediateAction = (onDismiss) => {
  const [notice, setNotice] = useState(/** @type {Notice | undefined} */ (undefined));
  const turnRef = useRef(0);

  const actNow = useCallback(async (/** @type {ActionRequest} */ request) => {
    turnRef.current += 1;
    const turn = turnRef.current;
    const [job] = request.jobs;
    const what = `${ACTIONS[request.action].label}, job ${job?.identifier ?? job?.task_id}`;
    setNotice({ message: `${what} …`, status: "info" });
    const { message, status } = await actOnce(request);
    // The user may have acted on another job, or have closed the notice.
    if (turn === turnRef.current) {
      setNotice({ message: `${what}: ${message}`, status });
    }
  }, []);
  // An answer that arrives later is shown nowhere.
  useEffect(
    () => () => {
      turnRef.current = -1;
    },
    [],
  );

  const dismiss = () => {
    turnRef.current += 1;
    setNotice(undefined);
    onDismiss();
  };
  return {
    actNow,
    notice:
      notice === undefined
        ? null
        : h(
            Alert.Root,
            {
              alignItems: "center",
              bottom: 4,
              boxShadow: "lg",
              insetEnd: 4,
              maxW: "min(40rem, calc(100vw - 2rem))",
              // The row may be far below the top of the page.
              position: "fixed",
              role: notice.status === "error" ? "alert" : "status",
              status: notice.status,
              w: "auto",
              zIndex: "toast",
            },
            h(Alert.Indicator),
            h(Alert.Content, { minW: 0 }, h(Alert.Description, { overflowWrap: "anywhere" }, notice.message)),
            h(Button, { onClick: dismiss, size: "xs", variant: "ghost" }, "Dismiss"),
          ),
  };
};
