import assert from "node:assert/strict";
import test from "node:test";

import { cleanup, render, screen } from "@testing-library/react";

const { ChakraProvider, defaultSystem } = globalThis.ChakraUI;
const { createElement: h } = globalThis.React;
const { formatShortMoment } = await import("../../airflow_provider_asyncapi/plugins/static/format.js");
const { ProgressBar, Reasons, wrapName, wrapText } =
  await import("../../airflow_provider_asyncapi/plugins/static/cells.js");

/** @type {(child: import("react").ReactElement) => void} */
const renderInChakra = (child) => {
  render(h(ChakraProvider, { value: defaultSystem, children: child }));
};

test("screen readers know which job a progress is about", () => {
  renderInChakra(h(ProgressBar, { label: "Progress of job e-1", value: 0.4 }));
  const bar = screen.getByRole("progressbar", { name: "Progress of job e-1" });
  assert.equal(bar.getAttribute("aria-valuenow"), "0.4");
  cleanup();
});

test("a name is wrapped after its punctuation, and is the same when it is copied", () => {
  renderInChakra(h("p", null, wrapName("open_exports.wait/2")));
  const shown = screen.getByText("open_exports.wait/2");
  assert.equal(shown.querySelectorAll("wbr").length, 3);
  cleanup();
});

test("only a word that no column can hold may be broken", () => {
  renderInChakra(h("p", null, wrapName(`open_exports-${"0123456789".repeat(5)}`)));
  const shown = screen.getByText("open_exports-", { exact: false });
  assert.equal(shown.textContent, `open_exports-${"0123456789".repeat(5)}`);
  assert.deepEqual(
    [...shown.querySelectorAll("span")].map((each) => each.textContent),
    ["0123456789".repeat(5)],
  );
  cleanup();
});

test("a URL within a message is wrapped, and other words stay as they are", () => {
  const text = `GET http://127.0.0.1:8000/studio/renders/${"0".repeat(40)} answered 503: maintenance`;
  renderInChakra(h("p", { "aria-label": "Message" }, wrapText(text)));
  const shown = screen.getByLabelText("Message");
  assert.equal(shown.textContent, text);
  assert.deepEqual(
    [...shown.children].map((each) => each.textContent),
    [text.split(" ")[1]],
  );
  assert.ok(shown.querySelectorAll("wbr").length > 3);
  cleanup();
});

test("each reason of a risk is listed, and none if all is well", () => {
  const since = new Date(Date.now() - 40 * 60_000).toISOString();
  const reasons = [
    { code: "not_polled", message: "Nobody polls", since: null },
    { code: "stalled", message: "Stalled", since },
  ];
  renderInChakra(h(Reasons, { health: { level: "warning", reasons } }));
  assert.deepEqual(
    screen.getAllByRole("listitem").map((each) => each.textContent),
    ["Nobody polls", `Stalled since ${formatShortMoment(since, Date.now())} (for 40 min)`],
  );
  assert.equal(screen.getByRole("time").getAttribute("datetime"), since);
  cleanup();
  renderInChakra(h(Reasons, { health: { level: "ok", reasons: [] } }));
  assert.equal(screen.queryByRole("list"), null);
  cleanup();
});
