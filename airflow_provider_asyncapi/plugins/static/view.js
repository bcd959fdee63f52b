/** The filters, the order and the page of the list, stored in the page's URL so that it can be bookmarked and shared. */

import { useCallback, useEffect, useMemo, useRef, useSearchParams } from "./airflow.js";

/** @typedef {import("./types.d.ts").Job} Job */
/** @typedef {import("./types.d.ts").View} View */
/** @typedef {import("./types.d.ts").ChangeView} ChangeView */
/** @typedef {import("./types.d.ts").PageProps} PageProps */

export const PAGE_SIZE = 50;
/** The value by which the filter of states selects submits that have failed. */
export const SUBMIT_FAILED = "submit_failed";
const PREFIX = "jobs_";

/** @type {View} */
const DEFAULTS = {
  by: "",
  connection: "",
  dag: "",
  details: "",
  group: "",
  health: "",
  hours: "24",
  offset: 0,
  order: "risk",
  search: "",
  state: "",
};
/** The order that puts the rows of a group together. */
const GROUP_ORDERS = new Map([
  ["run", "-run_id"],
  ["connection", "conn_id"],
]);

/**
 * Read the view from the parameters of the page's URL.
 *
 * @param {URLSearchParams} params - the parameters, of which others than ours are ignored
 * @returns {View} the view, with defaults for what they lack
 */
export const parseView = (params) => {
  const texts = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, params.get(PREFIX + name) ?? String(value)]),
  );
  return /** @type {View} */ ({ ...texts, offset: Math.max(0, Number.parseInt(texts.offset ?? "", 10) || 0) });
};

/**
 * Return the parameters of the page's URL after a change of the view.
 *
 * @param {URLSearchParams} params - the parameters before
 * @param {Partial<View>} changes - the changes; unless they name the offset, the list begins at its first page
 * @returns {URLSearchParams} new parameters; those of others are kept
 */
export const applyChanges = (params, changes) => {
  const after = new URLSearchParams(params);
  const all = { offset: 0, ...changes };
  for (const [name, value] of Object.entries(all)) {
    if (value === DEFAULTS[/** @type {keyof View} */ (name)]) {
      after.delete(PREFIX + name);
    } else {
      after.set(PREFIX + name, String(value));
    }
  }
  return after;
};

/**
 * Return the query of the request for a view.
 *
 * @param {View} view - what to list
 * @param {PageProps} place - the DAG or task instance of whose page this is a tab
 * @returns {string} the query, without the question mark
 */
export const buildQuery = (view, { dagId, mapIndex, runId, taskId }) => {
  const values = {
    conn_id: view.connection,
    dag_id: dagId ?? view.dag,
    group: view.group,
    hours: view.hours,
    limit: PAGE_SIZE,
    map_index: taskId === undefined ? undefined : (mapIndex ?? -1),
    offset: view.offset,
    order_by: GROUP_ORDERS.get(view.by) ?? view.order,
    run_id: runId,
    kind: view.state === SUBMIT_FAILED ? "submit" : undefined,
    search: view.search,
    state: view.state === SUBMIT_FAILED ? undefined : view.state,
    task_id: taskId,
  };
  const query = encodeQuery(values);
  for (const level of view.health === "risk" ? ["warning", "critical"] : [view.health]) {
    if (level !== "") {
      query.append("health", level);
    }
  }
  return query.toString();
};

/**
 * Return the query of the file with all jobs of a view.
 *
 * @param {string} query - the query of the list
 * @param {string[]} fields - what the file has of each job, in this order
 * @returns {string} the query without the page
 */
export const buildExportQuery = (query, fields) => {
  const all = new URLSearchParams(query);
  all.delete("limit");
  all.delete("offset");
  fields.forEach((field) => all.append("column", field));
  return all.toString();
};

/**
 * Return parameters of a URL.
 *
 * @param {Record<string, string | number | undefined>} values - those that are empty or undefined are left out
 * @returns {URLSearchParams} the others
 */
export const encodeQuery = (values) =>
  new URLSearchParams(
    Object.entries(values)
      .filter(([, value]) => value !== undefined && value !== "")
      .map(([name, value]) => [name, String(value)]),
  );

/**
 * Write down which job is meant, for the page's URL.
 *
 * @param {Pick<Job, "dag_id" | "run_id" | "task_id" | "map_index">} job - the job
 * @returns {string} a text that `parseJobKey` reads
 */
export const formatJobKey = ({ dag_id, run_id, task_id, map_index }) =>
  JSON.stringify([dag_id, run_id, task_id, map_index]);

/**
 * Return which job is meant.
 *
 * @param {string} key - what `formatJobKey` has written, or anything else that is in the URL
 * @returns {Required<PageProps> | undefined} nothing for anything else
 */
export const parseJobKey = (key) => {
  try {
    const [dagId, runId, taskId, mapIndex] = JSON.parse(key);
    return [dagId, runId, taskId].every((each) => typeof each === "string") && Number.isInteger(mapIndex)
      ? { dagId, runId, taskId, mapIndex }
      : undefined;
  } catch {
    return undefined;
  }
};

/**
 * Return the view, and what changes it.
 *
 * @returns {[View, ChangeView]} both are the same until the URL changes
 */
export const useView = () => {
  const [params, setParams] = useSearchParams();
  const view = useMemo(() => parseView(params), [params]);
  // The router hands each caller the parameters of the latest render: of two changes before the next one, such as a
  // click while typed text is about to be searched for, the first would be lost.
  const latestRef = useRef(params);
  useEffect(() => {
    latestRef.current = params;
  }, [params]);
  const change = useCallback(
    /** @type {ChangeView} */ (changes) => {
      latestRef.current = applyChanges(latestRef.current, changes);
      // The browser goes back from one job to the list; filters leave no trace in its history.
      setParams(latestRef.current, { replace: changes.details === undefined });
    },
    [setParams],
  );
  return [view, change];
};
