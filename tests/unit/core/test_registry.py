from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.registry import Registry
from tests.unit.installed_kinds import install_kind


@dataclass(frozen=True)
class Colour:
    name: str
    summary: str = ""


RED, BLUE = Colour("red"), Colour("blue")


def test_a_kind_is_found_by_its_name():
    colours = Registry("colour", "colours", [RED])
    assert colours.register(BLUE) is BLUE
    assert [colours.parse(name) for name in ("red", "blue")] == [RED, BLUE]


@pytest.mark.parametrize("given", ["green", None, ["red"]])
def test_an_unknown_name_is_an_error_that_lists_all_kinds(given):
    with pytest.raises(ConfigurationError, match=r"colour: .* isn't one of red, blue"):
        Registry("colour", "colours", [RED, BLUE]).parse(given)


def test_no_kind_replaces_another_of_its_name():
    with pytest.raises(ValueError, match="colour: there is a 'red' already"):
        Registry("colour", "colours", [RED]).register(Colour("red", "another"))


def test_a_kind_can_be_removed():
    colours = Registry("colour", "colours", [RED, BLUE])
    colours.unregister("red")
    colours.unregister("green")
    assert list(colours) == ["blue"]


def test_a_kind_with_an_import_path_is_imported_when_it_is_looked_up():
    colours = Registry("colour", "colours", [RED], {"green": f"{__name__}:GREEN", "lost": "no_such_module:LOST"})
    assert (list(colours), len(colours), "lost" in colours) == (["green", "lost", "red"], 3, True)
    assert colours["green"] is colours.parse("green") is GREEN
    with pytest.raises(ModuleNotFoundError):
        colours.parse("lost")


GREEN, OTHER_RED = Colour("green"), Colour("red")


@pytest.fixture
def colours(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("colour", "colours", [RED])


def test_a_kind_of_another_package_is_found_by_its_entry_point(colours, tmp_path):
    with install_kind(tmp_path, colours, "green", f"{__name__}:GREEN"):
        assert colours.parse("red") is RED
        assert "green" not in colours
        assert colours.parse("green") is GREEN
        colours.load_installed()
        assert list(colours) == ["red", "green"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("green", "no_such_module:GREEN", "entry point green = 'no_such_module:GREEN' can't be used: ModuleNotFound"),
        ("lime", f"{__name__}:GREEN", r"can't be used: ValueError\(.*isn't 'lime'"),
    ],
)
def test_a_kind_that_cannot_be_used_is_an_error_that_names_its_entry_point(colours, tmp_path, name, value, message):
    with install_kind(tmp_path, colours, name, value), pytest.raises(ConfigurationError, match=message):
        colours.parse(name)


def test_a_kind_of_another_package_replaces_none_that_is_shipped(colours, tmp_path):
    with install_kind(tmp_path, colours, "red", f"{__name__}:OTHER_RED"):
        colours.load_installed()
        assert colours["red"] is RED
        assert "there is a 'red' already" in colours.problems["red"]
    colours.load_installed()
