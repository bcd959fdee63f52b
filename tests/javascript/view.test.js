import assert from "node:assert/strict";
import test from "node:test";

import {
  applyChanges,
  buildExportQuery,
  buildQuery,
  formatJobKey,
  parseJobKey,
  parseView,
} from "../../airflow_provider_asyncapi/plugins/static/view.js";

test("a URL without parameters shows the jobs of a day, those at risk first", () => {
  const view = parseView(new URLSearchParams("other=1"));
  assert.equal(view.order, "risk");
  assert.equal(view.hours, "24");
  assert.equal(view.offset, 0);
});

test("an offset that is no number, or negative, is the first page", () => {
  for (const offset of ["x", "-50", "", "NaN"]) {
    assert.equal(parseView(new URLSearchParams({ jobs_offset: offset })).offset, 0);
  }
});

test("a change keeps the parameters of others, and begins at the first page", () => {
  const before = new URLSearchParams("other=1&jobs_offset=100&jobs_search=a");
  const after = applyChanges(before, { group: "failed" });
  assert.equal(after.toString(), "other=1&jobs_search=a&jobs_group=failed");
  assert.equal(before.get("jobs_offset"), "100");
});

test("what is chosen by default isn't in the URL", () => {
  const after = applyChanges(new URLSearchParams("jobs_hours=168&jobs_search=a"), { hours: "24", search: "" });
  assert.equal(after.toString(), "");
});

test("the view survives the way through the URL", () => {
  const changes = { group: "waiting", hours: "744", offset: 50, order: "-progress", search: "a&b=ü" };
  const view = parseView(new URLSearchParams(applyChanges(new URLSearchParams(), changes).toString()));
  assert.deepEqual({ ...view, ...changes }, view);
});

test("the tab of a task instance asks for its job alone, mapped or not", () => {
  const view = parseView(new URLSearchParams());
  const place = { dagId: "d", runId: "r", taskId: "t" };
  assert.equal(new URLSearchParams(buildQuery(view, place)).get("map_index"), "-1");
  assert.equal(new URLSearchParams(buildQuery(view, { ...place, mapIndex: "2" })).get("map_index"), "2");
  assert.equal(new URLSearchParams(buildQuery(view, { dagId: "d" })).has("map_index"), false);
});

test("rows of a group are together, whatever the order was", () => {
  const view = parseView(new URLSearchParams("jobs_by=run&jobs_order=progress"));
  assert.equal(new URLSearchParams(buildQuery(view, {})).get("order_by"), "-run_id");
  assert.equal(new URLSearchParams(buildQuery({ ...view, by: "x" }, {})).get("order_by"), "progress");
});

test("those at risk are those with either level", () => {
  const view = parseView(new URLSearchParams("jobs_health=risk"));
  assert.deepEqual(new URLSearchParams(buildQuery(view, {})).getAll("health"), ["warning", "critical"]);
});

test("submits that have failed are selected like a state", () => {
  const query = new URLSearchParams(buildQuery(parseView(new URLSearchParams("jobs_state=submit_failed")), {}));
  assert.deepEqual([query.get("kind"), query.get("state")], ["submit", null]);
});

test("a file has all pages", () => {
  const query = buildExportQuery(buildQuery(parseView(new URLSearchParams("jobs_offset=50&jobs_dag=d")), {}), [
    "state",
    "dag_id",
  ]);
  assert.equal(query, "dag_id=d&hours=24&order_by=risk&column=state&column=dag_id");
});

test("a job survives the way through the URL, and anything else there is no job", () => {
  const job = { dag_id: 'a"b', run_id: "manual__2026-01-01T00:00:00+00:00", task_id: "t\n", map_index: 2 };
  const place = { dagId: job.dag_id, runId: job.run_id, taskId: job.task_id, mapIndex: 2 };
  assert.deepEqual(parseJobKey(formatJobKey(job)), place);
  for (const key of ["", "{", "1", "[]", "null", '{"a":1}', '["a","b","c"]', '["a","b",1,2]', '["a","b","c","d"]']) {
    assert.equal(parseJobKey(key), undefined, key);
  }
});
