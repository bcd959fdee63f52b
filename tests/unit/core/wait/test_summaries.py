from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.summaries import (
    PollSummary,
    RateLimits,
    parse_time,
    summarize_submit,
    summarize_wait,
)
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem, StatusProblemKind


def test_a_wait_is_shown_with_its_connection_its_try_its_job_its_beginning_and_its_end():
    assert summarize_wait("vendor", "first-try", WaitCheckpoint(JobHandle("7"), started_at=0, deadline=90)) == {
        "asyncapi_conn_id": "vendor",
        "task_instance": "first-try",
        "identifier": "7",
        "started_at": "1970-01-01T00:00:00+00:00",
        "deadline": "1970-01-01T00:01:30+00:00",
        "near_deadline": "1970-01-01T00:01:21+00:00",
    }
    assert summarize_wait("vendor", "first-try", WaitCheckpoint(JobHandle("7"), started_at=0))["deadline"] is None


@pytest.mark.parametrize(
    "poll",
    [
        PollSummary(1.5, 30.25),
        PollSummary(2, None, "it broke"),
        PollSummary(3, 0.1, ""),
        PollSummary(4, 1, delay=Delay(9, Reason.RATE)),
        PollSummary(5, 1, polls=7, reason="requested", stalled_at=90, unchanged_since=80),
        PollSummary(5, 1, "429", rate_limited=RateLimits(2, 3, 5)),
        PollSummary(6, 1, status_problem=StatusProblem(StatusProblemKind.STATUS_MISSING, "no status found at a.b")),
    ],
)
def test_what_is_dumped_is_read_again(poll):
    assert PollSummary.parse(poll.dump()) == poll


@pytest.mark.parametrize("given", [None, "text", 7, [], {}, {"at": None}, {"at": "yesterday"}, {"at": 5}])
def test_anything_else_is_no_poll(given):
    assert PollSummary.parse(given) is None


def test_answers_429_are_counted_with_their_period():
    counted = RateLimits().add(7).add(9).add(12)
    assert counted == RateLimits(3, since=7, until=12)
    assert RateLimits().dump() == {}


def test_a_part_that_is_broken_is_left_out():
    given = {"at": "1970-01-01T00:00:01+00:00", "pause": "long", "error": {"not": "text"}}
    assert PollSummary.parse(given) == PollSummary(1, None, None)
    broken = {
        "polls": True,
        "rate_limited": -1,
        "reason": 5,
        "status_problem": "none",
        "status_problem_message": "x",
        "stalled_at": 7,
        "unchanged_since": [],
        "rate_limited_since": 1e300,
    }
    assert PollSummary.parse({**given, **broken}) == PollSummary(1, None, None)


def test_a_poll_is_told_with_its_error_in_one_line_and_cut():
    polled = Polled(JobHandle("7"), 3, 1, changed=False, at=5, pause=60, error="it\nbroke " + "x" * 2000)
    shown = PollSummary.of(polled)
    assert (shown.at, shown.pause) == (5, 60)
    assert shown.error is not None
    assert shown.error.startswith("it broke xxx")
    assert len(shown.error) < 1100
    assert PollSummary.of(Polled(JobHandle("7"), 3, 0, changed=False, at=5)).error is None
    assert PollSummary.ending(7, "over\x1b[0m") == PollSummary(7, None, "over�[0m")


def test_a_deadline_that_nobody_has_set_is_not_shown_as_one():
    summary = summarize_wait("vendor", 1, WaitCheckpoint(JobHandle("7"), 0, 90, has_default_deadline=True))
    assert "deadline" not in summary
    assert (summary["default_deadline"], summary["near_deadline"]) == (
        "1970-01-01T00:01:30+00:00",
        "1970-01-01T00:01:21+00:00",
    )


def test_a_submit_that_has_failed_is_shown_as_a_wait_without_a_job():
    assert summarize_submit("vendor", "first-try", 0) == {
        "kind": "submit",
        "asyncapi_conn_id": "vendor",
        "task_instance": "first-try",
        "identifier": None,
        "started_at": "1970-01-01T00:00:00+00:00",
        "deadline": None,
    }


def test_the_time_of_the_next_poll_is_written_down_unless_it_is_beyond_all_calendars():
    assert PollSummary(5, 10).dump()["due"] == "1970-01-01T00:00:15+00:00"
    assert "due" not in PollSummary(5, None).dump()
    assert "due" not in PollSummary(5, 1e300).dump()


def test_a_status_problem_that_begins_changes_or_ends_is_worth_showing():
    missing, unknown = (
        StatusProblem(StatusProblemKind.STATUS_MISSING, "no status"),
        StatusProblem(StatusProblemKind.UNKNOWN_STATUS, "status 'X'", "X"),
    )
    known, troubled, other = (
        PollSummary(1, 30),
        PollSummary(1, 30, status_problem=missing),
        PollSummary(1, 30, status_problem=unknown),
    )
    assert troubled.is_worth_showing(known, changed=False)
    assert known.is_worth_showing(troubled, changed=False)
    assert other.is_worth_showing(troubled, changed=False)
    assert not troubled.is_worth_showing(troubled, changed=False)


def test_a_change_moves_the_time_from_which_a_job_counts_as_stalled():
    before, after = PollSummary(1, 30, stalled_at=50), PollSummary(9, 30, stalled_at=59)
    assert after.is_worth_showing(before, changed=True)
    assert not after.is_worth_showing(before, changed=False)


@pytest.mark.parametrize(
    ("poll", "until", "polls"),
    [
        (PollSummary(100, 30), 100, 0),
        (PollSummary(100, 30), 129, 0),
        (PollSummary(100, 30), 190, 3),
        (PollSummary(100, 30), 50, 0),
        # The later ones of a series of errors aren't published, and their pauses grow.
        (PollSummary(100, 30, "503"), 190, 0),
        (PollSummary(100, 30, delay=Delay(60, Reason.RATE)), 190, 1),
        (PollSummary(100, None), 190, 0),
        (PollSummary(0, 5e-324), 1e9, 0),
        (PollSummary(0, 1e-300), 1e8, 10**9),
    ],
)
def test_polls_that_found_nothing_new_are_counted_by_their_interval(poll, until, polls):
    assert poll.count_since(0, until) == polls


SEEN = PollSummary(100, 30)
LATE = Delay(9, Reason.CONNECTIONS)


@pytest.mark.parametrize(
    ("poll", "shown", "is_news"),
    [
        (PollSummary(130, 30, delay=LATE), SEEN, False),
        (PollSummary(160, 30, delay=LATE), SEEN, True),
        (PollSummary(159, 30), PollSummary(100, 30, delay=LATE), False),
        (PollSummary(160, 30), PollSummary(100, 30, delay=LATE), True),
        (PollSummary(500, 30, delay=Delay(17, Reason.CONNECTIONS)), PollSummary(100, 30, delay=LATE), False),
        (PollSummary(500, 30, delay=Delay(19, Reason.CONNECTIONS)), PollSummary(100, 30, delay=LATE), True),
        (PollSummary(500, 30, delay=Delay(9, Reason.RATE)), PollSummary(100, 30, delay=LATE), True),
    ],
)
def test_that_polls_have_become_late_is_shown_once_a_minute_at_most(poll, shown, is_news):
    assert poll.is_worth_showing(shown, changed=False) is is_news


def test_where_polls_are_late_the_next_one_is_too():
    assert PollSummary(100, 1, delay=Delay(9, Reason.RATE)).next_poll(0, 101) == 110
    assert PollSummary(100, 1, delay=Delay(9, Reason.RATE)).next_poll(0, 115) == 120


@pytest.mark.parametrize(
    ("poll", "shown", "changed", "is_news"),
    [
        (PollSummary(130, 30), SEEN, False, False),
        (PollSummary(130, 30), SEEN, True, False),
        (PollSummary(130, 30), None, False, True),
        (PollSummary(130, 30, "503"), SEEN, False, True),
        (PollSummary(130, 60, "503"), PollSummary(100, 30, "503"), False, False),
        (PollSummary(130, 60, "504"), PollSummary(100, 30, "503"), False, True),
        (PollSummary(130, 30), PollSummary(100, 30, "503"), False, True),
        # Another pause is told when there is something to tell anyway.
        (PollSummary(130, 61), SEEN, False, False),
        (PollSummary(130, 61), SEEN, True, True),
        (PollSummary(130, 59), SEEN, True, False),
        (PollSummary(130, 14), SEEN, True, True),
        (PollSummary(130, None), SEEN, True, True),
        (PollSummary(130, None), PollSummary(100, None), True, False),
    ],
)
def test_an_error_that_comes_or_goes_is_news(poll, shown, changed, is_news):
    assert poll.is_worth_showing(shown, changed=changed) is is_news


@pytest.mark.parametrize(
    ("poll", "since", "now", "due"),
    [
        (SEEN, 0, 100, 130),
        (SEEN, 0, 129, 130),
        (SEEN, 0, 131, 160),
        (SEEN, 0, 1000, 1000),
        # A change of status was seen by a poll too.
        (SEEN, 110, 131, 140),
        # The clocks of two machines differ.
        (SEEN, 0, 95, 130),
        (PollSummary(100, None), 0, 100, None),
        (PollSummary(100, 0), 0, 100, None),
        (PollSummary(100, -5), 0, 100, None),
        (PollSummary(100, 30, "503"), 0, 129, 130),
        (PollSummary(100, 30, "503"), 0, 131, None),
    ],
)
def test_the_next_poll_is_worked_out_from_the_pause(poll, since, now, due):
    assert poll.next_poll(since, now) == due


@pytest.mark.parametrize("given", [None, 5, "", "2026-01-31", "2026-01-31T12:00:00", "soon"])
def test_a_time_without_its_zone_is_none(given):
    assert parse_time(given) is None


def test_a_time_has_a_zone():
    assert parse_time("1970-01-01T01:00:00+01:00") == 0
    assert parse_time("1970-01-01T00:00:01Z") == 1


def test_a_pause_too_short_to_count_with_tells_no_next_poll():
    assert PollSummary(0, 5e-324).next_poll(0, 1e9) is None
