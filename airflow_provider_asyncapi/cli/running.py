"""Run a command: its output, its errors, and its exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from enum import IntEnum
from typing import NoReturn

from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.text import make_displayable


class ExitCode(IntEnum):
    """
    The exit codes of all commands.

    As of ``grep``: 1 if the result is negative (a mistake, nothing found), 2 if the command can't be
    carried out. 128 and the number of the signal is what shells use for an interrupted command.
    """

    OK = 0
    FAILED = 1
    UNUSABLE = 2
    INTERRUPTED = 130


class CommandError(Exception):
    """
    A command can't be carried out.

    The message contains the argument, what it held, and what to change.
    """


def run_command(target: str, arguments: argparse.Namespace) -> NoReturn:
    """
    Run a command, and end the process with its exit code.

    :param target: the function, as ``module:function``, in a module of :mod:`.commands`. It takes the arguments and the
        :class:`~.output.Output`, and returns an :class:`ExitCode`.
    """
    module, _, name = target.partition(":")
    stdout = sys.stdout
    try:
        # Airflow logs to the standard output; a reader of JSON couldn't tell the lines apart.
        with contextlib.redirect_stdout(sys.stderr):
            function = getattr(importlib.import_module(f"airflow_provider_asyncapi.cli.commands.{module}"), name)
            code = function(arguments, Output(stdout, as_json=getattr(arguments, "json", False)))
        stdout.flush()
    except (CommandError, AsyncApiError) as error:
        sys.stderr.write(f"{make_displayable(str(error))}\n")
        code = ExitCode.UNUSABLE
    except BrokenPipeError:
        # The reader, such as `head`, has read enough. Python would try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        code = ExitCode.OK
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted\n")
        code = ExitCode.INTERRUPTED
    sys.exit(code)
