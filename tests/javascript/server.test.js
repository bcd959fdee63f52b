import assert from "node:assert/strict";
import test from "node:test";

import { act, cleanup, render, screen } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { MemoryRouter } = globalThis.ReactRouterDOM;
const { useAnswer } = await import("../../airflow_provider_asyncapi/plugins/static/server.js");
const { DetailsView } = await import("../../airflow_provider_asyncapi/plugins/static/details.js");

/**
 * @param {{ now: string }} body - what the server answers
 * @param {number} [status] - its status code
 * @returns {Response} the response
 */
const answerOf = (body, status = 200) => new Response(JSON.stringify(body), { status });

const Probe = () => {
  const { data } = useAnswer("http://airflow.test/jobs");
  return h("output", null, /** @type {{ now: string } | undefined} */ (data)?.now ?? "nothing");
};

test("a page that becomes visible while it loads goes on to load once per pause, and shows the latest answer", async (t) => {
  t.after(cleanup);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {((response: Response) => void)[]} */
  const pending = [];
  const fetched = t.mock.method(globalThis, "fetch", () => new Promise((resolve) => pending.push(resolve)));
  render(h(Probe));
  act(() => void document.dispatchEvent(new Event("visibilitychange")));
  assert.equal(pending.length, 2);
  await act(async () => pending[1]?.(answerOf({ now: "2026-01-31T12:00:02Z" })));
  await act(async () => pending[0]?.(answerOf({ now: "2026-01-31T12:00:01Z" })));
  assert.equal(screen.getByRole("status").textContent, "2026-01-31T12:00:02Z");
  await act(async () => t.mock.timers.tick(5000));
  assert.equal(fetched.mock.callCount(), 3);
});

test("an answer that is aborted while its body arrives, and one that isn't JSON, replace nothing", async (t) => {
  t.after(cleanup);
  /** @type {{ url: string, signal: AbortSignal, answer: (response: Response) => void }[]} */
  const pending = [];
  t.mock.method(globalThis, "fetch", (/** @type {URL} */ url, /** @type {{ signal: AbortSignal }} */ { signal }) => {
    return new Promise((answer) => pending.push({ url: url.href, signal, answer }));
  });
  const Follower = (/** @type {{ url: string }} */ { url }) => {
    const { data, error } = useAnswer(url);
    const now = /** @type {{ now: string } | undefined} */ (data)?.now;
    return h("output", null, data === undefined ? "nothing" : `at ${now}`, error);
  };
  const text = () => screen.getByRole("status").textContent;
  const { rerender } = render(h(Follower, { url: "http://airflow.test/jobs?by=run" }));
  const [first] = pending;
  assert.ok(first);
  // As a browser does it: the head has arrived, and the abort ends the body.
  const body = new ReadableStream({
    start: (controller) => first.signal.addEventListener("abort", () => controller.error(first.signal.reason)),
  });
  await act(async () => first.answer(new Response(body)));
  await act(async () => rerender(h(Follower, { url: "http://airflow.test/jobs" })));
  assert.equal(text(), "nothing");
  await act(async () => pending[1]?.answer(answerOf({ now: "2026-01-31T12:00:00Z" })));
  assert.equal(text(), "at 2026-01-31T12:00:00Z");
  await act(async () => void document.dispatchEvent(new Event("visibilitychange")));
  await act(async () => pending[2]?.answer(new Response("<p>Log in</p>")));
  assert.equal(text(), "at 2026-01-31T12:00:00ZThe answer isn't JSON. Load the page again.");
  for (const [index, body] of [null, [], { error: "log in" }, { now: "yesterday" }].entries()) {
    await act(async () => void document.dispatchEvent(new Event("visibilitychange")));
    await act(async () => pending[3 + index]?.answer(answerOf(/** @type {never} */ (body))));
    assert.match(text() ?? "", /^at 2026-01-31T12:00:00ZThe answer isn't one of this page's server/);
  }
});

test("the tab of a task of another operator raises no alarm", async (t) => {
  t.after(cleanup);
  t.mock.method(globalThis, "fetch", async () =>
    answerOf(/** @type {never} */ ({ detail: "There is no such job" }), 404),
  );
  const place = { dagId: "etl", runId: "r", taskId: "load", mapIndex: -1 };
  const view = h(DetailsView, { isTab: true, place });
  await act(async () => {
    render(h(ChakraProvider, { value: defaultSystem, children: h(MemoryRouter, null, view) }));
  });
  assert.ok(screen.getByText("This task waits for no remote job."));
  assert.equal(screen.queryByRole("alert"), null);
});
