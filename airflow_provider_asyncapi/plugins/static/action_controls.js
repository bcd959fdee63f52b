/** What starts an action: the menu of a row, and the boxes and the bar for several rows. */

import { ActionDialog } from "./action_dialog.js";
import { isImmediate, useImmediateAction } from "./action_notice.js";
import { ACTIONS, fetchEditableDags, fetchMatchingJobs, findActions, keyOf, MAX_SELECTED } from "./actions.js";
import {
  Button,
  Checkbox,
  createContext,
  Flex,
  Fragment,
  h,
  IconButton,
  Menu,
  Portal,
  Text,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "./airflow.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ActionName} ActionName */
/** @typedef {import("./types.d.ts").ActionRequest} ActionRequest */
/** @typedef {import("./types.d.ts").Column} Column */
/** @typedef {import("./types.d.ts").Job} Job */
/** @typedef {(request: ActionRequest, opener: HTMLElement | null) => void} OnAct */
/** @typedef {{ query: string, total: number }} Listing */
/** @typedef {import("react").RefObject<HTMLInputElement | null>} InputRef */
/** @typedef {{ editable: Set<string>, kept: Map<string, Job>, onAct: OnAct, onSelect: OnSelect }} Selection */
/** @typedef {(jobs: Job[], isSelected: boolean) => void} OnSelect */

/** What the boxes and menus of rows show and do, so that a click changes them and no row around them. */
export const SelectionContext = createContext(
  /** @type {Selection} */ ({ editable: new Set(), kept: new Map(), onAct: () => {}, onSelect: () => {} }),
);

/** Pause after which the server is asked again if it hasn't answered. */
const RETRY_MILLISECONDS = 10_000;

/**
 * Find out on which jobs the user may act: on none until the server has answered.
 *
 * @param {Job[]} jobs - the jobs on the page
 * @returns {Set<string>} the ids of the DAGs
 */
const useEditableDags = (jobs) => {
  const [editable, setEditable] = useState(/** @type {Set<string>} */ (new Set()));
  const dagIds = JSON.stringify([...new Set(jobs.map(({ dag_id }) => dag_id))].sort());
  useEffect(() => {
    const abort = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const load = async () => {
      try {
        const found = await fetchEditableDags(JSON.parse(dagIds), abort.signal);
        if (!abort.signal.aborted) {
          setEditable(found);
        }
      } catch {
        // Until there is an answer no action is offered; the list of jobs shows what is wrong with the server.
        if (!abort.signal.aborted) {
          timer = setTimeout(load, RETRY_MILLISECONDS);
        }
      }
    };
    load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [dagIds]);
  return editable;
};

/**
 * Offer the actions on one job.
 *
 * @param {{ job: Job, onAct: OnAct }} props - the job of the row
 * @returns {ReactElement | null} a button with a menu; null if no action fits
 */
export const RowMenu = ({ job, onAct }) => {
  const requests = findActions([job]);
  const triggerRef = useRef(/** @type {HTMLButtonElement | null} */ (null));
  if (requests.length === 0) {
    return null;
  }
  return h(Menu.Root, {
    // Its type requires the children among the properties.
    children: h(
      Fragment,
      null,
      h(
        Menu.Trigger,
        { asChild: true },
        h(
          IconButton,
          {
            "aria-label": `Actions on job ${job.identifier ?? job.task_id}`,
            ref: triggerRef,
            size: "xs",
            variant: "ghost",
          },
          "⋯",
        ),
      ),
      h(
        Portal,
        null,
        h(
          Menu.Positioner,
          null,
          h(
            Menu.Content,
            null,
            requests.map(({ action }) => h(Menu.Item, { key: action, value: action }, ACTIONS[action].label)),
          ),
        ),
      ),
    ),
    lazyMount: true,
    onSelect: ({ value }) => onAct({ action: /** @type {ActionName} */ (value), jobs: [job] }, triggerRef.current),
    unmountOnExit: true,
  });
};

/**
 * Select one job, or all jobs on the page.
 *
 * @param {{ inputRef?: InputRef, jobs: Job[], label: string, onSelect: OnSelect, selected: Map<string, Job> }} props - the
 *   jobs of the box
 * @returns {ReactElement} a checkbox
 */
const SelectBox = ({ inputRef, jobs, label, onSelect, selected }) => {
  const number = jobs.filter((job) => selected.has(keyOf(job))).length;
  return h(
    Checkbox.Root,
    {
      checked: number === 0 ? false : number === jobs.length ? true : "indeterminate",
      colorPalette: "brand",
      onCheckedChange: ({ checked }) => onSelect(jobs, checked === true),
      size: "sm",
    },
    h(Checkbox.HiddenInput, { "aria-label": label, ref: inputRef }),
    h(Checkbox.Control),
  );
};

/**
 * Select the job of a row.
 *
 * @param {{ job: Job }} props - the job
 * @returns {ReactElement | null} a checkbox; nothing if the user may not act on the job
 */
const RowBox = ({ job }) => {
  const { editable, kept, onSelect } = useContext(SelectionContext);
  return editable.has(job.dag_id)
    ? h(SelectBox, {
        jobs: [job],
        label: `Select job ${job.identifier ?? job.task_id}`,
        onSelect,
        selected: kept,
      })
    : null;
};

/**
 * Offer the actions on the job of a row.
 *
 * @param {{ job: Job }} props - the job
 * @returns {ReactElement | null} a button with a menu; nothing if the user may not act on the job
 */
const RowActions = ({ job }) => {
  const { editable, onAct } = useContext(SelectionContext);
  return editable.has(job.dag_id) ? h(RowMenu, { job, onAct }) : null;
};

/** @type {Column["show"]} */
const showBox = (job) => h(RowBox, { job });

/** @type {Column} */
const MENUS = { label: "Actions", show: (job) => h(RowActions, { job }) };

/**
 * Offer to select the jobs of all pages.
 *
 * @param {{ listing: Listing, onFound: (jobs: Job[]) => void }} props - what is listed, and what to do with its jobs
 * @returns {ReactElement} a button, and what went wrong
 */
const SelectMatching = ({ listing: { query, total }, onFound }) => {
  const [isLoading, setIsLoading] = useState(false);
  const [error, setError] = useState("");
  const abortRef = useRef(/** @type {AbortController | undefined} */ (undefined));
  useEffect(() => () => abortRef.current?.abort(), []);

  const load = async () => {
    const abort = new AbortController();
    abortRef.current = abort;
    setIsLoading(true);
    setError("");
    try {
      const found = await fetchMatchingJobs(query, abort.signal);
      if (abort.signal.aborted) {
        return;
      }
      onFound(found);
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
    setIsLoading(false);
  };
  const number = total > MAX_SELECTED ? `the first ${MAX_SELECTED.toLocaleString()}` : `all ${total.toLocaleString()}`;
  return h(
    Fragment,
    null,
    h(
      Button,
      { disabled: isLoading, onClick: load, size: "sm", variant: "ghost" },
      isLoading ? "Selecting…" : `Select ${number} matching jobs`,
    ),
    error === "" ? null : h(Text, { color: "red.fg", role: "alert" }, error),
  );
};

/**
 * Offer the actions on all selected jobs.
 *
 * @param {{ children: import("react").ReactNode, jobs: Job[], onAct: OnAct, onClear: () => void }} props - the
 *   selected jobs, and what else the bar has
 * @returns {ReactElement} a bar of buttons
 */
const SelectionBar = ({ children, jobs, onAct, onClear }) =>
  h(
    Flex,
    { alignItems: "center", "aria-label": "Actions on the selected jobs", gap: 2, role: "group", wrap: "wrap" },
    h(Text, { "aria-live": "polite", fontWeight: "bold" }, `${jobs.length.toLocaleString()} selected`),
    children,
    findActions(jobs).map((request) =>
      h(
        Button,
        {
          key: request.action,
          onClick: (/** @type {import("react").MouseEvent<HTMLButtonElement>} */ event) =>
            onAct(request, event.currentTarget),
          size: "sm",
          variant: "outline",
        },
        ACTIONS[request.action].label,
        request.jobs.length === jobs.length ? null : ` (${request.jobs.length.toLocaleString()})`,
      ),
    ),
    h(Button, { onClick: onClear, size: "sm", variant: "ghost" }, "Clear selection"),
  );

/**
 * Add actions to a list of jobs, for users who may act on any of them.
 *
 * Selected jobs stay selected on other pages of the list, as the user has seen them last.
 *
 * @param {Job[]} jobs - the jobs on the page
 * @param {Listing} [listing] - the query of the list, and the number of jobs on all of its pages
 * @returns {{ before: Column[], after: Column[], bar: ReactElement | null, dialog: ReactElement | null,
 *   notice: ReactElement | null, onAct: OnAct, editable: Set<string>, selection: Selection }} columns before and after
 *   those of the table, which are shown within the context of the selection, and what is shown above and over the table
 */
export const useActions = (jobs, listing) => {
  const editable = useEditableDags(jobs);
  const [kept, setKept] = useState(/** @type {Map<string, Job>} */ (new Map()));
  const [request, setRequest] = useState(/** @type {ActionRequest | undefined} */ (undefined));
  const openerRef = useRef(/** @type {HTMLElement | null} */ (null));
  const allRef = useRef(/** @type {HTMLInputElement | null} */ (null));
  const latest = new Map(jobs.map((job) => [keyOf(job), job]));
  const selected = new Map([...kept].map(([key, job]) => [key, latest.get(key) ?? job]));
  const own = jobs.filter(({ dag_id }) => editable.has(dag_id));

  const onSelect = useCallback(
    /** @type {OnSelect} */ (changed, isSelected) => {
      setKept((before) => {
        const after = new Map(before);
        changed.forEach((job) => (isSelected ? after.set(keyOf(job), job) : after.delete(keyOf(job))));
        return after;
      });
    },
    [],
  );
  const onClear = () => setKept(new Map());
  const { actNow, notice } = useImmediateAction(() => openerRef.current?.focus());
  const onAct = useCallback(
    /** @type {OnAct} */ (asked, opener) => {
      openerRef.current = opener;
      if (isImmediate(asked)) {
        actNow(asked);
      } else {
        setRequest(asked);
      }
    },
    [actNow],
  );
  const selection = useMemo(() => ({ editable, kept, onAct, onSelect }), [editable, kept, onAct, onSelect]);
  // With the selection, its bar is gone.
  const findOpener = () => (openerRef.current?.isConnected ? openerRef.current : allRef.current);
  /** @param {boolean} hasActed - whether the action was confirmed */
  const onClose = (hasActed) => {
    setRequest(undefined);
    if (hasActed) {
      onClear();
    }
  };
  /** @type {Column} */
  const boxes = {
    header: h(SelectBox, {
      inputRef: allRef,
      jobs: own,
      label: "Select all jobs on this page",
      onSelect,
      selected,
    }),
    label: "Selected",
    show: showBox,
  };
  const isWholePage = own.length > 0 && own.every((job) => selected.has(keyOf(job)));
  const hasMore = listing !== undefined && listing.total > jobs.length && selected.size < listing.total;
  return {
    after: own.length > 0 ? [MENUS] : [],
    bar:
      selected.size === 0
        ? null
        : h(SelectionBar, {
            children:
              isWholePage && hasMore
                ? h(SelectMatching, { key: listing.query, listing, onFound: (found) => onSelect(found, true) })
                : null,
            jobs: [...selected.values()],
            onAct,
            onClear: () => {
              onClear();
              // The button that had the focus is gone.
              allRef.current?.focus();
            },
          }),
    before: own.length > 0 ? [boxes] : [],
    dialog: request === undefined ? null : h(ActionDialog, { findOpener, onClose, request }),
    editable,
    notice,
    onAct,
    selection,
  };
};
