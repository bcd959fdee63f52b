import assert from "node:assert/strict";
import test from "node:test";

const { COLUMNS, foldColumns, listFields, readChosenColumns, storeChosenColumns } =
  await import("../../airflow_provider_asyncapi/plugins/static/columns.js");

const fold = (/** @type {number} */ count, columns = COLUMNS) =>
  foldColumns(columns, count).map(({ folded, label }) => [label, ...folded.map((each) => each.label)].join(" + "));

const names = (/** @type {string[]} */ hidden) => COLUMNS.filter(({ label }) => !hidden.includes(label));

test("columns are folded one after the other, and none gets lost", () => {
  const shown = names(["Dag", "Dag Run", "Deadline", "Submitted"]);
  assert.deepEqual(
    fold(0, shown),
    shown.map(({ label }) => label),
  );
  assert.deepEqual(fold(2, shown), ["State", "Job", "Status", "Progress", "Task + Connection", "Time + Polls", "More"]);
  assert.deepEqual(fold(99, shown), ["State", "Job + More", "Status + Progress + Time + Polls", "Task + Connection"]);
});

test("a column stays if the one that it would be folded into isn't shown", () => {
  assert.deepEqual(fold(99, names(["Task", "Status", "Job", "Time"])), [
    "State",
    "Progress",
    "Connection",
    "Polls",
    "Dag",
    "Dag Run",
    "Deadline",
    "Submitted",
    "More",
  ]);
});

test("a file has what the columns show, in their order, and nothing twice", () => {
  const fields = listFields(COLUMNS.filter(({ label }) => ["Job", "Deadline", "Time", "More"].includes(label)));
  assert.deepEqual(fields.slice(0, 4), ["identifier", "url", "submitted_at", "started_at"]);
  assert.equal(fields.filter((each) => each === "deadline").length, 1);
});

test("whatever the browser has stored, the table has columns", (context) => {
  context.after(() => localStorage.clear());
  const usual = readChosenColumns();
  assert.ok(usual.has("State"));
  for (const stored of ["{", "[]", '["gone"]', "null", '{"a":1}', "[1]"]) {
    localStorage.setItem("asyncapi_columns", stored);
    assert.deepEqual(readChosenColumns(), usual, stored);
  }
  storeChosenColumns(new Set(["Job", "gone"]));
  assert.deepEqual(readChosenColumns(), new Set(["Job"]));
  context.mock.method(Object.getPrototypeOf(localStorage), "setItem", () => {
    throw new DOMException("full", "QuotaExceededError");
  });
  storeChosenColumns(new Set(["State"]));
});
