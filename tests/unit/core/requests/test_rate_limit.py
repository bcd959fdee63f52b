from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.requests.rate_limit import RateLimiter


def test_without_a_rate_nothing_waits():
    limiter = RateLimiter(None)
    assert [limiter.next_slot(1.0) for _ in range(3)] == [0, 0, 0]


def test_requests_that_come_together_get_a_slot_each():
    limiter = RateLimiter(4)
    assert [limiter.next_slot(1.0) for _ in range(3)] == [0, 0.25, 0.5]


def test_a_slot_that_comes_too_late_is_left_to_others():
    limiter = RateLimiter(0.1)
    assert [limiter.next_slot(1.0, longest) for longest in (5, 5, 10, 11)] == [0, 10, 10, 10]
    assert limiter.next_slot(1.0) == 20


def test_slots_that_passed_unused_are_not_saved_up():
    limiter = RateLimiter(4)
    limiter.next_slot(1.0)
    assert [limiter.next_slot(50.0) for _ in range(2)] == pytest.approx([0, 0.25])


@pytest.mark.parametrize(
    ("status", "said", "blocked_for"),
    [
        (429, "30", 30),
        (503, "30", 30),
        (429, None, 0),
        (503, "0", 0),
        (500, "30", 0),
        (200, "30", 0),
        (429, "1764342000", 3600),
    ],
)
def test_only_an_answer_that_asks_for_a_pause_holds_the_others(status, said, blocked_for):
    limiter = RateLimiter(None)
    limiter.observe(Response(status, Headers([("Retry-After", said)] if said else [])), 100.0)
    assert limiter.blocked_for(100.0) == blocked_for


def test_the_longest_pause_counts_and_ends():
    limiter = RateLimiter(None)
    for said in ("30", "10"):
        limiter.observe(Response(429, Headers([("Retry-After", said)])), 100.0)
    assert [limiter.blocked_for(now) for now in (110.0, 130.0, 200.0)] == [20, 0, 0]
