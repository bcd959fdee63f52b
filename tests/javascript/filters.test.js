import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { MemoryRouter, useLocation } = globalThis.ReactRouterDOM;
const { Filters } = await import("../../airflow_provider_asyncapi/plugins/static/filters.js");
const { useView } = await import("../../airflow_provider_asyncapi/plugins/static/view.js");

const Toolbar = () => {
  const [view, change] = useView();
  const { search } = useLocation();
  return h(
    "div",
    null,
    h(Filters, { change, connections: [], groups: undefined, isOfOneDag: true, view }),
    h("output", null, search),
  );
};

const renderToolbar = () =>
  render(h(ChakraProvider, { value: defaultSystem, children: h(MemoryRouter, null, h(Toolbar)) }));

const search = () => new URLSearchParams(screen.getByRole("status").textContent ?? "");

test("a click while typed text is about to be searched for loses neither", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  renderToolbar();
  fireEvent.change(screen.getByLabelText("Search jobs"), { target: { value: "part-" } });
  act(() => mock.timers.tick(100));
  fireEvent.click(screen.getByRole("button", { name: "Failed" }));
  act(() => mock.timers.tick(300));
  assert.equal(search().get("jobs_search"), "part-");
  assert.equal(search().get("jobs_group"), "failed");
  cleanup();
  mock.timers.reset();
});

test("two clicks before the page is drawn again both count", () => {
  renderToolbar();
  act(() => {
    screen.getByRole("button", { name: "Waiting" }).click();
    fireEvent.change(screen.getByLabelText("Maximum age of runs"), { target: { value: "744" } });
  });
  assert.equal(search().get("jobs_group"), "waiting");
  assert.equal(search().get("jobs_hours"), "744");
  cleanup();
});
