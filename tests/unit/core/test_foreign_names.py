"""Parameters that other libraries call by another name are refused with the name that they have here."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key, find_foreign_name


@pytest.mark.parametrize(
    ("given", "known", "problem"),
    [
        ({"endpoint", "params"}, {"endpoint", "query_params"}, "params: is called query_params here"),
        ({"endpoint"}, {"endpoint", "query_params"}, None),
        # Here there are no query parameters.
        ({"params"}, {"endpoint"}, None),
        # Here the name is of something else.
        ({"params"}, {"params", "query_params"}, None),
    ],
)
def test_a_foreign_name_is_refused_with_the_name_here(given: set[str], known: set[str], problem: str | None) -> None:
    assert find_foreign_name(given, known) == problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("end_point", "unknown key 'end_point' (did you mean 'endpoint'?)"),
        ("Endpoint", "unknown key 'Endpoint' (did you mean 'endpoint'?)"),
        ("colour", "unknown key 'colour'"),
        (7, "unknown key 7"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(name: object, text: str) -> None:
    assert describe_unknown_key(name, ("endpoint", "method")) == text
