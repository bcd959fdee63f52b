"""What was stored under former names is read under the names of today."""

from __future__ import annotations

from airflow_provider_asyncapi.core.layouts import TRIGGER_LAYOUT, upgrade_parameters


def test_parameters_of_an_earlier_layout_get_their_names_of_today() -> None:
    stored = {"endpoint": "/jobs", "error_waits": {"429": 60}}
    assert upgrade_parameters(stored, 1) == {"endpoint": "/jobs", "retry_delays": {"429": 60}}


def test_parameters_of_this_layout_are_left_alone() -> None:
    stored = {"endpoint": "/jobs", "error_waits": {"429": 60}}
    assert upgrade_parameters(stored, TRIGGER_LAYOUT) is stored
