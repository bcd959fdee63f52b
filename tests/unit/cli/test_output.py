"""The output of commands."""

from __future__ import annotations

import io
import json

import pytest

from airflow_provider_asyncapi.cli.output import Output

ROWS = [("celigo", "Celigo integrator.io flows", "a.toml"), ("x", "", "b.toml")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_has_columns():
    stream = io.StringIO()
    Output(stream).write_table(ROWS)
    assert stream.getvalue() == (
        "celigo  Celigo integrator.io flows  a.toml\nx                                   b.toml\n"
    )


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (40, 6)])
def test_a_narrow_terminal_shows_a_row_as_a_block(monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    Output(stream).write_table(ROWS)
    shown = stream.getvalue().splitlines()
    assert len(shown) == lines
    assert all(len(line) <= columns for line in shown)


def test_an_empty_table_is_nothing():
    stream = io.StringIO()
    Output(stream).write_table([])
    assert stream.getvalue() == ""


def test_what_a_terminal_would_act_on_is_replaced():
    stream = io.StringIO()
    Output(stream).write("a\x1b[2Jb\u202e")
    assert stream.getvalue() == "a\ufffd[2Jb\ufffd\n"


def test_json_is_for_programs():
    stream = io.StringIO()
    Output(stream, as_json=True).write_json({"a": ["é", "\x1b"]})
    assert json.loads(stream.getvalue()) == {"a": ["é", "\x1b"]}
    assert "\x1b" not in stream.getvalue()
