from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(unit, *steps):
    """Return the line after each (seconds, done, total)."""
    watch = Watch()
    meter = ProgressMeter(unit, watch)
    found = []
    for seconds, done, total in steps:
        watch.now = 100.0 + seconds
        found.append(meter.next_line(done, total))
    return found


def test_a_line_is_given_once_in_five_seconds():
    found = lines(None, (0, 0, None), (4.9, 10, None), (5, 10, None), (9.9, 20, None), (10, 20, None))
    assert [line is not None for line in found] == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ((10, 999, None), "fetched 999 B, 99.9 B/s"),
        ((10, 1_500_000, 3_000_000), "fetched 1.5 MB of 3 MB (50 %), 150 kB/s, 10 s left"),
        ((10, 10**9, 100 * 10**9), "fetched 1 GB of 100 GB (1 %), 100 MB/s, 16 min left"),
        ((10, 10**9, 10**13), "fetched 1 GB of 10 TB (0 %), 100 MB/s, 27.8 h left"),
        ((10, 3 * 10**15, None), "fetched 3e+03 TB, 300 TB/s"),
        ((10, 20, 10), "fetched 20 B of 10 B (100 %), 2 B/s, 0 s left"),
        ((10, 0, 10), "fetched 0 B of 10 B (0 %), 0 B/s"),
    ],
)
def test_a_line_says_how_far_it_is_and_how_long_it_takes(step, line):
    assert lines(None, step) == [line]


def test_pages_are_counted_too():
    assert lines("pages", (10, 20, 3000)) == ["fetched 20 pages of 3000 pages (0 %), 2 pages/s, 25 min left"]
