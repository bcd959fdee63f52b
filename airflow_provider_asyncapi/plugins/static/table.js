/** The table of jobs. */

import {
  Box,
  Button,
  Flex,
  Fragment,
  h,
  memo,
  Table,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "./airflow.js";
import { foldColumns } from "./columns.js";
import { formatJobKey } from "./view.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").Column} Column */
/** @typedef {import("./types.d.ts").Folded} Folded */
/** @typedef {import("./types.d.ts").Job} Job */

/**
 * Show the sort icons of Airflow's own tables.
 *
 * @param {{ direction: "ascending" | "descending" | undefined }} props - how the column is sorted, if it is
 * @returns {ReactElement} an icon
 */
const SortMark = ({ direction }) =>
  h(
    "svg",
    { "aria-hidden": true, fill: "currentColor", height: "0.8em", viewBox: "0 0 10 14" },
    direction === "descending" ? null : h("path", { d: "M0 6 5 0l5 6z" }),
    direction === "ascending" ? null : h("path", { d: "m0 8 5 6 5-6z" }),
  );

/**
 * Return how a column is sorted.
 *
 * @param {Column} column - any column
 * @param {string} order - the list's present order
 * @returns {"ascending" | "descending" | undefined} nothing if the list is sorted by another one
 */
const findDirection = ({ order: name }, order) => {
  if (name === undefined || order.replace("-", "") !== name) {
    return undefined;
  }
  return order.startsWith("-") ? "descending" : "ascending";
};

/**
 * Show the name of a column, which sorts by it if that is possible.
 *
 * @param {{ column: Column, onSort: (order: string) => void, order: string }} props - the list's present order
 * @returns {ReactElement} a button or a text
 */
const ColumnName = ({ column, onSort, order }) => {
  const { header, label, order: name } = column;
  if (name === undefined) {
    return h(Box, { whiteSpace: "nowrap" }, header ?? label);
  }
  const direction = findDirection(column, order);
  return h(
    Button,
    {
      fontWeight: "inherit",
      gap: 1,
      h: "auto",
      minW: 0,
      onClick: () => onSort(direction === "ascending" ? `-${name}` : name),
      p: 0,
      size: "sm",
      variant: "plain",
    },
    label,
    h(SortMark, { direction }),
  );
};

/**
 * Show the header of a column, and of those that are folded into it.
 *
 * @param {{ column: Folded, onSort: (order: string) => void, order: string }} props - the list's present order
 * @returns {ReactElement} a cell
 */
const Header = ({ column, onSort, order }) => {
  const parts = [column, ...column.folded];
  return h(
    Table.ColumnHeader,
    { "aria-sort": parts.map((part) => findDirection(part, order)).find(Boolean), px: 2, verticalAlign: "top" },
    h(
      Flex,
      { alignItems: "flex-start", direction: "column" },
      parts.map((part) => h(ColumnName, { column: part, key: part.label, onSort, order })),
    ),
  );
};

/**
 * Return the jobs with a head before those of each group.
 *
 * @param {Job[]} jobs - in an order in which the jobs of a group are together
 * @param {((job: Job) => string) | undefined} nameGroup - what names the group of a job, if they are grouped
 * @returns {(Job | string)[]} jobs, and names of groups
 */
export const insertHeads = (jobs, nameGroup) =>
  nameGroup === undefined
    ? jobs
    : jobs.flatMap((job, index) => {
        const before = jobs[index - 1];
        const name = nameGroup(job);
        return before !== undefined && nameGroup(before) === name ? [job] : [name, job];
      });

/**
 * Pixels by which an area has to be wider than its table before a column is unfolded: more than a scroll bar, which comes
 * and goes with the height of the rows.
 */
const SPARE_WIDTH = 24;

/**
 * How the table was folded that was shown last, so that the next one with the same columns begins so.
 *
 * For each number of folded columns that was too small, `widths` has the width that the table would need.
 */
const last = { count: 0, labels: "", widths: /** @type {number[]} */ ([]) };

/**
 * Return how many columns to fold, so that a table fits that is too wide.
 *
 * A table is rendered anew for each number of columns that is tried, so this doesn't try one after the other. A column
 * into which others are folded gets no narrower: what these leave free is the most that is gained.
 *
 * @param {Column[]} columns - the columns of the table
 * @param {number} count - the number of columns that are folded
 * @param {{ available: number, columnWidths: Map<string, number>, needed: number }} pixels - the width of the area, of
 *   each column by its label, and of the table
 * @returns {number[]} for each further column to fold, the width that the table needs without that, at least
 */
export const findSurplus = (columns, count, { available, columnWidths, needed }) => {
  const surplus = [];
  let width = needed;
  for (let before = foldColumns(columns, count); width > available;) {
    const after = foldColumns(columns, count + surplus.length + 1);
    const folded = before.find(({ label }) => after.every((other) => other.label !== label));
    if (folded === undefined) {
      break;
    }
    surplus.push(width);
    width -= columnWidths.get(folded.label) ?? 0;
    before = after;
  }
  return surplus;
};

/**
 * Fold columns until the table fits into its area.
 *
 * Only the browser knows how wide a column has to be, since that depends on what is in it. So the width is measured
 * before the browser draws the table.
 *
 * @param {Column[]} columns - the columns of the table
 * @returns {{ areaRef: import("react").RefObject<HTMLDivElement | null>, left: Folded[] }} the area to measure, and
 *   the columns to show
 */
const useFolding = (columns) => {
  const areaRef = useRef(/** @type {HTMLDivElement | null} */ (null));
  const labels = columns.map(({ label }) => label).join();
  const [count, setCount] = useState(() => (last.labels === labels ? last.count : 0));
  // A table that was folded as far as was ever needed may be too wide in a window that has shrunk.
  const [areaWidth, setAreaWidth] = useState(0);
  const left = foldColumns(columns, count);

  useLayoutEffect(() => {
    const area = areaRef.current;
    if (last.labels !== labels) {
      Object.assign(last, { count: 0, labels, widths: [] });
      if (count > 0) {
        setCount(0);
        return;
      }
    }
    last.count = count;
    if (area !== null && area.scrollWidth > area.clientWidth) {
      const cells = /** @type {HTMLElement[]} */ ([...area.querySelectorAll("thead th")]);
      const columnWidths = new Map(
        foldColumns(columns, count).map(({ label }, index) => [label, cells[index]?.offsetWidth ?? 0]),
      );
      const surplus = findSurplus(columns, count, {
        available: area.clientWidth,
        columnWidths,
        needed: area.scrollWidth,
      });
      last.widths.splice(count, surplus.length, ...surplus);
      if (surplus.length > 0) {
        setCount(count + surplus.length);
      }
    }
    // The columns are new ones with each list of jobs.
  }, [areaWidth, columns, count, labels]);
  useEffect(() => {
    const area = areaRef.current;
    if (area === null) {
      return undefined;
    }
    const observer = new ResizeObserver(() => {
      const enough = last.widths.findIndex((width) => width + SPARE_WIDTH <= area.clientWidth);
      setCount(enough === -1 ? last.widths.length : enough);
      setAreaWidth(area.clientWidth);
    });
    observer.observe(area);
    return () => observer.disconnect();
  }, []);
  return { areaRef, left };
};

/**
 * Return what rows show of a job, as a text to compare.
 *
 * @param {Job} job - the job
 * @returns {string} the same text for as long as the row is the same
 */
const dumpJob = (job) => JSON.stringify(job.group === "waiting" ? { ...job, duration: null } : job);

/**
 * Find out whether columns show the same in a row; a header may be another one.
 *
 * @param {Folded[]} before - the columns of the last render
 * @param {Folded[]} after - those of this one
 * @returns {boolean} whether they do
 */
const areSameColumns = (before, after) =>
  before.length === after.length &&
  before.every(
    ({ folded, show }, index) =>
      show === after[index]?.show &&
      folded.map(({ label }) => label).join() === after[index].folded.map(({ label }) => label).join(),
  );

/**
 * Show a job.
 *
 * @param {{ columns: Folded[], job: Job }} props - the columns and the job of the row
 * @returns {ReactElement} a row
 */
const Row = ({ columns, job }) =>
  h(
    Table.Row,
    null,
    columns.map(({ folded, label, show }) =>
      h(
        Table.Cell,
        { key: label, px: 2, verticalAlign: "top" },
        show(job),
        folded.map((part) => h(Fragment, { key: part.label }, (part.fold?.show ?? part.show)(job))),
      ),
    ),
  );

/** A row that is rendered again only if its data or its columns have changed. */
const JobRow = memo(
  Row,
  (before, after) => areSameColumns(before.columns, after.columns) && dumpJob(before.job) === dumpJob(after.job),
);

/**
 * Show jobs.
 *
 * @param {{ columns: Column[], isStale: boolean, jobs: Job[], label: string, nameGroup?: (job: Job) => string,
 *   onSort: (order: string) => void, order: string }} props - the label is the table's name for screen readers
 * @returns {ReactElement} a table that scrolls sideways only if it is still too wide with all columns folded
 */
export const JobsTable = ({ columns, isStale, jobs, label, nameGroup, onSort, order }) => {
  const { areaRef, left } = useFolding(columns);
  return h(
    Table.ScrollArea,
    { "aria-label": label, opacity: isStale ? 0.6 : 1, ref: areaRef, role: "region", tabIndex: 0 },
    h(
      Table.Root,
      { "aria-label": label, size: "sm", striped: true },
      h(
        Table.Header,
        null,
        h(
          Table.Row,
          null,
          left.map((column) => h(Header, { column, key: column.label, onSort, order })),
        ),
      ),
      h(
        Table.Body,
        null,
        insertHeads(jobs, nameGroup).map((job, index) =>
          typeof job === "string"
            ? h(
                Table.Row,
                // Until the list has the order of the groups, a name may be there several times.
                { key: index },
                h(
                  Table.ColumnHeader,
                  { bg: "bg.emphasized", colSpan: left.length, overflowWrap: "anywhere", scope: "colgroup" },
                  job,
                ),
              )
            : h(JobRow, { columns: left, job, key: formatJobKey(job) }),
        ),
      ),
    ),
  );
};
