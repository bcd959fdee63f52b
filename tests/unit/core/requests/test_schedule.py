import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.requests.schedule import (
    SCHEDULE_PARAMETERS,
    SHORTEST_WAIT,
    PollSchedule,
    parse_retry_after,
    parse_retry_delays,
    parse_retry_hints,
)

NOW = 1_777_777_777.0  # 2026-05-03 03:09:37 UTC


def middle():
    return 0.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("-5", None),
        ("Sun, 03 May 2026 03:10:37 GMT", 60.0),
        ("Sun, 03 May 2026 05:10:37 +0200", 60.0),
        ("Sun, 03 May 2026 03:10:37 -0000", 60.0),
        ("Sun, 03 May 2026 03:10:37", 60.0),
        ("Sat, 02 May 2026 03:10:37 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Sun, 99 May 2026 03:10:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@given(st.text() | st.text("0123456789 :,+-GMTSunMay", max_size=40))
def test_any_retry_after_is_seconds_or_nothing(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


def test_nothing_given_is_the_default():
    assert PollSchedule.parse({}) == PollSchedule()
    assert PollSchedule().interval == 60.0


def test_all_parameters_are_read():
    given_ = {
        "poke_interval": timedelta(minutes=2),
        "initial_delay": 5,
        "backoff": 1.5,
        "max_interval": timedelta(hours=2),
        "jitter": 0.1,
        "max_iterations": 240,
        "max_consecutive_errors": 3,
        "retry_delays": {429: 60},
        "retry_after": "poll_in",
        "visible_after": 30,
    }
    assert set(given_) == set(SCHEDULE_PARAMETERS)
    expected = PollSchedule(
        interval=120.0,
        initial_delay=5.0,
        backoff=1.5,
        max_interval=7200.0,
        jitter=0.1,
        max_polls=240,
        max_errors=3,
        retry_delays={429: 60.0},
        visible_after=30.0,
    )
    assert PollSchedule.parse(given_) == dataclasses.replace(expected, retry_after=parse_retry_hints("poll_in"))


def test_an_interval_longer_than_the_usual_longest_is_its_own():
    schedule = PollSchedule.parse({"poke_interval": 7200, "backoff": 2})
    assert [schedule.delay_after_poll(polls, None, middle) for polls in (1, 2)] == [7200.0, 7200.0]
    assert PollSchedule(interval=7200).delay_after_poll(1, None, middle) == 7200.0


def test_the_interval_grows_to_its_longest():
    schedule = PollSchedule(interval=10, backoff=2, max_interval=60)
    assert [schedule.delay_after_poll(polls, None, middle) for polls in (1, 2, 3, 4, 5)] == [10, 20, 40, 60, 60]
    assert PollSchedule(interval=10).delay_after_poll(99, None, middle) == 10


@pytest.mark.parametrize("backoff", [1.0000001, 1.5, 10.0, 1e300])
def test_the_interval_grows_without_overflowing(backoff):
    schedule = PollSchedule(interval=10, backoff=backoff, max_interval=60)
    assert 10 <= schedule.delay_after_poll(10**9, None, middle) <= 60


def test_jitter_makes_a_wait_shorter_or_longer():
    schedule = PollSchedule(interval=10, jitter=0.1)
    assert [schedule.delay_after_poll(1, None, iter([dice]).__next__) for dice in (0.0, 0.5, 1.0)] == [9.0, 10.0, 11.0]


def test_what_the_api_says_is_obeyed_and_at_once_is_no_busy_loop():
    schedule = PollSchedule(interval=30, max_interval=60)
    assert schedule.delay_after_poll(1, 600.0, middle) == 600.0
    assert schedule.delay_after_poll(1, 0.0, middle) == 1.0
    assert schedule.delay_after_error(1, 503, 0.0, middle) == 1.0
    assert PollSchedule(interval=0.2).delay_after_poll(1, 0.0, middle) == 0.2


def test_errors_back_off_from_the_interval():
    schedule = PollSchedule(interval=10, retry_delays={429: 60.0, 503: 0.0})
    assert [schedule.delay_after_error(errors, None, None, middle) for errors in (1, 2, 3, 7, 99)] == [
        10,
        20,
        40,
        300,
        300,
    ]
    assert schedule.delay_after_error(5, 429, None, middle) == 60.0
    assert schedule.delay_after_error(5, 503, None, middle) == SHORTEST_WAIT
    assert schedule.delay_after_error(5, 429, 7.0, middle) == 7.0
    assert schedule.delay_after_error(1, 500, None, middle) == 10
    assert PollSchedule(interval=600).delay_after_error(3, None, None, middle) == 600


SCHEDULES = st.builds(
    PollSchedule,
    interval=st.floats(SHORTEST_WAIT, 1e6),
    backoff=st.floats(1, 1e6),
    max_interval=st.floats(SHORTEST_WAIT, 1e6),
    jitter=st.floats(0, 1),
    retry_delays=st.dictionaries(st.sampled_from([429, 503]), st.floats(0, 1e6)),
)


@given(
    SCHEDULES,
    st.integers(1, 10**6),
    st.sampled_from([None, 429, 500]),
    st.none() | st.floats(0, 1e9),
    st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_a_wait(schedule, count, status, said, dice):
    """No status, error or header can make the loop spin."""
    for wait in (
        schedule.delay_after_poll(count, said, lambda: dice),
        schedule.delay_after_error(count, status, said, lambda: dice),
    ):
        assert wait >= SHORTEST_WAIT
        assert said is None or wait >= min(said, schedule.longest_retry_after)


def test_polls_that_nobody_counted_are_taken_as_made():
    schedule = PollSchedule(interval=10, max_polls=4)
    assert [schedule.count_polls_within(elapsed) for elapsed in (-5, 0, 9, 10.5, 1000)] == [0, 0, 0, 1, 4]
    assert [schedule.count_polls_within(elapsed, 2) for elapsed in (-5, 9, 10.5, 1000)] == [2, 2, 3, 4]
    assert PollSchedule(interval=10).count_polls_within(1000) == 0


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"poke_interval": 0}, "poke_interval: has to be at least 0.1, not 0"),
        ({"poke_interval": -5}, "poke_interval: has to be at least 0.1, not -5"),
        ({"poke_interval": timedelta(0)}, "poke_interval: has to be at least 0.1, not 0.0"),
        ({"poke_interval": "30"}, "poke_interval: has to be a finite number, not '30'"),
        ({"poke_interval": True}, "poke_interval: has to be a finite number, not True"),
        ({"poke_interval": float("nan")}, "poke_interval: has to be a finite number, not nan"),
        ({"poke_interval": 10**400}, "poke_interval: has to be a finite number"),
        ({"poke_interval": 60, "max_interval": 30}, r"max_interval: 30 s is shorter than poke_interval \(60 s\)"),
        ({"initial_delay": -1}, "initial_delay: has to be at least 0"),
        ({"backoff": 0.5}, "backoff: has to be at least 1, not 0.5"),
        ({"jitter": 2}, "jitter: has to be at most 1, not 2"),
        ({"max_iterations": 0}, "max_iterations: has to be a whole number of at least 1, not 0"),
        ({"max_iterations": 1.5}, "max_iterations: has to be a whole number"),
        ({"max_iterations": True}, "max_iterations: has to be a whole number"),
        ({"max_consecutive_errors": 0}, "max_consecutive_errors: has to be a whole number of at least 1"),
        ({"visible_after": "1h"}, "visible_after: has to be a finite number"),
        ({"retry_delays": [429]}, r"retry_delays: has to map status codes to seconds, not be \[429\]"),
        ({"retry_delays": ""}, "retry_delays: has to map status codes to seconds, not be ''"),
        ({"retry_delays": {200: 5}}, r"retry_delays: 200 isn't an error status code \(400 to 599\)"),
        ({"retry_delays": {"4²9": 5}}, "retry_delays: '4²9' isn't an error status code"),
        ({"retry_delays": {429: -1}}, "retry_delays: has to be at least 0, not -1"),
    ],
)
def test_an_impossible_schedule_is_an_error_that_names_the_parameter(given_, message):
    with pytest.raises(ConfigurationError, match=message):
        PollSchedule.parse(given_)


def test_waits_per_status_code_may_be_written_as_json_does():
    assert parse_retry_delays({"429": 60, 503: timedelta(seconds=5)}) == {429: 60.0, 503: 5.0}
    assert parse_retry_delays(None) == {}


RUBBISH = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers())
    | st.dictionaries(st.text("4259²", max_size=3) | st.integers(), st.floats())
)


@given(st.dictionaries(st.sampled_from(SCHEDULE_PARAMETERS), RUBBISH))
def test_any_rubbish_is_a_schedule_or_a_configuration_error(rubbish):
    try:
        schedule = PollSchedule.parse(rubbish)
    except ConfigurationError as error:
        assert str(error).startswith(SCHEDULE_PARAMETERS)  # noqa: PT017 - either way is right
        return
    assert schedule.delay_after_poll(1, None, middle) >= SHORTEST_WAIT
