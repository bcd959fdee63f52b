import assert from "node:assert/strict";
import test from "node:test";

const { COLUMNS, foldColumns } = await import("../../airflow_provider_asyncapi/plugins/static/columns.js");

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
