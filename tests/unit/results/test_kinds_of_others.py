"""
Other packages add a way of paging, a result format, a writer and an output type: a class and its entry point.

Each is used through the hook against a real server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.formats.base import RowFormatKind
from airflow_provider_asyncapi.core.fetch.formats.registry import RESULT_FORMATS
from airflow_provider_asyncapi.core.fetch.outputs.base import FetchRun, Output
from airflow_provider_asyncapi.core.fetch.outputs.registry import OUTPUT_TYPES
from airflow_provider_asyncapi.core.fetch.paging.base import PagePosition, PointerPaging
from airflow_provider_asyncapi.core.fetch.paging.registry import PAGING_KINDS
from airflow_provider_asyncapi.core.fetch.plan import page_variables
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS, WriterKind
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.profiles.schema import check_profile
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator
from airflow_provider_asyncapi.results.writers.base import OpenFile, PlacedFile, Writer
from scripts.reference import render
from tests.loopback import reply
from tests.unit.installed_kinds import install_kind


@pytest.fixture
def hook(server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps({"conn_type": "asyncapi", "host": server.url}))
    hook = AsyncApiHook("api")
    hook.get_conn()._sleep = lambda _: None
    yield hook
    hook.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ByMark(PointerPaging):
    """Pages that end with a mark, from which the next one goes on."""

    name = "mark"
    summary = "`mark`: the selector of the mark at which the next page begins; the request names `{mark}`."
    parameters = ("mark",)
    variables = ("mark",)
    optional_variables = ("mark",)

    def next_pointer(self, response: Response, variables: Variables) -> JsonValue:
        found = self.find_pointer(response, variables)
        return None if found is None else found[1]

    def make_pointer_position(self, index: int, pointer: JsonValue) -> PagePosition:
        return self.make_position(index, mark=pointer)


class Pairs(RowFormatKind):
    """Lines such as ``a=1;b=2``."""

    name = "pairs"
    summary = "Lines of pairs. `between`: what stands between them."
    options = ("between",)
    subtypes = frozenset({"x-pairs"})

    def parse_options(self, given: Any) -> Any:
        return given.get("between", ";")

    def parse_rows(self, lines: Iterable[str], options: Any) -> Iterator[JsonValue]:
        for line in lines:
            yield dict(pair.split("=", 1) for pair in line.strip().split(options))


class MarkdownTable(Writer):
    """Rows as a table of Markdown."""

    content_type = "text/markdown"

    def __init__(self, open_file: OpenFile) -> None:
        self._file = open_file()

    def write(self, row: JsonValue) -> None:
        self._file.write(f"| {' | '.join(row.values())} |\n".encode())

    def finish(self, name: str) -> list[PlacedFile]:
        return [((f"{name}.md",), self._file.finish())]


class CountedLines(Output):
    """Files of which the lines are counted."""

    name = "counted"
    summary = "A file and the number of its lines."
    makes_files = True

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        files = run.download()
        lines = sum(stored.path.read_bytes().count(b"\n") for stored, _ in files)
        placed = [((f"{number}.txt",), stored) for number, (stored, _) in enumerate(files)]
        return run.commit(placed, files[0][1].content_type, lines=lines)


PAIRS = Pairs()
MARKDOWN = WriterKind("markdown", "A table of Markdown.", MarkdownTable)
COUNTED = CountedLines()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Have a folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


@pytest.fixture
def mark(site):
    with install_kind(site, PAGING_KINDS, "mark", f"{__name__}:ByMark"):
        yield


@pytest.fixture
def pairs(site):
    with install_kind(site, RESULT_FORMATS, "pairs", f"{__name__}:PAIRS"):
        yield


@pytest.fixture
def markdown(site):
    with install_kind(site, WRITE_AS, "markdown", f"{__name__}:MARKDOWN"):
        yield


@pytest.fixture
def counted(site):
    with install_kind(site, OUTPUT_TYPES, "counted", f"{__name__}:COUNTED"):
        yield


@pytest.mark.usefixtures("mark")
def test_a_way_of_paging_is_added_by_its_class_alone(hook, server):
    server.respond_with(reply({"rows": [1], "end": "a b"}), reply({"rows": [2]}))
    given = {"mark": "end", "query_params": {"from": "{mark}"}}
    assert hook.fetch_result("7", endpoint="/rows", result_path="rows", **given) == [1, 2]
    assert [asked.target for asked in server.asked] == ["/rows", "/rows?from=a+b"]
    assert page_variables(given) == {"mark"}
    assert check_profile("toy", {"fetch": given})["fetch"] == given
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="pages and mark: are different ways of paging"):
        hook.fetch_result("7", endpoint="/rows", pages=3, **given)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"has to name \{mark\} .* for mark pages"):
        hook.fetch_result("7", endpoint="/rows", mark="end")


@pytest.mark.usefixtures("mark")
def test_a_template_may_render_to_the_variable_of_an_added_way_of_paging(monkeypatch, tmp_path):
    (tmp_path / "toy.toml").write_text('[fetch]\nendpoint = "/rows"\nmark = "end"\n')
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    common: dict[str, Any] = {"profile": "toy", "job": "7"}
    AsyncApiFetchOperator(task_id="templated", query_params={"from": "{{ params.from }}"}, **common)
    with pytest.raises(ConfigurationError, match=r"has to name \{mark\} .* for mark pages"):
        AsyncApiFetchOperator(task_id="literal", query_params={"from": "x"}, **common)


def test_the_parameters_of_a_kind_are_unknown_without_it(hook):
    with pytest.raises(Exception, match="mark"):
        hook.fetch_result("7", endpoint="/rows", mark="end", query_params={"from": "{mark}"})


@pytest.mark.usefixtures("pairs")
def test_a_result_format_is_added_by_its_class_alone(hook, server, tmp_path):
    body = b"a=1;b=2\na=3;b=4\n"
    server.respond_with(*[reply(body, content_type="text/x-pairs")] * 3, reply(b"a=1,b=2", content_type="text/plain"))
    rows = [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert hook.fetch_result("7", endpoint="/rows") == rows
    assert hook.fetch_result("7", endpoint="/rows", result_path="$[*].b") == ["2", "4"]
    hook.fetch_result("7", endpoint="/rows", write_as="ndjson", destination=f"{tmp_path}/rows.ndjson")
    assert [json.loads(line) for line in (tmp_path / "rows.ndjson").read_text().splitlines()] == rows
    assert hook.fetch_result("7", endpoint="/rows", result_format={"format": "pairs", "between": ","}) == rows[:1]
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="'between' can be set for 'pairs' only"):
        hook.fetch_result("7", endpoint="/rows", result_format={"format": "json", "between": ","})


@pytest.mark.usefixtures("markdown")
def test_a_writer_is_added_by_its_class_alone(hook, server, tmp_path):
    server.respond_with(reply([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]))
    manifest = hook.fetch_result("7", endpoint="/rows", write_as="markdown", destination=f"{tmp_path}/")
    assert (manifest["paths"], manifest["rows"]) == ([f"{tmp_path}/result.md"], 2)
    assert manifest["content_type"] == "text/markdown"
    assert (tmp_path / "result.md").read_text() == "| 1 | 2 |\n| 3 | 4 |\n"
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"isn't one of json, .*, markdown"):
        hook.fetch_result("7", endpoint="/rows", write_as="yaml", destination=f"{tmp_path}/")


@pytest.mark.usefixtures("counted")
def test_an_output_type_is_added_by_its_class_alone(hook, server, tmp_path):
    server.respond_with(reply(b"one\ntwo\n", content_type="text/plain"))
    manifest = hook.fetch_result("7", endpoint="/log", output_type="counted", destination=f"{tmp_path}/")
    assert (manifest["paths"], manifest["lines"], manifest["bytes"]) == ([f"{tmp_path}/0.txt"], 2, 8)
    for given, message in [
        ({}, "destination: output_type='counted' needs one"),
        ({"write_as": "json", "destination": f"{tmp_path}/"}, "output_type='counted' keeps files as they are"),
        ({"output_type": "other"}, "isn't one of result, pages, zip, tar, gzip, file, counted"),
    ]:
        with pytest.raises(exceptions.AsyncApiConfigurationError, match=message):
            hook.fetch_result("7", **{"endpoint": "/log", "output_type": "counted", **given})


@pytest.mark.usefixtures("mark", "pairs", "markdown", "counted")
def test_kinds_of_others_are_in_the_reference():
    for kinds in (PAGING_KINDS, RESULT_FORMATS, WRITE_AS, OUTPUT_TYPES):
        kinds.load_installed()
    text = render()
    for name, kind in (("mark", ByMark), ("pairs", Pairs), ("counted", CountedLines)):
        assert f"| {name} | {kind.summary} |" in text
    assert "| markdown | A table of Markdown. |" in text
