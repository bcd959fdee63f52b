"""The history of a job: bounded, continued from process to process, and readable whatever was stored."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.history import Entry, EntryKind, JobHistory
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem, StatusProblemKind


def polled(at: float, status: Any = "running", **given: Any) -> Polled:
    progress = given.pop("progress", None)
    return Polled(JobHandle("7", status=status, progress=progress), 1, 0, **{"changed": True, "at": at, **given})


def after(*polls: Polled) -> JobHistory:
    history = JobHistory()
    for each in polls:
        history = history.after_poll(each)
    return history


def kinds(history: JobHistory) -> list[str]:
    return [str(each.kind) for each in history.entries]


def test_changes_of_the_status_are_kept_with_their_times():
    history = after(polled(1, "queued"), polled(2, "running", progress=0.5), polled(3, None))
    assert history.entries == (
        Entry(1, EntryKind.STATUS, "", "queued"),
        Entry(2, EntryKind.STATUS, "", "running", 0.5),
        Entry(3, EntryKind.STATUS),
    )


def test_progress_alone_adds_nothing():
    first = after(polled(1, progress=0.1))
    assert first.after_poll(polled(2, progress=0.2)) is first


def test_an_error_its_repetition_and_its_end():
    history = after(polled(1), polled(2, error="503"), polled(3, error="503"), polled(4, error="504"), polled(5))
    assert kinds(history) == ["status", "error", "error", "recovered"]
    assert history.entries[-1].message == "Polls are answered again"


def test_an_error_that_ends_with_another_status_is_a_change_of_the_status():
    assert kinds(after(polled(1), polled(2, error="503"), polled(3, "writing"))) == ["status", "error", "status"]


def test_status_problems_and_callbacks_are_entries_of_their_own():
    missing = StatusProblem(StatusProblemKind.STATUS_MISSING, "No status found at a.b")
    history = after(
        polled(1, None, status_problem=missing),
        polled(2, None, status_problem=missing),
        polled(3, "x", by_callback=True),
    )
    assert kinds(history) == ["status_missing", "callback"]
    assert history.entries[0].message == "No status found at a.b"


def test_each_callback_that_changes_the_status_is_an_entry():
    history = after(
        *(polled(number, status, by_callback=True) for number, status in enumerate(["queued", "run", "run"]))
    )
    assert [(each.kind, each.status) for each in history.entries] == [("callback", "queued"), ("callback", "run")]
    assert history.after_poll(polled(5, "run")) is history, "a poll that finds what the callback has told"


def test_a_look_at_the_clock_without_a_callback_is_no_entry():
    history = after(polled(1, "queued"))
    unchanged = dataclasses.replace(polled(2, "queued", by_callback=True), changed=False, warned=True)
    assert history.after_poll(unchanged) is history


def test_the_return_from_an_unknown_status_is_an_entry():
    unknown = StatusProblem(StatusProblemKind.UNKNOWN_STATUS, "Unknown status 'odd'")
    history = after(polled(1, "run"), polled(2, "odd", status_problem=unknown), polled(3, "run"))
    assert [(each.kind, each.status) for each in history.entries] == [
        ("status", "run"),
        ("unknown_status", "odd"),
        ("status", "run"),
    ]


def test_the_last_response_is_that_of_the_last_entry_that_had_one():
    history = after(
        polled(1, shown_response={"text": "a"}),
        polled(2, error="lost"),
        polled(3, "done", shown_response={"text": "b"}),
    )
    assert history.last_response == {"text": "b"}
    assert after(polled(1, shown_response={"text": "a"}), polled(2, error="lost")).last_response == {"text": "a"}


def test_only_the_first_and_the_last_entries_are_kept():
    history = after(*(polled(number, f"s{number}") for number in range(100)))
    statuses = [each.status for each in history.entries]
    assert statuses == [*(f"s{number}" for number in range(10)), *(f"s{number}" for number in range(60, 100))]
    assert history.left_out == 50


def test_it_stays_small_whatever_an_api_says():
    history = after(*(polled(number, f"{number}" + "s" * 5000, error="e" * 5000) for number in range(100)))
    assert len(json.dumps(history.dump())) < 30_000


def test_what_is_dumped_is_read_again():
    history = after(
        *(polled(number, f"s{number}", progress=0.5) for number in range(60)),
        polled(70, error="503", shown_response={"text": "x"}),
    )
    assert JobHistory.parse(json.loads(json.dumps(history.dump()))) == history


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "text",
        {"entries": "x"},
        {
            "entries": [
                5,
                {},
                {"kind": "status"},
                {"kind": "status", "at": 5},
                {"kind": "odd", "at": "1970-01-01"},
                {"kind": []},
            ]
        },
        {"entries": [{"kind": "status", "at": "1970-01-01T00:00:01+00:00", "message": 5}]},
        {"entries": [], "left_out": "x", "last_response": 5},
    ],
    ids=str,
)
def test_anything_else_is_an_empty_history(stored):
    assert JobHistory.parse(stored) == JobHistory()


def test_a_part_of_an_entry_that_is_broken_is_left_out():
    stored = {"entries": [{"kind": "status", "at": "1970-01-01T00:00:01+00:00", "status": 5, "progress": "x"}]}
    assert JobHistory.parse(stored).entries == (Entry(1, EntryKind.STATUS),)


def test_another_process_continues_the_history_and_repeats_nothing():
    worker, triggerer = (
        after(polled(1, "queued", shown_response={"text": "a"})),
        after(polled(2, "queued"), polled(3, "run")),
    )
    both = triggerer.after(worker)
    assert [(each.at, each.status) for each in both.entries] == [(1, "queued"), (3, "run")]
    assert both.last_response == {"text": "a"}
    assert triggerer.after(JobHistory()) == triggerer
    assert JobHistory().after(worker) == worker
    assert kinds(after(polled(3, "run")).after(worker)) == ["status", "status"]
