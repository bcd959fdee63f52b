"""A profile has known tables with known keys."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.profiles.schema import check_profile, profile_tables


def test_the_profile_that_is_extended_is_no_table() -> None:
    assert check_profile("mine", {"extends": "other"}) == {table: {} for table in ("about", *profile_tables())}


def test_tables_that_a_profile_leaves_out_are_empty() -> None:
    checked = check_profile("mine", {"about": {"title": "Mine"}, "submit": {"endpoint": "/jobs"}})
    assert checked == {
        **{table: {} for table in profile_tables()},
        "about": {"title": "Mine"},
        "submit": {"endpoint": "/jobs"},
    }


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"submitting": {}}, "unknown table 'submitting'"),
        ({"status": 5}, "unknown table 'status'"),
        ({"connection": 5}, "unknown table 'connection'"),
        ({"fetch": {"params": {}}}, r"\[fetch\] params: is called query_params here"),
        (
            {"status": {"completion": "a"}},
            r"unknown key 'completion' \(did you mean 'completion_key'\?\) in \[status\]",
        ),
        ({"connection": {"profile": "other"}}, "unknown key 'profile'"),
        ({"cancel": {"identifier": "a"}}, "unknown key 'identifier'"),
        ({"events": {"item": "orders"}}, r"unknown key 'item' \(did you mean 'items'\?\) in \[events\]"),
    ],
)
def test_an_unknown_table_or_key_is_an_error_with_the_profiles_name(profile: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        check_profile("mine", profile)
    assert "'mine'" in str(caught.value)
