"""Parameters that had another name once are refused with the name that they have."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.former_names import find_former_name


@pytest.mark.parametrize(
    ("given", "known", "problem"),
    [
        ({"endpoint", "output"}, {"endpoint", "output_type"}, "output: is called output_type now"),
        ({"endpoint"}, {"endpoint", "output_type"}, None),
        # What never took the parameter doesn't know its name either.
        ({"output"}, {"endpoint"}, None),
        # Here the name is of something else.
        ({"output"}, {"output", "output_type"}, None),
    ],
)
def test_a_former_name_is_told_with_the_name(given: set[str], known: set[str], problem: str | None) -> None:
    assert find_former_name(given, known) == problem
