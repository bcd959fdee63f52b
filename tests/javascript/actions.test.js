import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { act, cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { ActionDialog } = await import("../../airflow_provider_asyncapi/plugins/static/action_dialog.js");
const { SelectionContext, useActions } =
  await import("../../airflow_provider_asyncapi/plugins/static/action_controls.js");
const { actOn, countMessages, findActions, keyOf } =
  await import("../../airflow_provider_asyncapi/plugins/static/actions.js");

/** @typedef {import("../../airflow_provider_asyncapi/plugins/static/types.d.ts").Job} Job */

/** @typedef {{ action: string, jobs: Job[] }} Sent */

/** @type {{ url: string, options: { body: string, headers: Record<string, string> } }[]} */
let requests = [];
/** @type {(sent: Sent | undefined) => { status?: number, body: unknown }} */
let answer = () => ({ body: {} });

beforeEach(() => {
  requests = [];
  const respond = async (
    /** @type {URL} */ url,
    /** @type {{ body: string, headers: Record<string, string> }} */ options,
  ) => {
    requests.push({ url: String(url), options });
    const { body, status = 200 } = answer(options.body === undefined ? undefined : JSON.parse(options.body));
    return { json: async () => body, ok: status < 400, status };
  };
  globalThis.fetch = /** @type {typeof fetch} */ (/** @type {unknown} */ (respond));
});
afterEach(cleanup);

/**
 * @param {number} number - the number of the job
 * @param {Partial<Job>} [more] - other fields
 * @returns {Job} a job that is waited for
 */
const makeJob = (number, more) =>
  /** @type {Job} */ ({
    dag_id: "exports",
    run_id: `run-${number}`,
    task_id: "wait",
    map_index: -1,
    try_number: 1,
    state: "deferred",
    identifier: `job-${number}`,
    ...more,
  });

const makeJobs = (/** @type {number} */ count) => Array.from({ length: count }, (_, number) => makeJob(number));

/** @type {(sent: Sent | undefined) => { body: unknown }} */
const succeed = (sent) => ({
  body: {
    results: (sent?.jobs ?? []).map((/** @type {object} */ job) => ({ ...job, message: "It is polled.", ok: true })),
  },
});

/**
 * @param {import("react").ReactElement} element - what to show
 * @returns {import("react").ReactElement} the same within Airflow's theme
 */
const themed = (element) => h(ChakraProvider, { children: element, value: defaultSystem });

test("ten thousand jobs are acted on in a hundred requests below the base path, one after the other", async () => {
  answer = succeed;
  /** @type {number[]} */
  const counts = [];
  await actOn("poll", makeJobs(10_000), (results) => counts.push(results.length), new AbortController().signal);
  assert.equal(requests.length, 100);
  assert.deepEqual(counts.slice(0, 2), [100, 200]);
  assert.equal(counts.at(-1), 10_000);
  const { options, url } = requests[0] ?? assert.fail();
  assert.equal(url, "http://airflow.test/team/asyncapi/actions");
  assert.equal(options.headers["X-AsyncApi-Page"], "1");
  // No more than the server needs to find the task.
  assert.deepEqual(Object.keys(JSON.parse(options.body).jobs[0]), [
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "try_number",
  ]);
});

test("a user who stops sends no further request", async () => {
  answer = succeed;
  const abort = new AbortController();
  await actOn("poll", makeJobs(300), () => abort.abort(), abort.signal);
  assert.equal(requests.length, 1);
});

test("only actions that fit the state of a task are offered", () => {
  const offered = (/** @type {string | null} */ state) =>
    findActions([makeJob(1, { state })]).map(({ action }) => action);
  assert.deepEqual(offered("deferred"), ["poll", "submit_again", "cancel"]);
  assert.deepEqual(offered("running"), ["submit_again", "cancel"]);
  assert.deepEqual(offered("failed"), ["submit_again"]);
  assert.deepEqual(offered("queued"), []);
  assert.deepEqual(offered(null), []);
});

test("the tasks of a mapped task are told apart, whatever their names contain", () => {
  const keys = new Set([
    keyOf(makeJob(1)),
    keyOf(makeJob(1, { map_index: 0 })),
    keyOf(makeJob(1, { dag_id: 'exports","run-1' })),
    keyOf(makeJob(1, { try_number: 2 })),
  ]);
  assert.equal(keys.size, 3);
});

test("equal results are counted, and failures come first", () => {
  const results = [
    { message: "done", ok: true },
    { message: "gone", ok: false },
    { message: "done", ok: true },
  ];
  assert.deepEqual(countMessages(results), [
    { count: 1, message: "gone", ok: false },
    { count: 2, message: "done", ok: true },
  ]);
});

test("nothing happens before the user has confirmed, and the results are shown then", async () => {
  answer = (sent) => ({
    body: {
      results: (sent?.jobs ?? []).map((/** @type {object} */ job, /** @type {number} */ index) => ({
        ...job,
        message: index === 0 ? "The task has ended meanwhile: its state is success." : "A worker cancels the job.",
        ok: index > 0,
      })),
    },
  });
  /** @type {boolean[]} */
  const closed = [];
  const request = { action: /** @type {const} */ ("cancel"), jobs: makeJobs(12) };
  render(themed(h(ActionDialog, { onClose: (hasActed) => closed.push(hasActed), request })));
  const dialog = await screen.findByRole("alertdialog", { name: "Cancel job and fail task: 12 jobs" });
  assert.match(dialog.textContent, /otherwise the job runs on/);
  assert.match(dialog.textContent, /job-0 \(wait, run-0\).*and 4 more/);
  assert.equal(requests.length, 0);
  fireEvent.click(within(dialog).getByRole("button", { name: "Cancel and fail" }));
  await within(dialog).findByText("1 job: The task has ended meanwhile: its state is success.");
  await within(dialog).findByText("11 jobs: A worker cancels the job.");
  // Nothing is cancelled yet.
  assert.ok(within(dialog).getByText("requested"));
  assert.ok(within(dialog).getByText("not done"));
  fireEvent.click(await within(dialog).findByRole("button", { name: "Close" }));
  assert.deepEqual(closed, [true]);
});

test("a user who changes their mind does nothing", async () => {
  /** @type {boolean[]} */
  const closed = [];
  const request = { action: /** @type {const} */ ("cancel"), jobs: makeJobs(1) };
  render(themed(h(ActionDialog, { onClose: (hasActed) => closed.push(hasActed), request })));
  fireEvent.click(await screen.findByRole("button", { name: "Do nothing" }));
  assert.deepEqual(closed, [false]);
  assert.equal(requests.length, 0);
});

for (const [status, body, message] of /** @type {const} */ ([
  [401, {}, "You are no longer logged in. Load the page again to log in."],
  [403, { detail: "You may not edit task instances of this DAG" }, "You may not edit task instances of this DAG"],
  [502, "a proxy's page", "Airflow's API server answered 502."],
])) {
  test(`an answer ${status} is shown, and with it what was done before`, async () => {
    answer = (sent) => (requests.length > 1 ? { body, status } : succeed(sent));
    const request = { action: /** @type {const} */ ("poll"), jobs: makeJobs(150) };
    render(themed(h(ActionDialog, { onClose: () => {}, request })));
    fireEvent.click(await screen.findByRole("button", { name: "Poll now" }));
    assert.equal((await screen.findByRole("alert")).textContent, message);
    screen.getByText("100 jobs: It is polled.");
    screen.getByText("Nothing is known to have been done about 50 jobs.");
  });
}

/**
 * @param {{ jobs: Job[], total?: number }} props - the jobs on the page, and the number of jobs on all pages
 * @returns {import("react").ReactElement} what a page shows of the actions
 */
const Page = ({ jobs, total = 0 }) => {
  const { after, bar, before, dialog, notice, selection } = useActions(jobs, {
    query: "state=deferred&limit=50&offset=50",
    total,
  });
  return h(
    "main",
    null,
    bar,
    before.map(({ header, label }) => h("div", { key: label }, header)),
    h(
      SelectionContext.Provider,
      { value: selection },
      jobs.map((job) =>
        h(
          "div",
          { key: keyOf(job) },
          [...before, ...after].map(({ label, show }) => h("span", { key: label }, show(job))),
        ),
      ),
    ),
    dialog,
    notice,
  );
};

/**
 * @param {{ jobs: Job[] }} props - the jobs of the page
 * @returns {import("react").ReactElement} what the menu of each job does, as a button
 */
const Acting = ({ jobs }) => {
  const { dialog, notice, onAct } = useActions(jobs);
  return h(
    "main",
    null,
    dialog,
    notice,
    jobs.flatMap((job) =>
      /** @type {const} */ (["poll", "submit_again"]).map((action) =>
        h(
          "button",
          { key: `${action} ${job.identifier}`, onClick: () => onAct({ action, jobs: [job] }, null) },
          `${action} ${job.identifier}`,
        ),
      ),
    ),
  );
};

test("one job is polled at once, since that changes nothing remote, and the result is shown", async () => {
  let isOk = true;
  answer = (sent) =>
    sent === undefined
      ? { body: { dag_ids: ["exports"] } }
      : { body: { results: sent.jobs.map((job) => ({ ...job, message: isOk ? "Polled." : "Ended.", ok: isOk })) } };
  render(themed(h(Acting, { jobs: makeJobs(2) })));
  fireEvent.click(screen.getByRole("button", { name: "poll job-1" }));
  await waitFor(() => assert.equal(screen.getByRole("status").textContent, "Poll now, job job-1: Polled.Dismiss"));
  assert.equal(screen.queryByRole("alertdialog"), null);
  isOk = false;
  fireEvent.click(screen.getByRole("button", { name: "poll job-0" }));
  assert.equal((await screen.findByRole("alert")).textContent, "Poll now, job job-0: Ended.Dismiss");
  fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
  assert.equal(screen.queryByRole("alert"), null);
});

test("an action that changes something remote is confirmed for one job, too", async () => {
  answer = () => ({ body: { dag_ids: ["exports"] } });
  render(themed(h(Acting, { jobs: makeJobs(1) })));
  fireEvent.click(screen.getByRole("button", { name: "submit_again job-0" }));
  await screen.findByRole("alertdialog", { name: "Submit again: 1 job" });
  assert.ok(requests.every(({ options }) => options.body === undefined));
});

test("a server that can't say on which jobs the user may act is asked again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  answer = () => (requests.length === 1 ? { body: {}, status: 503 } : { body: { dag_ids: ["exports"] } });
  await act(async () => void render(themed(h(Page, { jobs: makeJobs(1) }))));
  assert.equal(screen.queryAllByRole("checkbox").length, 0);
  await act(async () => context.mock.timers.tick(10_000));
  assert.equal(requests.length, 2);
  assert.ok(screen.getByRole("checkbox", { name: "Select job job-0" }));
});

test("a user who may edit nothing sees neither boxes nor menus", async () => {
  answer = () => ({ body: { dag_ids: [] } });
  render(themed(h(Page, { jobs: makeJobs(2) })));
  await waitFor(() => assert.equal(requests.length, 1));
  assert.match(requests[0]?.url ?? "", /\/team\/asyncapi\/actions\?dag_id=exports$/);
  assert.equal(screen.queryAllByRole("checkbox").length, 0);
  assert.equal(screen.queryAllByRole("button").length, 0);
});

test("jobs stay selected on other pages, and are sent as they were seen last", async () => {
  answer = (sent) => (sent ? succeed(sent) : { body: { dag_ids: ["exports"] } });
  const others = [makeJob(7, { dag_id: "closed" })];
  const { rerender } = render(themed(h(Page, { jobs: [...makeJobs(2), ...others] })));
  fireEvent.click(await screen.findByRole("checkbox", { name: "Select all jobs on this page" }));
  assert.equal(screen.queryByRole("checkbox", { name: "Select job job-7" }), null);
  await screen.findByText("2 selected");
  rerender(themed(h(Page, { jobs: [makeJob(1, { try_number: 2 }), makeJob(3, { state: "failed" })] })));
  fireEvent.click(await screen.findByRole("checkbox", { name: "Select job job-3" }));
  await screen.findByText("3 selected");
  screen.getByRole("button", { name: "Submit again" });
  fireEvent.click(screen.getByRole("button", { name: /^Poll now \(2\)/ }));
  fireEvent.click(await screen.findByRole("button", { name: "Poll now" }));
  await screen.findByText("2 jobs: It is polled.");
  const sent = JSON.parse(requests.at(-1)?.options.body ?? "");
  assert.deepEqual(
    sent.jobs.map((/** @type {Job} */ { run_id, try_number }) => [run_id, try_number]),
    [
      ["run-0", 1],
      ["run-1", 2],
    ],
  );
  fireEvent.click(screen.getByRole("button", { name: "Close" }));
  await waitFor(() => assert.equal(screen.queryByText("3 selected"), null));
});

test("all jobs that match are selected over the pages, except those on which the user may not act", async () => {
  const all = [...makeJobs(449), makeJob(449, { dag_id: "closed" })];
  /** @type {number[]} */
  const asked = [];
  answer = (sent) => {
    const { pathname, searchParams } = new URL(requests.at(-1)?.url ?? "");
    if (sent !== undefined) {
      return succeed(sent);
    }
    if (pathname.endsWith("/actions")) {
      return { body: { dag_ids: ["exports"] } };
    }
    assert.equal(searchParams.get("state"), "deferred");
    const [limit, offset] = ["limit", "offset"].map((name) => Number(searchParams.get(name)));
    asked.push(offset ?? -1);
    return { body: { jobs: all.slice(offset, (offset ?? 0) + (limit ?? 0)), total: all.length } };
  };
  render(themed(h(Page, { jobs: makeJobs(50), total: all.length })));
  fireEvent.click(await screen.findByRole("checkbox", { name: "Select job job-0" }));
  await screen.findByText("1 selected");
  assert.equal(screen.queryByRole("button", { name: /matching jobs/ }), null);
  fireEvent.click(screen.getByRole("checkbox", { name: "Select all jobs on this page" }));
  fireEvent.click(await screen.findByRole("button", { name: "Select all 450 matching jobs" }));
  await screen.findByText("449 selected");
  assert.deepEqual(asked, [0, 200, 400]);
  fireEvent.click(screen.getByRole("button", { name: "Poll now" }));
  fireEvent.click(within(await screen.findByRole("alertdialog")).getByRole("button", { name: "Poll now" }));
  await screen.findByText("449 jobs: It is polled.");
});

test("that not all jobs can be selected is told, and those that are selected stay so", async () => {
  answer = () =>
    requests.at(-1)?.url.includes("/jobs?") ? { body: {}, status: 503 } : { body: { dag_ids: ["exports"] } };
  render(themed(h(Page, { jobs: makeJobs(2), total: 20_000 })));
  fireEvent.click(await screen.findByRole("checkbox", { name: "Select all jobs on this page" }));
  fireEvent.click(await screen.findByRole("button", { name: "Select the first 10,000 matching jobs" }));
  assert.equal((await screen.findByRole("alert")).textContent, "Airflow's API server answered 503.");
  screen.getByText("2 selected");
});
