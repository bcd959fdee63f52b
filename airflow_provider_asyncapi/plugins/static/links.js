/** Links to Airflow's own pages, and out of Airflow. */

import { h, Link, RouterLink, useEffect, useId, useSearchParams } from "./airflow.js";
import { applyChanges, formatJobKey } from "./view.js";

/** @typedef {import("./types.d.ts").Job} Job */

const STYLE = { color: "fg.info", fontWeight: "bold" };

/**
 * Return the path of a DAG's page.
 *
 * @param {string} dagId - its id
 * @returns {string} a path for the router
 */
export const dagPath = (dagId) => `/dags/${encodeURIComponent(dagId)}`;

/**
 * Return the path of the page of a job's run.
 *
 * @param {Pick<Job, "dag_id" | "run_id">} job - the job
 * @returns {string} a path for the router
 */
export const runPath = ({ dag_id, run_id }) => `${dagPath(dag_id)}/runs/${encodeURIComponent(run_id)}`;

/**
 * Return the path of the page of the task instance that waits for a job; Airflow opens it with its log.
 *
 * @param {Pick<Job, "dag_id" | "run_id" | "task_id" | "map_index">} job - the job
 * @returns {string} a path for the router
 */
export const taskPath = (job) =>
  `${runPath(job)}/tasks/${encodeURIComponent(job.task_id)}${job.map_index < 0 ? "" : `/mapped/${job.map_index}`}`;

/**
 * Link to another page of Airflow.
 *
 * @param {import("react").PropsWithChildren<import("react-router-dom").LinkProps>} props - those of the router's link
 * @returns {import("react").ReactElement} the link
 */
export const InnerLink = ({ children, ...props }) =>
  h(Link, { asChild: true, ...STYLE }, h(RouterLink, props, children));

/**
 * Link to another site; the server has checked that the URL is http(s).
 *
 * @param {import("@chakra-ui/react").LinkProps & { href: string }} props - those of Chakra UI's link
 * @returns {import("react").ReactElement} the link, which opens another tab
 */
export const OuterLink = ({ children, href, ...props }) =>
  h(Link, { ...STYLE, href, rel: "noopener noreferrer", target: "_blank", ...props }, children);

/** The job whose view was opened from the list: the focus returns to its link. */
const opened = { key: "" };

const setOpened = (/** @type {string} */ key) => {
  opened.key = key;
};

/**
 * Return whether the view of a job was opened from the list, and not by its address.
 *
 * @returns {boolean} false if the page was loaded with it
 */
export const isOpenedFromList = () => opened.key !== "";

/**
 * Link to the view of one job on this page.
 *
 * @param {import("react").PropsWithChildren<{ "aria-label": string, job: Job }>} props - the job
 * @returns {import("react").ReactElement} the link, from which the browser goes back to the list as it is
 */
export const DetailsLink = ({ children, job, ...props }) => {
  const [params] = useSearchParams();
  const id = useId();
  const key = formatJobKey(job);
  useEffect(() => {
    if (opened.key === key) {
      setOpened("");
      document.getElementById(id)?.focus();
    }
  }, [id, key]);
  const offset = Number(params.get("jobs_offset") ?? 0);
  const to = `?${applyChanges(params, { details: key, offset })}`;
  return h(InnerLink, { ...props, id, onClick: () => setOpened(key), to }, children);
};
