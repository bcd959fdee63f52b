/*
 * The page "Async API jobs", as a component for Airflow's UI.
 *
 * The browser runs this file as it is, without a build step. React, the router and Chakra UI are those of Airflow's own
 * page, so colours, fonts, dark mode and navigation are Airflow's too. React renders all values from an API as text.
 */

const { createElement: h, useCallback, useEffect, useRef, useState } = globalThis.React;
const { Link: RouterLink, useSearchParams } = globalThis.ReactRouterDOM;
const { Alert, Badge, Box, Button, Flex, Heading, HStack, Input, Link, NativeSelect, Progress, Spinner, Table, Text } =
  globalThis.ChakraUI;

const NAME = "Async API jobs";
const REFRESH_SECONDS = 5;
const PAGE_SIZE = 50;
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

/* ---- Data ---- */

/** Load the jobs, and reload them every few seconds while the page is visible. */
const useJobs = (query) => {
  const [answer, setAnswer] = useState({ data: undefined, error: undefined, query: undefined });

  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const load = async () => {
      if (document.visibilityState === "visible") {
        try {
          const data = await fetchJobs(query, abort.signal);
          setAnswer({ data, error: undefined, query });
        } catch (error) {
          if (abort.signal.aborted) {
            return;
          }
          // The jobs stay on the page if the server is unavailable for a moment.
          setAnswer((before) => ({ ...before, error: error.message }));
        }
      }
      if (!abort.signal.aborted) {
        timer = setTimeout(load, REFRESH_SECONDS * 1000);
      }
    };
    const wake = () => {
      if (document.visibilityState === "visible") {
        clearTimeout(timer);
        load();
      }
    };
    load();
    document.addEventListener("visibilitychange", wake);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
    };
  }, [query]);

  return { ...answer, isStale: answer.query !== query };
};

const fetchJobs = async (query, signal) => {
  const response = await fetch(new URL(`asyncapi/jobs?${query}`, document.baseURI), {
    headers: { Accept: "application/json" },
    signal,
  });
  if (response.status === 401) {
    throw new Error("You are no longer logged in. Load the page again to log in.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const detail = typeof body.detail === "string" ? body.detail : `Airflow's API server answered ${response.status}.`;
    throw new Error(detail);
  }
  // The browser's clock may be wrong; ages and countdowns use the server's.
  return { ...body, clockOffset: new Date(body.now) - Date.now() };
};

/** Store the filters in the page's URL, so that it can be bookmarked and shared. */
const useView = () => {
  const [params, setParams] = useSearchParams();
  const view = {
    group: params.get("jobs_group") ?? "",
    hours: params.get("jobs_hours") ?? "24",
    offset: Math.max(0, Number.parseInt(params.get("jobs_offset") ?? "0", 10) || 0),
    order: params.get("jobs_order") ?? "-started_at",
    search: params.get("jobs_search") ?? "",
  };
  const change = useCallback(
    (changes) =>
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          // Other filters begin at the first page.
          Object.entries({ offset: "", ...changes }).forEach(([name, value]) => {
            if (value === "" || value === 0) {
              after.delete(`jobs_${name}`);
            } else {
              after.set(`jobs_${name}`, String(value));
            }
          });
          return after;
        },
        { replace: true },
      ),
    [setParams],
  );
  return [view, change];
};

const useNow = (offset) => {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now + offset;
};

/* ---- Formatting ---- */

const duration = (milliseconds) => {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min ${seconds % 60} s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
};

const until = (moment, now, over) => {
  if (moment === null) {
    return "";
  }
  const left = new Date(moment) - now;
  return left > 0 ? duration(left) : over;
};

const since = (moment, now) => (moment === null ? "" : duration(now - new Date(moment)));

const exactly = (moment) => (moment === null ? undefined : new Date(moment).toLocaleString());

const dagPath = (dagId) => `/dags/${encodeURIComponent(dagId)}`;

const runPath = ({ dag_id, run_id }) => `${dagPath(dag_id)}/runs/${encodeURIComponent(run_id)}`;

const taskPath = (job) =>
  `${runPath(job)}/tasks/${encodeURIComponent(job.task_id)}${job.map_index < 0 ? "" : `/mapped/${job.map_index}`}`;

/* ---- Components ---- */

const LINK = { color: "fg.info", fontWeight: "bold" };

const InnerLink = ({ children, ...props }) => h(Link, { asChild: true, ...LINK }, h(RouterLink, props, children));

/** A link that leaves Airflow; the server has checked that it is an http(s) URL. */
const OuterLink = ({ children, href, ...props }) =>
  h(Link, { ...LINK, href, rel: "noopener noreferrer", target: "_blank", ...props }, children);

/** Text of any length that wraps at the width of its column. */
const Wrapped = ({ children, ...props }) =>
  h(Box, { maxW: "14rem", overflowWrap: "anywhere", whiteSpace: "normal", ...props }, children);


const ProgressBar = ({ label, value }) =>
  value === null
    ? h(Text, { color: "fg.muted" }, "–")
    : h(
        Progress.Root,
        { "aria-label": label, colorPalette: "brand", max: 1, minW: "7rem", size: "sm", value },
        h(
          HStack,
          { gap: 2 },
          h(Progress.Track, { flex: 1 }, h(Progress.Range)),
          h(Text, { fontVariantNumeric: "tabular-nums", minW: "3ch", textAlign: "end" }, `${Math.floor(value * 100)}%`),
        ),
      );

/** Long text, cut to three lines until it is pressed. */
const Folded = ({ children, ...props }) => {
  const [isOpen, setIsOpen] = useState(false);
  return h(
    Button,
    {
      "aria-expanded": isOpen,
      borderWidth: 0,
      display: "block",
      fontWeight: "normal",
      h: "auto",
      minW: "14rem",
      onClick: () => setIsOpen(!isOpen),
      p: 0,
      textAlign: "start",
      title: isOpen ? undefined : children,
      variant: "plain",
      whiteSpace: "normal",
      ...props,
    },
    h(Text, { as: "span", fontSize: "sm", lineClamp: isOpen ? undefined : 3, overflowWrap: "anywhere" }, children),
  );
};

/** The sort icons of Airflow's own tables. */
const SortMark = ({ direction }) =>
  h(
    "svg",
    { "aria-hidden": true, fill: "currentColor", height: "0.8em", viewBox: "0 0 10 14" },
    direction === "descending" ? null : h("path", { d: "M0 6 5 0l5 6z" }),
    direction === "ascending" ? null : h("path", { d: "m0 8 5 6 5-6z" }),
  );

const Header = ({ children, column, onSort, order }) => {
  if (column === undefined) {
    return h(Table.ColumnHeader, { whiteSpace: "nowrap" }, children);
  }
  const direction = order.replace("-", "") === column ? (order.startsWith("-") ? "descending" : "ascending") : undefined;
  const next = direction === "ascending" ? `-${column}` : column;
  return h(
    Table.ColumnHeader,
    { "aria-sort": direction },
    h(
      Button,
      { fontWeight: "inherit", gap: 1, h: "auto", onClick: () => onSort(next), p: 0, size: "sm", variant: "plain" },
      children,
      h(SortMark, { direction }),
    ),
  );
};

/** Label, sort order and content of each column. */
const COLUMNS = [
  {
    label: "State",
    order: "state",
    show: ({ state }) =>
      h(Badge, { borderRadius: "full", colorPalette: state ?? "none", variant: "solid" }, state ?? "no status"),
  },
  {
    label: "Job",
    order: "identifier",
    show: ({ identifier, url }) =>
      h(
        Wrapped,
        // A long identifier gets a minimum width before other columns take it.
        { fontFamily: "mono", fontSize: "xs", minW: `min(${(identifier ?? "").length}ch, 11rem)` },
        url === null
          ? identifier ?? "–"
          : h(OuterLink, { "aria-label": `${identifier}, opens the job's page at the vendor`, href: url }, identifier, " ↗"),
      ),
  },
  {
    label: "Status",
    order: "status",
    show: ({ attempt, error, last_failure, status }) =>
      h(
        Wrapped,
        { maxW: "22rem" },
        attempt === 1
          ? null
          : h(
              Text,
              { color: "fg.muted", fontSize: "sm", title: `Attempt ${attempt - 1} has failed: ${last_failure ?? "no message"}` },
              `attempt ${attempt}`,
            ),
        status ?? (error === null ? "–" : null),
        error === null ? null : h(Folded, { color: "fg.error" }, error),
      ),
  },
  {
    label: "Progress",
    order: "progress",
    show: ({ identifier, progress }) => h(ProgressBar, { label: `Progress of job ${identifier}`, value: progress }),
  },
  {
    label: "Dag",
    order: "dag_id",
    show: ({ dag_id }) => h(Wrapped, null, h(InnerLink, { to: dagPath(dag_id) }, dag_id)),
  },
  {
    label: "Dag Run",
    order: "run_id",
    show: (job) => h(Wrapped, null, h(InnerLink, { to: runPath(job) }, job.run_id)),
  },
  {
    label: "Task",
    order: "task_id",
    show: (job) =>
      h(
        Wrapped,
        null,
        h(InnerLink, { to: taskPath(job) }, job.map_index < 0 ? job.task_id : `${job.task_id} [${job.map_index}]`),
      ),
  },
  { label: "Connection", order: "conn_id", show: ({ conn_id }) => h(Wrapped, null, conn_id ?? "–") },
  {
    label: "Age",
    order: "started_at",
    show: ({ group, started_at, submitted_at, warned_at }, now) => {
      const began = submitted_at ?? started_at;
      return h(
        Box,
        { whiteSpace: "nowrap" },
        h(Text, { title: exactly(began) }, since(began, now)),
        warned_at === null || group !== "waiting"
          ? null
          : h(
              Text,
              { color: "fg.warning", fontSize: "sm", title: `Longer than warn_after since ${exactly(warned_at)}` },
              "longer than expected",
            ),
      );
    },
  },
  {
    label: "Time left",
    order: "deadline",
    show: ({ deadline, group }, now) =>
      group === "waiting" && h(Text, { title: exactly(deadline), whiteSpace: "nowrap" }, until(deadline, now, "expired")),
  },
  {
    label: "Next poll",
    show: ({ delay, next_poll }, now) =>
      h(
        Box,
        { whiteSpace: "nowrap" },
        h(Text, { title: exactly(next_poll) }, until(next_poll, now, "now")),
        delay === null
          ? null
          : h(
              Text,
              { color: "fg.warning", fontSize: "sm", title: "Polls are later than poke_interval." },
              `${duration(delay.seconds * 1000)} late (${delay.reason})`,
            ),
      ),
  },
  {
    label: "Log",
    // Airflow opens the page of a task instance with its log.
    show: (job) =>
      h(
        InnerLink,
        { "aria-label": `Log of ${job.task_id}`, to: `${taskPath(job)}?try_number=${job.try_number}` },
        "Log",
      ),
  },
];

const SearchBox = ({ onSearch, search }) => {
  const [text, setText] = useState(search);
  const timer = useRef();
  useEffect(() => setText(search), [search]);
  return h(Input, {
    "aria-label": "Search jobs",
    maxLength: 200,
    onChange: (event) => {
      const { value } = event.target;
      setText(value);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => onSearch(value.trim()), 300);
    },
    placeholder: "Search by Dag, run, task, connection or job",
    size: "sm",
    type: "search",
    value: text,
    w: { base: "full", md: "24rem" },
  });
};

const Filters = ({ change, groups, view }) => {
  const counts = { "": Object.values(groups ?? {}).reduce((sum, count) => sum + count, 0), ...groups };
  return h(
    Flex,
    { alignItems: "center", gap: 3, wrap: "wrap" },
    h(SearchBox, { onSearch: (search) => change({ search }), search: view.search }),
    h(
      HStack,
      { "aria-label": "Filter by state", gap: 1, role: "group" },
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
    h(
      NativeSelect.Root,
      { size: "sm", w: "auto" },
      h(
        NativeSelect.Field,
        { "aria-label": "Maximum age of runs", onChange: (event) => change({ hours: event.target.value }), value: view.hours },
        AGES.map(({ label, value }) => h("option", { key: value, value }, label)),
      ),
      h(NativeSelect.Indicator),
    ),
  );
};

const Pages = ({ change, total, view }) =>
  total <= PAGE_SIZE && view.offset === 0
    ? null
    : h(
        HStack,
        { gap: 3, justifyContent: "flex-end" },
        h(Text, { color: "fg.muted", fontSize: "sm" }, `${Math.min(view.offset + 1, total)}–${Math.min(view.offset + PAGE_SIZE, total)} of ${total}`),
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

const Nothing = ({ view }) =>
  h(
    Box,
    { color: "fg.muted", py: 10, textAlign: "center" },
    view.search || view.group
      ? "No matching jobs."
      : "No jobs yet. Jobs appear here when a sensor of this provider waits for them.",
  );

/* ---- The page ---- */

/** Airflow passes the ids if the page is a tab of a DAG or of a task instance. */
const JobsPage = ({ dagId, mapIndex, runId, taskId }) => {
  const [view, change] = useView();
  const query = new URLSearchParams(
    Object.entries({
      dag_id: dagId,
      group: view.group,
      hours: view.hours,
      limit: PAGE_SIZE,
      map_index: taskId === undefined ? undefined : (mapIndex ?? -1),
      offset: view.offset,
      order_by: view.order,
      run_id: runId,
      search: view.search,
      task_id: taskId,
    }).filter(([, value]) => value !== undefined && value !== ""),
  ).toString();
  const { data, error, isStale } = useJobs(query);
  const now = useNow(data?.clockOffset ?? 0);
  // A tab doesn't repeat the value that all of its rows share.
  const hidden = { "Dag": dagId, "Dag Run": runId, "Log": taskId, "Task": taskId };
  const columns = COLUMNS.filter(({ label }) => hidden[label] === undefined);

  return h(
    Flex,
    { direction: "column", gap: 3, p: 2 },
    dagId === undefined ? h(Heading, { size: "md" }, NAME) : null,
    taskId === undefined ? h(Filters, { change, groups: data?.groups, view }) : null,
    error === undefined
      ? null
      : h(
          Alert.Root,
          { role: "alert", status: "error" },
          h(Alert.Indicator),
          h(Alert.Content, null, h(Alert.Description, null, error)),
        ),
    data === undefined
      ? error === undefined && h(Flex, { justifyContent: "center", py: 10 }, h(Spinner, { "aria-label": "Loading" }))
      : data.jobs.length === 0
        ? h(Nothing, { view })
        : h(
            Table.ScrollArea,
            { opacity: isStale ? 0.6 : 1 },
            h(
              Table.Root,
              { "aria-label": NAME, size: "sm", striped: true },
              h(
                Table.Header,
                null,
                h(
                  Table.Row,
                  null,
                  columns.map(({ label, order }) =>
                    h(
                      Header,
                      { column: order, key: label, onSort: (wanted) => change({ order: wanted }), order: view.order },
                      label,
                    ),
                  ),
                ),
              ),
              h(
                Table.Body,
                null,
                data.jobs.map((job) =>
                  h(
                    Table.Row,
                    { key: [job.dag_id, job.run_id, job.task_id, job.map_index].join("\n") },
                    columns.map(({ label, show }) => h(Table.Cell, { key: label }, show(job, now))),
                  ),
                ),
              ),
            ),
          ),
    data === undefined ? null : h(Pages, { change, total: data.total, view }),
  );
};

// Airflow looks for the component by either name, and by the first one on its next page.
globalThis[NAME] = JobsPage;
globalThis.AirflowPlugin = JobsPage;
