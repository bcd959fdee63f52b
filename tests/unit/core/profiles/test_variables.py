"""The variables of a profile have a meaning and maybe a default, for pages and messages."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.profiles.variables import (
    ProfileVariable,
    describe_profile_variables,
    list_variables,
)

PROFILE: dict[str, Any] = {
    "about": {"variables": {"table": "the table", "size": "rows", "note": "a text", "connection.site": "the site"}},
    "connection": {"variables": {"site": "eu"}},
    "submit": {"variables": {"size": 7}},
    "status": {"variables": {"note": ""}},
}


def test_a_variable_has_the_default_of_the_table_that_sets_it() -> None:
    assert list(list_variables(PROFILE)) == [
        ProfileVariable("table", "the table", None),
        ProfileVariable("size", "rows", "7"),
        ProfileVariable("note", "a text", ""),
        ProfileVariable("connection.site", "the site", "eu"),
    ]


def test_a_message_names_all_of_them() -> None:
    described = describe_profile_variables(PROFILE)
    assert described == (
        "table: the table; size: rows (7 by default); note: a text (empty by default);"
        " connection.site: the site (eu by default)"
    )


def test_a_text_of_the_author_is_taken_as_it_is() -> None:
    profile = {"about": {"variables": "table: the table"}}
    assert list(list_variables(profile)) == []
    assert describe_profile_variables(profile) == "table: the table"
    assert describe_profile_variables({}) == ""
