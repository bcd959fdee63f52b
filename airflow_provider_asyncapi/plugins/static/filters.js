/** What narrows the list of jobs down, and turns its pages. */

import { Box, Button, Flex, h, HStack, Input, NativeSelect, Text, useEffect, useRef, useState } from "./airflow.js";
import { COLUMNS } from "./columns.js";
import { PAGE_SIZE, SUBMIT_FAILED } from "./view.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ChangeView} ChangeView */
/** @typedef {import("./types.d.ts").ConnectionOverview} ConnectionOverview */
/** @typedef {import("./types.d.ts").Group} Group */
/** @typedef {import("./types.d.ts").View} View */

/** Pause after which typed text is searched for. */
const TYPING_MILLISECONDS = 300;
/** @type {{ label: string, value: Group | "" }[]} */
const GROUPS = [
  { label: "All", value: "" },
  { label: "Waiting", value: "waiting" },
  { label: "Failed", value: "failed" },
  { label: "Done", value: "done" },
];
const AGES = [
  { label: "Runs of the last 24 hours", value: "24" },
  { label: "Runs of the last 7 days", value: "168" },
  { label: "Runs of the last 31 days", value: "744" },
];

const HEALTHS = [
  { label: "Any health", value: "" },
  { label: "At risk or critical", value: "risk" },
  { label: "Critical", value: "critical" },
];
/** The states of task instances in which there are jobs for long. */
const STATES = [
  { label: "Any state", value: "" },
  ...["deferred", "running", "up_for_reschedule", "up_for_retry", "queued", "success", "failed", "skipped"].map(
    (value) => ({ label: value.replaceAll("_", " "), value }),
  ),
  { label: "submit failed", value: SUBMIT_FAILED },
];
const GROUPINGS = [
  { label: "Not grouped", value: "" },
  { label: "Grouped by run", value: "run" },
  { label: "Grouped by connection", value: "connection" },
];

/**
 * Show the field for a text to search for.
 *
 * @param {{ label: string, onSearch: (text: string) => void, search: string } & import("@chakra-ui/react").InputProps}
 *   props - its name for screen readers, what to call, what is searched for now, and those of Chakra UI's input
 * @returns {ReactElement} a field
 */
const SearchBox = ({ label, onSearch, search, ...props }) => {
  const [text, setText] = useState(search);
  const onSearchRef = useRef(onSearch);
  const timerRef = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => {
    onSearchRef.current = onSearch;
  }, [onSearch]);
  useEffect(() => {
    // What is being typed is newer than what is searched for.
    if (timerRef.current === undefined) {
      setText(search);
    }
  }, [search]);
  useEffect(() => () => clearTimeout(timerRef.current), []);
  return h(Input, {
    "aria-label": label,
    maxLength: 200,
    onChange: (/** @type {import("react").ChangeEvent<HTMLInputElement>} */ event) => {
      const { value } = event.target;
      setText(value);
      clearTimeout(timerRef.current);
      timerRef.current = setTimeout(() => {
        timerRef.current = undefined;
        onSearchRef.current(value.trim());
      }, TYPING_MILLISECONDS);
    },
    size: "sm",
    type: "search",
    value: text,
    ...props,
  });
};

/**
 * Show a list to choose one value from.
 *
 * @param {{ label: string, onChoose: (value: string) => void, options: { label: string, value: string }[],
 *   value: string }} props - its name for screen readers, and the present value
 * @returns {ReactElement} a list
 */
const Select = ({ label, onChoose, options, value }) =>
  h(
    NativeSelect.Root,
    { maxW: "16rem", size: "sm", w: "auto" },
    h(
      NativeSelect.Field,
      {
        "aria-label": label,
        onChange: (/** @type {import("react").ChangeEvent<HTMLSelectElement>} */ event) => onChoose(event.target.value),
        value,
      },
      options.map(({ label: text, value: each }) => h("option", { key: each, value: each }, text)),
    ),
    h(NativeSelect.Indicator),
  );

/**
 * Show the filters.
 *
 * @param {{ change: ChangeView, connections: ConnectionOverview[], groups: Record<Group, number> | undefined,
 *   isOfOneDag: boolean, view: View }} props - the connections to choose from, and the number of jobs in each group,
 *   once known
 * @returns {ReactElement} a toolbar
 */
export const Filters = ({ change, connections, groups, isOfOneDag, view }) => {
  /** @type {Record<string, number>} */
  const counts = { "": Object.values(groups ?? {}).reduce((sum, count) => sum + count, 0), ...groups };
  const known = new Set(connections.map(({ conn_id }) => conn_id ?? "").concat(view.connection));
  known.delete("");
  return h(
    Flex,
    { alignItems: "center", gap: 3, wrap: "wrap" },
    h(SearchBox, {
      label: "Search jobs",
      onSearch: (search) => change({ search }),
      placeholder: "Search by Dag, run, task, connection, job or error",
      search: view.search,
      w: { base: "full", md: "24rem" },
    }),
    h(
      HStack,
      { "aria-label": "Filter by group of states", gap: 1, role: "group" },
      GROUPS.map(({ label, value }) =>
        h(
          Button,
          {
            "aria-pressed": view.group === value,
            colorPalette: "brand",
            key: label,
            onClick: () => change({ group: value }),
            size: "sm",
            variant: view.group === value ? "solid" : "outline",
          },
          label,
          groups === undefined ? null : h(Text, { as: "span", fontVariantNumeric: "tabular-nums" }, counts[value] ?? 0),
        ),
      ),
    ),
    h(Select, { label: "Health", onChoose: (health) => change({ health }), options: HEALTHS, value: view.health }),
    h(Select, { label: "State", onChoose: (state) => change({ state }), options: STATES, value: view.state }),
    h(Select, {
      label: "Connection",
      onChoose: (connection) => change({ connection }),
      options: [{ label: "Any connection", value: "" }, ...[...known].sort().map((value) => ({ label: value, value }))],
      value: view.connection,
    }),
    isOfOneDag
      ? null
      : h(SearchBox, {
          label: "Dag",
          onSearch: (dag) => change({ dag }),
          placeholder: "Dag ID",
          search: view.dag,
          w: "12rem",
        }),
    h(Select, {
      label: "Maximum age of runs",
      onChoose: (hours) => change({ hours }),
      options: AGES,
      value: view.hours,
    }),
    h(Select, { label: "Group by", onChoose: (by) => change({ by }), options: GROUPINGS, value: view.by }),
  );
};

/**
 * Show the columns to choose from.
 *
 * @param {{ chosen: Set<string>, onChoose: (labels: Set<string>) => void }} props - the labels of those that are shown
 * @returns {ReactElement} a button that opens a list
 */
export const ColumnChooser = ({ chosen, onChoose }) => {
  const [isOpen, setIsOpen] = useState(false);
  const buttonRef = useRef(/** @type {HTMLButtonElement | null} */ (null));
  return h(
    Box,
    {
      onBlur: (/** @type {import("react").FocusEvent} */ event) => {
        // A click on a label takes the focus away, and gives it to nothing else.
        if (event.relatedTarget !== null && !event.currentTarget.contains(event.relatedTarget)) {
          setIsOpen(false);
        }
      },
      onKeyDown: (/** @type {import("react").KeyboardEvent} */ event) => {
        if (event.key === "Escape" && isOpen) {
          setIsOpen(false);
          buttonRef.current?.focus();
        }
      },
      position: "relative",
    },
    h(
      Button,
      { "aria-expanded": isOpen, onClick: () => setIsOpen(!isOpen), ref: buttonRef, size: "sm", variant: "outline" },
      "Columns",
    ),
    isOpen &&
      h(
        Flex,
        {
          "aria-label": "Columns",
          bg: "bg.panel",
          borderWidth: 1,
          direction: "column",
          p: 3,
          position: "absolute",
          right: 0,
          role: "group",
          shadow: "md",
          top: "100%",
          zIndex: "dropdown",
        },
        COLUMNS.map(({ label }) =>
          h(
            Box,
            { as: "label", key: label, whiteSpace: "nowrap" },
            h("input", {
              checked: chosen.has(label),
              // The table has at least one column.
              disabled: chosen.size === 1 && chosen.has(label),
              onChange: () => {
                const others = new Set(chosen);
                if (!others.delete(label)) {
                  others.add(label);
                }
                onChoose(others);
              },
              type: "checkbox",
            }),
            ` ${label}`,
          ),
        ),
      ),
  );
};

/**
 * Show which jobs of all these are, and the buttons to others.
 *
 * @param {{ change: ChangeView, total: number, view: View }} props - the number of jobs on all pages
 * @returns {ReactElement | null} nothing if there is one page
 */
export const Pages = ({ change, total, view }) =>
  total <= PAGE_SIZE && view.offset === 0
    ? null
    : h(
        HStack,
        { gap: 3, justifyContent: "flex-end" },
        h(
          Text,
          { color: "fg.muted", fontSize: "sm" },
          `${Math.min(view.offset + 1, total)}–${Math.min(view.offset + PAGE_SIZE, total)} of ${total}`,
        ),
        h(
          Button,
          {
            disabled: view.offset === 0,
            onClick: () => change({ offset: Math.max(0, view.offset - PAGE_SIZE) }),
            size: "sm",
            variant: "outline",
          },
          "Previous",
        ),
        h(
          Button,
          {
            disabled: view.offset + PAGE_SIZE >= total,
            onClick: () => change({ offset: view.offset + PAGE_SIZE }),
            size: "sm",
            variant: "outline",
          },
          "Next",
        ),
      );
