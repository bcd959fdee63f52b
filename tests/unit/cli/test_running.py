"""How commands end."""

from __future__ import annotations

import argparse
import io
import sys
import types

import pytest

from airflow_provider_asyncapi.cli.running import CommandError, run_command
from airflow_provider_asyncapi.core.errors import ConfigurationError


@pytest.fixture
def end_with(monkeypatch):
    """Run a command that raises or returns something, and return its exit code."""

    def end(result):
        def command(_arguments, _output):
            if isinstance(result, BaseException):
                raise result
            return result

        module = types.SimpleNamespace(command=command)
        monkeypatch.setitem(sys.modules, "airflow_provider_asyncapi.cli.commands.made_up", module)
        with pytest.raises(SystemExit) as ended:
            run_command("made_up:command", argparse.Namespace())
        return ended.value.code

    return end


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (CommandError("--var: wrong\x1b[2J"), 2, "--var: wrong\ufffd[2J\n"),
        (ConfigurationError("endpoint: wrong"), 2, "endpoint: wrong\n"),
        (KeyboardInterrupt(), 130, "Interrupted\n"),
    ],
)
def test_the_exit_code_tells_how_a_command_has_ended(end_with, capsys, result, code, said):
    assert end_with(result) == code
    assert capsys.readouterr().err == said


def test_a_reader_that_has_read_enough_is_no_error(end_with, monkeypatch, tmp_path):
    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert end_with(BrokenPipeError()) == 0
        stream.write("the rest")
    assert (tmp_path / "out").read_text() == ""


def test_an_error_of_this_package_itself_is_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(AttributeError):
        run_command("select:no_such", argparse.Namespace())
