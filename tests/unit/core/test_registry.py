from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.registry import Registry


@dataclass(frozen=True)
class Colour:
    name: str
    summary: str = ""


RED, BLUE = Colour("red"), Colour("blue")


def test_a_kind_is_found_by_its_name():
    colours = Registry("colour", [RED])
    assert colours.register(BLUE) is BLUE
    assert [colours.parse(name) for name in ("red", "blue")] == [RED, BLUE]


@pytest.mark.parametrize("given", ["green", None, ["red"]])
def test_an_unknown_name_is_an_error_that_lists_all_kinds(given):
    with pytest.raises(ConfigurationError, match=r"colour: .* isn't one of red, blue"):
        Registry("colour", [RED, BLUE]).parse(given)


def test_no_kind_replaces_another_of_its_name():
    with pytest.raises(ValueError, match="colour: there is a 'red' already"):
        Registry("colour", [RED]).register(Colour("red", "another"))
