import assert from "node:assert/strict";
import test from "node:test";

import { cleanup, fireEvent, render, screen } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { describeRateLimits, listFigures, Overview } =
  await import("../../airflow_provider_asyncapi/plugins/static/overview.js");

/** @typedef {import("../../airflow_provider_asyncapi/plugins/static/types.d.ts").ConnectionOverview} Connection */

/** @type {(conn_id: string, waiting: number, changes?: Partial<Connection>) => Connection} */
const makeConnection = (conn_id, waiting, changes = {}) => ({
  conn_id,
  waiting,
  at_risk: 0,
  failed: 0,
  done: 1,
  error_rate: 0,
  rate_limited: 0,
  rate_limited_since: null,
  rate_limited_until: null,
  last_success: null,
  median_duration: null,
  ...changes,
});

const show = (/** @type {Connection[]} */ connections, selected = "") =>
  h(ChakraProvider, { value: defaultSystem, children: h(Overview, { connections, onSelect: () => {}, selected }) });

const listNames = () =>
  screen.getAllByRole("button").map((each) => each.firstElementChild?.textContent ?? each.textContent);

test("connections without waiting jobs are one line, and all are in the order of their names", (context) => {
  context.after(cleanup);
  const connections = [
    makeConnection("studio", 2, { at_risk: 2 }),
    makeConnection("busy", 1),
    makeConnection("warehouse", 0),
    makeConnection("celigo", 0),
  ];
  const { rerender } = render(show(connections));
  assert.deepEqual(listNames(), ["busy", "studio", "▸ 2 more connections without waiting jobs"]);
  fireEvent.click(screen.getByRole("button", { name: /2 more connections/ }));
  assert.equal(screen.getByRole("button", { name: /2 more connections/ }).getAttribute("aria-expanded"), "true");
  assert.deepEqual(listNames().slice(3), ["celigo", "warehouse"]);
  fireEvent.click(screen.getByRole("button", { name: /2 more connections/ }));

  rerender(show(connections, "celigo"));
  assert.deepEqual(listNames(), ["busy", "celigo", "studio", "▸ 1 more connection without waiting jobs"]);
});

test("of many connections with waiting jobs, those at risk have a card", (context) => {
  context.after(cleanup);
  const many = Array.from({ length: 13 }, (_, index) => makeConnection(`calm-${index}`, 1));
  render(show([makeConnection("risky", 1, { at_risk: 1 }), ...many]));
  assert.equal(listNames().at(-2), "risky");
  assert.equal(listNames().at(-1), "▸ 2 more connections");
});

test("failures are told with the number of ended tasks, and not at all if none has ended", () => {
  const find = (/** @type {Partial<Connection>} */ changes) =>
    listFigures(makeConnection("studio", 1, changes)).find(({ label }) => label === "failed");
  assert.deepEqual(find({ done: 0, error_rate: 1, failed: 1 }), { isBad: true, label: "failed", value: "1 of 1" });
  assert.deepEqual(find({ done: 3, failed: 0 }), { isBad: false, label: "failed", value: "0 of 3" });
  assert.equal(find({ done: 0, error_rate: null }), undefined);
});

test("the title of answers 429 stays the same while their period goes on", () => {
  const title = (/** @type {string} */ until) =>
    listFigures(
      makeConnection("studio", 1, {
        rate_limited: 3,
        rate_limited_since: "2026-01-31T14:05:00Z",
        rate_limited_until: until,
      }),
    ).find(({ label }) => label === "")?.title;
  assert.ok(title("2026-01-31T14:41:29Z")?.includes("the first one at"));
  assert.equal(title("2026-01-31T14:41:23Z"), title("2026-01-31T14:41:29Z"));
});

test("answers 429 are told with their period, which goes on or is over", () => {
  localStorage.setItem("timezone", '"UTC"');
  const describe = (/** @type {number} */ count, /** @type {string} */ since, /** @type {string} */ until) =>
    describeRateLimits(count, since, until, Date.parse("2026-01-31T15:00:00Z"));
  assert.equal(describe(3, "2026-01-31T14:05:00Z", "2026-01-31T14:59:40Z"), "3 answers 429 since 14:05");
  assert.equal(
    describe(3, "2026-01-30T14:05:00Z", "2026-01-31T14:20:00Z"),
    "3 answers 429 from 2026-01-30 14:05 to 14:20",
  );
  assert.equal(describe(1, "2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z"), "1 answer 429 at 14:05");
  localStorage.removeItem("timezone");
});
