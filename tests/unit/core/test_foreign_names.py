"""Parameters that other libraries call by another name are refused with the name that they have here."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.foreign_names import find_foreign_name


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
