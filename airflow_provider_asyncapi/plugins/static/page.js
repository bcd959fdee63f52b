/** The page, which is also a tab of a DAG and of a task instance. */

import { SelectionContext, useActions } from "./action_controls.js";
import { Box, Button, Flex, h, Heading, Spinner, useState } from "./airflow.js";
import { COLUMNS, listFields, readChosenColumns, storeChosenColumns } from "./columns.js";
import { DetailsView } from "./details.js";
import { ColumnChooser, Filters, Pages } from "./filters.js";
import { isOpenedFromList } from "./links.js";
import { Overview } from "./overview.js";
import { Problem } from "./problem.js";
import { urlOf, useAnswer } from "./server.js";
import { JobsTable } from "./table.js";
import { buildExportQuery, buildQuery, encodeQuery, parseJobKey, useView } from "./view.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ChangeView} ChangeView */
/** @typedef {(job: import("./types.d.ts").Job) => string} NameGroup */
/** @typedef {import("./types.d.ts").Jobs} Jobs */
/** @typedef {import("./types.d.ts").Overview} Connections */
/** @typedef {import("./types.d.ts").PageProps} PageProps */
/** @typedef {import("./types.d.ts").View} View */

export const NAME = "Async API jobs";
/** Seconds between two requests for the overview, which adds up all jobs. */
const OVERVIEW_SECONDS = 20;
// The names of groups, by what rows are grouped by.
const GROUP_NAMES = new Map(
  /** @type {[string, NameGroup][]} */ ([
    ["run", ({ dag_id, run_id }) => `${dag_id}, ${run_id}`],
    ["connection", ({ conn_id }) => conn_id ?? "no connection"],
  ]),
);

/**
 * Say that there are no jobs.
 *
 * @param {{ view: import("./types.d.ts").View }} props - the filters
 * @returns {ReactElement} a text
 */
const Nothing = ({ view }) =>
  h(
    Box,
    { color: "fg.muted", py: 10, textAlign: "center" },
    Object.values({ ...view, by: "", hours: "", offset: "", order: "" }).some(Boolean)
      ? "No matching jobs."
      : "No jobs yet. Jobs appear here when a sensor of this provider waits for them.",
  );

/**
 * Show the list of jobs.
 *
 * @param {{ change: ChangeView, place: PageProps, view: View }} props - the DAG of whose page this is a tab, if any
 * @returns {ReactElement} the overview, the filters and the table
 */
const ListView = ({ change, place, view }) => {
  const query = buildQuery(view, place);
  const { data, error, isStale } = useAnswer(urlOf("jobs", query).href);
  const jobs = /** @type {Jobs | undefined} */ (data);
  const scope = encodeQuery({ dag_id: place.dagId ?? view.dag, hours: view.hours }).toString();
  const overview = useAnswer(urlOf("connections", scope).href, OVERVIEW_SECONDS).data;
  const { connections = [] } = /** @type {Partial<Connections>} */ (overview ?? {});
  const [chosen, setChosen] = useState(readChosenColumns);
  // A tab doesn't repeat the value that all of its rows share.
  const shown = COLUMNS.filter(({ label }) => chosen.has(label) && !(label === "Dag" && place.dagId !== undefined));
  const actions = useActions(jobs?.jobs ?? [], { query, total: jobs?.total ?? 0 });
  const columns = [...actions.before, ...shown, ...actions.after];

  return h(
    Flex,
    { direction: "column", gap: 3 },
    h(Overview, { connections, onSelect: (connection) => change({ connection }), selected: view.connection }),
    h(Filters, { change, connections, groups: jobs?.groups, isOfOneDag: place.dagId !== undefined, view }),
    h(
      Flex,
      { alignItems: "center", gap: 3, justifyContent: "flex-end", wrap: "wrap" },
      h(ColumnChooser, {
        chosen,
        onChoose: (/** @type {Set<string>} */ labels) => {
          storeChosenColumns(labels);
          setChosen(labels);
        },
      }),
      h(
        Button,
        { asChild: true, size: "sm", variant: "outline" },
        h(
          "a",
          { download: "", href: urlOf("jobs.csv", buildExportQuery(query, listFields(shown))).href },
          "Export as CSV",
        ),
      ),
    ),
    actions.bar,
    actions.dialog,
    actions.notice,
    error === undefined ? null : h(Problem, { message: error }),
    jobs === undefined
      ? error === undefined && h(Flex, { justifyContent: "center", py: 10 }, h(Spinner, { "aria-label": "Loading" }))
      : jobs.jobs.length === 0
        ? h(Nothing, { view })
        : h(
            SelectionContext.Provider,
            { value: actions.selection },
            h(JobsTable, {
              columns,
              isStale,
              jobs: jobs.jobs,
              label: NAME,
              nameGroup: GROUP_NAMES.get(view.by),
              onSort: (order) => change({ by: "", order }),
              order: view.by === "" ? view.order : "",
            }),
          ),
    jobs === undefined ? null : h(Pages, { change, total: jobs.total, view }),
  );
};

/**
 * Show the jobs, or one of them.
 *
 * @param {PageProps} place - the DAG or task instance of whose page this is a tab
 * @returns {ReactElement} the page
 */
export const JobsPage = (place) => {
  const [view, change] = useView();
  const job = place.taskId === undefined ? parseJobKey(view.details) : place;
  return h(
    Flex,
    { className: "asyncapi-page", direction: "column", gap: 3, p: 2 },
    place.dagId === undefined ? h(Heading, { as: "h1", size: "md" }, NAME) : null,
    job === undefined || place.taskId !== undefined
      ? null
      : h(
          Box,
          null,
          h(
            Button,
            {
              // The link that had the focus is gone.
              autoFocus: isOpenedFromList(),
              onClick: () => change({ details: "", offset: view.offset }),
              size: "sm",
              variant: "outline",
            },
            "← All jobs",
          ),
        ),
    job === undefined
      ? h(ListView, { change, place, view })
      : h(DetailsView, { isTab: place.taskId !== undefined, key: JSON.stringify(job), place: job }),
  );
};
