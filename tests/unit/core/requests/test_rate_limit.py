from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import ThrottledError, TransportError
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response
from airflow_provider_asyncapi.core.requests.rate_limit import RateLimiter

REQUEST = Request("GET", "https://api.example.com/jobs")
SEND = Send(REQUEST)
NOW = 1_700_000_000.0


def make_limiter(rate: float | None = None) -> RateLimiter:
    return RateLimiter(ConnectionSettings.parse({"host": "https://api.example.com", "requests_per_second": rate}))


def reserve(limiter: RateLimiter, steady: float, within: float | None = None) -> float | None:
    """Return the seconds until the slot; None if it is too late."""
    send = Send(REQUEST, until=None if within is None else NOW + within)
    try:
        return limiter.reserve(send, NOW, steady)
    except TransportError:
        return None


def ask_for_pause(limiter: RateLimiter, retry_after: str | None, *, status: int = 429, url: str = REQUEST.url) -> None:
    headers = Headers([("Retry-After", retry_after)] if retry_after else [])
    limiter.observe(Request("GET", url), Response(status, headers), NOW)


def blocked_for(limiter: RateLimiter, now: float = NOW) -> float:
    try:
        limiter.reserve(Send(REQUEST, can_wait=True), now, 1.0)
    except ThrottledError as error:
        return error.seconds
    return 0.0


def test_without_a_rate_no_request_waits():
    limiter = make_limiter()
    assert [reserve(limiter, 1.0) for _ in range(3)] == [0, 0, 0]


def test_requests_that_come_together_get_a_slot_each():
    limiter = make_limiter(4)
    assert [reserve(limiter, 1.0) for _ in range(3)] == [0, 0.25, 0.5]


def test_a_slot_that_is_too_late_for_a_request_is_left_to_others():
    limiter = make_limiter(0.1)
    assert [reserve(limiter, 1.0, within) for within in (5, 5, 10, 11)] == [0, None, None, 10]
    assert reserve(limiter, 1.0) == 20


@pytest.mark.parametrize("rate", [None, 4])
@pytest.mark.parametrize("within", [0.0, -1.0])
def test_a_request_whose_response_is_not_needed_any_more_gets_no_slot(rate, within):
    limiter = make_limiter(rate)
    with pytest.raises(TransportError, match=r"GET .*/jobs: aborted: its response is no longer needed") as late:
        limiter.reserve(Send(REQUEST, until=NOW + within), NOW, 1.0)
    assert not late.value.sent
    assert reserve(limiter, 1.0) == 0


def test_slots_that_passed_unused_are_not_saved_up():
    limiter = make_limiter(4)
    reserve(limiter, 1.0)
    assert [reserve(limiter, 50.0) for _ in range(2)] == pytest.approx([0, 0.25])


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "30", 30),
        (503, "30", 30),
        (429, None, 0),
        (503, "0", 0),
        (500, "30", 0),
        (200, "30", 0),
        (429, str(int(NOW) + 86400), 3600),
    ],
)
def test_only_a_response_that_asks_for_a_pause_blocks_requests_that_can_wait(status, retry_after, seconds):
    limiter = make_limiter()
    ask_for_pause(limiter, retry_after, status=status)
    assert blocked_for(limiter) == seconds
    assert limiter.reserve(SEND, NOW, 1.0) == 0, "a request that can't wait is sent"


def test_the_error_of_a_blocked_request_names_the_pause():
    limiter = make_limiter()
    ask_for_pause(limiter, "30")
    with pytest.raises(ThrottledError, match=r"GET .*/jobs: not sent, since the API asks for no requests for 30 s"):
        limiter.reserve(Send(REQUEST, can_wait=True), NOW, 1.0)


def test_another_host_blocks_no_requests():
    limiter = make_limiter()
    ask_for_pause(limiter, "30", url="https://files.example.org/x")
    assert blocked_for(limiter) == 0


def test_the_longest_pause_counts_and_ends():
    limiter = make_limiter()
    for retry_after in ("30", "10"):
        ask_for_pause(limiter, retry_after)
    assert [blocked_for(limiter, NOW + passed) for passed in (10, 30, 100)] == [20, 0, 0]


def test_a_request_that_comes_a_moment_before_the_end_of_the_pause_is_sent():
    limiter = make_limiter()
    ask_for_pause(limiter, "30")
    assert blocked_for(limiter, NOW + 29.95) == 0
