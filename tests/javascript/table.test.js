import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { act, cleanup, render, screen } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { MemoryRouter } = globalThis.ReactRouterDOM;
const { Ticking } = await import("../../airflow_provider_asyncapi/plugins/static/clock.js");
const { COLUMNS } = await import("../../airflow_provider_asyncapi/plugins/static/columns.js");
const { findSurplus, JobsTable } = await import("../../airflow_provider_asyncapi/plugins/static/table.js");

/** @typedef {import("../../airflow_provider_asyncapi/plugins/static/types.d.ts").Column} Column */
/** @typedef {import("../../airflow_provider_asyncapi/plugins/static/types.d.ts").Job} Job */

const NOW = Date.parse("2026-03-01T12:00:00Z");
const at = (/** @type {number} */ seconds) => new Date(NOW + seconds * 1000).toISOString();

/** @type {(number: number, changes?: Partial<Job>) => Job} */
const makeJob = (number, changes = {}) => ({
  dag_id: "exports",
  run_id: "daily",
  task_id: "wait",
  map_index: number,
  try_number: 1,
  kind: "wait",
  state: "deferred",
  group: "waiting",
  health: { level: "ok", reasons: [] },
  conn_id: "vendor",
  identifier: `job-${number}`,
  status: "RUNNING",
  progress: 0.5,
  submitted_at: at(-300),
  started_at: at(-300),
  ended_at: null,
  duration: 300,
  deadline: at(7300),
  warned_at: null,
  polls: 10,
  has_estimated_polls: false,
  last_polled: at(-5),
  next_poll: at(25),
  is_next_poll_latest: false,
  next_poll_reason: null,
  delay: null,
  error: null,
  attempt: 1,
  last_failure: null,
  url: null,
  ...changes,
});

test("a tick changes the texts that tell the time, and renders no row again", (context) => {
  context.after(cleanup);
  mock.timers.enable({ apis: ["Date", "setInterval"], now: NOW });
  context.after(() => mock.timers.reset());
  const rendered = { rows: 0, writes: 0 };
  /** @type {Column} */
  const counting = {
    label: "Counting",
    show: () => {
      rendered.rows += 1;
      return h(Ticking, {
        write: () => {
          rendered.writes += 1;
          return "the same";
        },
      });
    },
  };
  const columns = [...COLUMNS.filter(({ isOptional }) => !isOptional), counting];
  const show = (/** @type {Job[]} */ jobs, header = "") =>
    h(ChakraProvider, {
      value: defaultSystem,
      children: h(
        MemoryRouter,
        null,
        h(JobsTable, {
          columns: columns.map((column) => ({ ...column, header })),
          isStale: false,
          jobs,
          label: "Jobs",
          onSort: () => {},
          order: "",
        }),
      ),
    });
  const { rerender } = render(show([1, 2, 3].map((number) => makeJob(number))));
  assert.equal(screen.getAllByText("next in 25 s").length, 3);
  assert.equal(screen.getAllByText("5 min").length, 3);
  rendered.rows = 0;
  rendered.writes = 0;

  act(() => mock.timers.tick(2000));
  assert.equal(screen.getAllByText("next in 23 s").length, 3);
  assert.equal(screen.getAllByText("last 7 s ago").length, 3);
  assert.equal(screen.getAllByText("5 min").length, 3);
  assert.ok(rendered.writes > 0);
  assert.equal(rendered.rows, 0);

  // The server measures the duration anew for each answer.
  rerender(
    show(
      [1, 2, 3].map((number) => makeJob(number, { duration: 302 })),
      "another",
    ),
  );
  assert.equal(rendered.rows, 0);
  rerender(show([makeJob(1), makeJob(2, { has_estimated_polls: true, status: "DONE" }), makeJob(3)]));
  assert.equal(rendered.rows, 1);
  screen.getByText("DONE");
  screen.getByText("about 10 polls");
  assert.equal(screen.getAllByText("10 polls").length, 2);
  rerender(show([makeJob(1), makeJob(2), makeJob(3, { is_next_poll_latest: true })]));
  screen.getByText("next within 23 s");
});

test("as many columns are folded at once as are too wide", () => {
  const columns = COLUMNS.filter(({ isOptional }) => !isOptional);
  const columnWidths = new Map(columns.map(({ label }) => [label, 100]));
  const fold = (/** @type {number} */ available, count = 0) =>
    findSurplus(columns, count, { available, columnWidths, needed: 900 - 100 * count });
  assert.deepEqual(fold(900), []);
  assert.deepEqual(fold(850), [900]);
  assert.deepEqual(fold(600), [900, 800, 700]);
  assert.deepEqual(fold(600, 2), [700]);
  // All that can be folded.
  assert.equal(fold(0).length, 5);
  assert.deepEqual(fold(0, 5), []);
});
