from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.http.delays import Delay, Reason


@pytest.mark.parametrize(
    ("waits", "delay"),
    [
        ({}, None),
        ({"rate": 0.5, "connections": 0.4}, None),
        ({"rate": 0.5, "connections": 0.75}, Delay(1.25, Reason.CONNECTIONS)),
        ({"event_loop": 2.0, "connections": 1.0}, Delay(3.0, Reason.EVENT_LOOP)),
    ],
)
def test_a_poll_is_late_for_what_it_waited_longest_for(waits, delay):
    assert Delay.of(**waits) == delay


def test_what_is_dumped_is_read_again():
    assert Delay.parse(Delay(9.04, Reason.EVENT_LOOP).dump()) == Delay(9.0, Reason.EVENT_LOOP)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "text",
        {},
        {"seconds": 1},
        {"seconds": "x", "reason": "rate"},
        {"seconds": 1, "reason": "weather"},
        {"seconds": 1, "reason": []},
    ]
    + [{"seconds": seconds, "reason": "rate"} for seconds in (-1, 1e300)],
)
def test_anything_else_is_no_delay(given):
    assert Delay.parse(given) is None
