"""The API that flows send requests to."""

from __future__ import annotations

from tests.unit.core.flow_runner import START, make_api


def test_the_seconds_until_a_time_are_negative_once_it_has_passed() -> None:
    api = make_api()
    assert [api.seconds_until(until) for until in (START + 5, START - 5, None)] == [5, -5, None]
