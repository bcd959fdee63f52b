from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.pacing import Pacer


def test_without_a_rate_nothing_waits():
    pacer = Pacer(None)
    assert [pacer.reserve(1.0) for _ in range(3)] == [0, 0, 0]


def test_requests_that_come_together_get_a_slot_each():
    pacer = Pacer(4)
    assert [pacer.reserve(1.0) for _ in range(3)] == [0, 0.25, 0.5]


def test_slots_that_passed_unused_are_not_saved_up():
    pacer = Pacer(4)
    pacer.reserve(1.0)
    assert [pacer.reserve(50.0) for _ in range(2)] == pytest.approx([0, 0.25])
