"""What a DAG leaves out is filled in from its profile."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.profiles.merging import (
    drop_switched_off,
    merge_parameters,
    merge_profiles,
    merge_table,
)

PROFILE: Any = {
    "status": {
        "endpoint": "/profile",
        "headers": {"Accept": "a", "X": "profile"},
        "capture": {"pages": "p"},
        "completion_value": ["done", "ok"],
        "json": {"profile": True},
    },
    "cancel": {"endpoint": "/cancel"},
}


def test_what_the_dag_says_goes_before_the_profile() -> None:
    given = {"endpoint": "/dag", "completion_value": "ready", "completion_key": None, "headers": {"X": "dag"}}
    both = merge_parameters("status", PROFILE, given)
    assert both["endpoint"] == "/dag"
    assert both["completion_value"] == "ready"
    assert both["headers"] == {"Accept": "a", "X": "dag"}
    assert both["capture"] == {"pages": "p"}
    assert both["cancel"] == {"endpoint": "/cancel"}
    assert both["json"] == {"profile": True}
    assert "completion_key" not in both


def test_variables_of_both_are_joined() -> None:
    profile = {"submit": {"variables": {"region": "eu", "size": 1}}}
    assert merge_parameters("submit", profile, {"variables": {"size": 2}})["variables"] == {"region": "eu", "size": 2}


def test_a_profile_overrides_what_it_inherits_table_by_table() -> None:
    own = {"extends": "base", "about": {"title": "Own"}, "status": {"xml": "<a/>", "capture": {"rows": "r"}}}
    merged = merge_profiles({"extends": "other", **PROFILE, "fetch": 5}, own)
    assert merged == {
        "about": {"title": "Own"},
        "status": {
            "endpoint": "/profile",
            "headers": {"Accept": "a", "X": "profile"},
            "capture": {"pages": "p", "rows": "r"},
            "completion_value": ["done", "ok"],
            "xml": "<a/>",
        },
        "cancel": {"endpoint": "/cancel"},
        "fetch": 5,
    }


def test_one_body_replaces_another_of_any_kind() -> None:
    both = merge_parameters("status", PROFILE, {"xml": "<a/>"})
    assert "json" not in both
    assert both["xml"] == "<a/>"
    file = {"path": "s3://bucket/orders.csv"}
    assert merge_table(PROFILE["status"], {"body": file}) == {
        name: value for name, value in PROFILE["status"].items() if name != "json"
    } | {"body": file}
    assert "body" not in merge_table({"body": file}, {"json": {}})


def test_false_and_zero_are_answers_of_the_dag() -> None:
    assert merge_parameters(
        "status", {"status": {"ignore_case": True, "jitter": 0.5}}, {"ignore_case": False, "jitter": 0}
    ) == {
        "ignore_case": False,
        "jitter": 0,
    }


def test_merging_changes_neither_side() -> None:
    before = repr(PROFILE)
    merge_parameters("status", PROFILE, {"headers": {"Y": "dag"}})
    assert repr(PROFILE) == before


def test_the_profiles_cancel_is_that_of_a_submit_whose_request_has_changed_only_if_it_is_wanted() -> None:
    profile = {"submit": {"endpoint": "/jobs"}, "cancel": {"endpoint": "/jobs/{identifier}"}}
    assert "cancel" not in merge_parameters("submit", profile, {"on_changed_request": "resume"})
    assert merge_parameters("submit", profile, {"on_changed_request": "cancel"})["cancel"] == profile["cancel"]


def test_false_switches_off_what_the_profile_sets() -> None:
    given = {"cancel": False, "json": {"dag": 1}, "completion_value": False}
    both = merge_parameters("status", PROFILE, given)
    assert both.keys() == {"endpoint", "headers", "capture", "json"}


def test_what_is_switched_off_takes_along_what_means_nothing_without_it() -> None:
    profile = {"status": {"repair": {"endpoint": "/r"}, "repair_on": [{}], "cleanup": {}, "cleanup_on": "failure"}}
    assert merge_parameters("status", profile, {"repair": False, "cleanup": False}) == {}
    profile = {"fetch": {"failed_records": {}, "on_partial": "warn"}}
    assert merge_parameters("fetch", profile, {"failed_records": False}) == {}


def test_a_profile_switches_off_what_it_inherits() -> None:
    merged = merge_profiles({**PROFILE, "connection": {"auth": "basic"}}, {"status": {"capture": False}})
    assert merged["status"].keys() == {"endpoint", "headers", "completion_value", "json"}
    assert merge_profiles({}, {"connection": {"verify": False}}) == {"connection": {"verify": False}}


def test_false_is_a_value_of_parameters_that_may_be_true() -> None:
    given = {"checksum": False, "unpack": False, "callback": False, "ignore_case": False, "json": False}
    assert merge_parameters("fetch", {"fetch": {"checksum": "{sha256}"}}, given) == given
    assert drop_switched_off({"repair": False, "resubmit": 0, "rules": []}) == {"resubmit": 0, "rules": []}
