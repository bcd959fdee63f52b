"""What was stored under former names is read under the names of today."""

from __future__ import annotations

from airflow_provider_asyncapi.core.jobs.layouts import TRIGGER_LAYOUT, upgrade_parameters


def test_parameters_of_an_earlier_layout_get_their_names_of_today() -> None:
    details = [{"endpoint": "/why", "params": {"a": "b"}}, {"endpoint": "/log"}]
    stored = {
        "endpoint": "/jobs",
        # What a body holds is the API's.
        "json": {"params": {"output": "total"}},
        "params": {"params": "1"},
        "error_waits": {"429": 60},
        "cancel": {"endpoint": "/stop", "params": {"a": "b"}, "json": {"params": 1}},
        "failure_details": details,
        "batch": None,
    }
    assert upgrade_parameters(stored, 1) == {
        "endpoint": "/jobs",
        "json": {"params": {"output": "total"}},
        "query_params": {"params": "1"},
        "retry_delays": {"429": 60},
        "cancel": {"endpoint": "/stop", "query_params": {"a": "b"}, "json": {"params": 1}},
        "failure_details": [{"endpoint": "/why", "query_params": {"a": "b"}}, {"endpoint": "/log"}],
        "batch": None,
    }


def test_parameters_of_this_layout_are_left_alone() -> None:
    stored = {"endpoint": "/jobs", "error_waits": {"429": 60}}
    assert upgrade_parameters(stored, TRIGGER_LAYOUT) is stored
