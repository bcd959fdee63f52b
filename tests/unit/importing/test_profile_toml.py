"""A profile that is written as TOML is read as the same profile, and its comments are where people look for them."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.importing.profile_toml import format_profile

PROFILE = {
    "extends": "http_202",
    "about": {"title": "Acme"},
    "submit": {
        "endpoint": "/exports",
        "headers": {"X-Client": "airflow"},
        "json": {"query": "select\n\t*", "odd key": ["é", 1, 2.5, True]},
        "identifier": ["export.id", "header:Location"],
    },
    "status": {"endpoint": "/exports/{identifier}", "completion_key": "state"},
    "fetch": {"endpoint": "/exports/{identifier}/rows", "next_page_path": None},
}


def test_the_text_is_the_profile_and_passes_the_check():
    text = format_profile(PROFILE, heading="From a document.")
    read = tomllib.loads(text)
    assert "next_page_path" not in read["fetch"]
    assert {**read, "fetch": {**read["fetch"], "next_page_path": None}} == PROFILE
    assert find_mistakes(text) == []


def test_comments_are_above_a_key_marks_beside_it_and_gaps_at_the_end_of_the_table():
    text = format_profile(
        PROFILE,
        comments={
            ("status",): "The monitor.",
            ("status", "endpoint"): "Twice\nas slow",
            ("status", "completion_value"): "not in the document",
            ("cancel", "endpoint"): "unknown",
        },
        marks={("submit", "endpoint"): "line 7"},
    )
    assert 'endpoint = "/exports"  # line 7\n' in text
    assert (
        "# The monitor.\n"
        "[status]\n"
        "# Twice\n"
        "# as slow\n"
        'endpoint = "/exports/{identifier}"\n'
        'completion_key = "state"\n'
        "# completion_value: not in the document\n"
    ) in text
    assert "[cancel]\n# endpoint: unknown\n" in text
    assert find_mistakes(text) == []


def test_long_tables_get_a_header_and_long_lists_a_line_for_each_item():
    login = {"endpoint": "/token", "json": {f"key_{number}": "x" * 20 for number in range(9)}, "method": "POST"}
    rules = [{"selector": "a" * 60, "in": ["x" * 60], "outcome": "success"}] * 2
    profile = {"connection": {"login_request": login, "auth": "login"}, "status": {"rules": rules}}
    text = format_profile(profile)
    assert "[connection.login_request]\n" in text
    assert "[connection.login_request.json]\n" in text
    assert "rules = [\n  { selector" in text
    assert tomllib.loads(text) == profile


keys = st.text(max_size=8)
values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["about", "submit", "status"]), st.dictionaries(keys, values)), st.text())
def test_any_profile_is_read_as_it_was(profile, comment):
    path = next(((table, key) for table, content in profile.items() for key in content), ("submit", "gap"))
    text = format_profile(profile, heading=comment, comments={path: comment}, marks={path: comment})
    read = tomllib.loads(text)
    assert {table: content for table, content in read.items() if content} == {
        table: content for table, content in profile.items() if content
    }


def test_a_lone_surrogate_is_replaced():
    assert tomllib.loads(format_profile({"about": {"title": "\ud800"}})) == {"about": {"title": "\ufffd"}}
