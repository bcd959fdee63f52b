/** What users can do about jobs, and the requests by which they do it. */

import { requestJson, urlOf } from "./server.js";

/** @typedef {import("./types.d.ts").ActionName} ActionName */
/** @typedef {import("./types.d.ts").ActionResult} ActionResult */
/** @typedef {import("./types.d.ts").Job} Job */

/** Maximum number of jobs of one request; the server refuses more. */
export const BATCH_SIZE = 100;

/** Maximum number of DAGs of one question, and of jobs on one page, as of the server. */
const MAX_DAGS = 200;
const MAX_PAGE = 200;

/** Maximum number of jobs that are selected at once: as many as the exported file has. */
export const MAX_SELECTED = 10_000;

const WAITING = ["deferred", "up_for_reschedule"];
const RUNNING = ["running", ...WAITING];
const ENDED = ["success", "failed", "skipped", "upstream_failed", "removed"];

/**
 * What each action does, and in which states of a task it is offered. The server decides whether it is possible.
 *
 * @type {Record<ActionName, { label: string, confirm: string, consequence: string, done: string, states: string[] }>}
 */
export const ACTIONS = {
  poll: {
    label: "Poll now",
    confirm: "Poll now",
    consequence: "The API is asked for the status at once, and at the usual pace after that.",
    done: "requested",
    states: WAITING,
  },
  submit_again: {
    label: "Submit again",
    confirm: "Submit again",
    consequence:
      "The task that submitted the job is cleared, and so are all tasks after it: they run again, with a new job." +
      " A job that still runs is cancelled if a cancel request is configured (from Airflow 3.3).",
    done: "done",
    states: [...RUNNING, "up_for_retry", ...ENDED],
  },
  cancel: {
    label: "Cancel job and fail task",
    confirm: "Cancel and fail",
    consequence:
      "The API is asked to cancel the job if a cancel request is configured; otherwise the job runs on. The task" +
      " fails, without another try.",
    done: "requested",
    states: RUNNING,
  },
};

/** The names of the actions, in the order in which they are offered. */
export const ACTION_NAMES = /** @type {ActionName[]} */ (Object.keys(ACTIONS));

/**
 * List the actions that are offered for some of the jobs.
 *
 * @param {Job[]} jobs - any jobs
 * @returns {import("./types.d.ts").ActionRequest[]} each action, with the jobs that it fits
 */
export const findActions = (jobs) =>
  ACTION_NAMES.map((action) => ({
    action,
    jobs: jobs.filter(({ state }) => ACTIONS[action].states.includes(state ?? "")),
  })).filter((request) => request.jobs.length > 0);

/**
 * Return the text that identifies the task of a job.
 *
 * @param {Job} job - the job
 * @returns {string} the same text for each try
 */
export const keyOf = ({ dag_id, run_id, task_id, map_index }) => JSON.stringify([dag_id, run_id, task_id, map_index]);

/**
 * Ask on the jobs of which DAGs the user may act.
 *
 * @param {string[]} dagIds - the DAGs in question
 * @param {AbortSignal} signal - stops the request
 * @returns {Promise<Set<string>>} those of the DAGs
 */
export const fetchEditableDags = async (dagIds, signal) => {
  const editable = new Set();
  for (let start = 0; start < dagIds.length; start += MAX_DAGS) {
    const query = new URLSearchParams(dagIds.slice(start, start + MAX_DAGS).map((dagId) => ["dag_id", dagId]));
    const answer = await requestJson(urlOf("actions", query.toString()), { signal });
    /** @type {{ dag_ids: string[] }} */ (answer).dag_ids.forEach((dagId) => editable.add(dagId));
  }
  return editable;
};

/**
 * Load the jobs of all pages of a list on which the user may act.
 *
 * @param {string} query - the query of the list
 * @param {AbortSignal} signal - stops before the next request
 * @returns {Promise<Job[]>} the first jobs by DAG, at most as many as may be selected
 */
export const fetchMatchingJobs = async (query, signal) => {
  /** @type {Map<string, Job>} */
  const found = new Map();
  let total = MAX_SELECTED;
  for (let offset = 0; offset < Math.min(total, MAX_SELECTED); offset += MAX_PAGE) {
    const page = new URLSearchParams(query);
    page.set("limit", String(MAX_PAGE));
    page.set("offset", String(offset));
    // In the order of risk, jobs would move between pages while these are loaded.
    page.set("order_by", "dag_id");
    const answer = /** @type {import("./types.d.ts").Jobs} */ (
      await requestJson(urlOf("jobs", page.toString()), { signal })
    );
    answer.jobs.forEach((job) => found.set(keyOf(job), job));
    total = answer.total;
  }
  const jobs = [...found.values()];
  const editable = await fetchEditableDags([...new Set(jobs.map(({ dag_id }) => dag_id))], signal);
  return jobs.filter(({ dag_id }) => editable.has(dag_id));
};

/**
 * Act on any number of jobs, with one request after another.
 *
 * @param {ActionName} action - what to do
 * @param {Job[]} jobs - the jobs, as the user has seen them
 * @param {(results: ActionResult[]) => void} onProgress - called after each request, with all results so far
 * @param {AbortSignal} signal - stops before the next request; the server completes the one that it has got
 * @returns {Promise<void>} settled once there is no further request
 */
export const actOn = async (action, jobs, onProgress, signal) => {
  /** @type {ActionResult[]} */
  const results = [];
  for (let start = 0; start < jobs.length && !signal.aborted; start += BATCH_SIZE) {
    const batch = jobs.slice(start, start + BATCH_SIZE).map(({ dag_id, run_id, task_id, map_index, try_number }) => ({
      dag_id,
      run_id,
      task_id,
      map_index,
      try_number,
    }));
    const answer = await requestJson(urlOf("actions"), {
      body: JSON.stringify({ action, jobs: batch }),
      // The server takes a request without this header for one of another site.
      headers: { "Content-Type": "application/json", "X-AsyncApi-Page": "1" },
      method: "POST",
    });
    results.push(.../** @type {{ results: ActionResult[] }} */ (answer).results);
    onProgress([...results]);
  }
};

/**
 * Count equal results.
 *
 * @param {ActionResult[]} results - what has become of each job
 * @returns {{ count: number, message: string, ok: boolean }[]} each message once, failures and frequent ones first
 */
export const countMessages = (results) => {
  /** @type {Map<string, { count: number, message: string, ok: boolean }>} */
  const counts = new Map();
  results.forEach(({ message, ok }) => {
    const key = JSON.stringify([ok, message]);
    counts.set(key, { count: (counts.get(key)?.count ?? 0) + 1, message, ok });
  });
  return [...counts.values()].sort((one, other) => Number(one.ok) - Number(other.ok) || other.count - one.count);
};
