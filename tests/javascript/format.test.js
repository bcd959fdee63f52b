import assert from "node:assert/strict";
import test from "node:test";

import {
  formatBytes,
  formatDuration,
  formatMoment,
  formatSince,
  formatUntil,
  readTimeZone,
} from "../../airflow_provider_asyncapi/plugins/static/format.js";

const NOW = Date.parse("2026-03-01T12:00:00Z");

test("a duration has its two largest units", () => {
  const written = [-5, 59.4, 61, 3599, 3600, 86_400, 200_000].map((seconds) => formatDuration(seconds * 1000));
  assert.deepEqual(written, ["0 s", "59 s", "1 min 1 s", "59 min 59 s", "1 h 0 min", "24 h 0 min", "2 d 7 h"]);
});

test("what lies ahead is counted down until it is over", () => {
  assert.equal(formatUntil("2026-03-01T12:00:30+00:00", NOW, "expired"), "30 s");
  assert.equal(formatUntil("2026-03-01T12:00:00+00:00", NOW, "expired"), "expired");
  assert.equal(formatUntil(null, NOW, "expired"), "");
});

test("an age grows from its beginning, by minutes once it has one", () => {
  const written = ["11:59:59", "11:59:01", "11:59:00", "11:57:01", "10:30:30"].map((time) =>
    formatSince(`2026-03-01T${time}Z`, NOW),
  );
  assert.deepEqual(written, ["1 s", "59 s", "1 min", "2 min", "1 h 29 min"]);
  assert.equal(formatSince(null, NOW), "");
});

test("a moment is written in the zone that is chosen in Airflow's UI, and in Airflow's format", () => {
  localStorage.setItem("timezone", '"Asia/Tokyo"');
  assert.equal(formatMoment("2026-03-01T20:04:05Z"), "2026-03-02 05:04:05");
  assert.equal(formatMoment("2026-03-01T20:04:05Z", "UTC"), "2026-03-01 20:04:05");
  assert.equal(formatMoment(null), undefined);
  for (const broken of ["Asia/Tokyo", '"Nowhere"', "{}", "null"]) {
    localStorage.setItem("timezone", broken);
    assert.equal(readTimeZone(), Intl.DateTimeFormat().resolvedOptions().timeZone, broken);
  }
  localStorage.clear();
});

test("bytes have a unit of their size", () => {
  assert.deepEqual([0, 999, 1500, 2_000_000, 3e15].map(formatBytes), ["0 B", "999 B", "1.5 kB", "2 MB", "3000 TB"]);
});
