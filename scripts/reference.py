"""
Write docs/reference.md from the docstrings, and the fields of the connection form from the kinds that declare them.

``python -m scripts.reference`` writes both files, and ``--check`` only compares.

What a parameter means is said once, in the class that has it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi import exceptions, job
from airflow_provider_asyncapi.connections.form import SHIPPED_FIELDS, derive_form_fields
from airflow_provider_asyncapi.core.auth.registry import arrange_form
from airflow_provider_asyncapi.core.fetch.formats.registry import RESULT_FORMATS
from airflow_provider_asyncapi.core.fetch.outputs.registry import OUTPUT_TYPES
from airflow_provider_asyncapi.core.fetch.paging.registry import PAGING_KINDS
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS
from airflow_provider_asyncapi.core.profiles.schema import profile_tables
from airflow_provider_asyncapi.core.selectors.registry import SELECTOR_KINDS, SELECTOR_SUFFIXES
from airflow_provider_asyncapi.core.status.rule_operators import OPERATORS
from airflow_provider_asyncapi.hooks import asyncapi as hooks
from airflow_provider_asyncapi.operators import asyncapi as operators
from airflow_provider_asyncapi.operators import job as job_operators
from airflow_provider_asyncapi.sensors import asyncapi as sensors
from airflow_provider_asyncapi.triggers import asset_watcher
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from scripts.generated_page import ROOT, write_page

TARGET = ROOT / "docs" / "reference.md"
HEAD = """\
# Reference

Generated from the docstrings by `scripts/reference.py`; to change this page, edit the docstrings. The
[README](../README.md), the [cookbook](cookbook.md) and the guides explain the parameters with examples.
"""
#: Of the hook; each has a twin whose name begins with ``a``.
HOOK_METHODS = ("request", "submit_job", "get_job", "wait_for_job", "fetch_result", "cancel_job")
_PARAM = re.compile(r"^:param (?P<name>\w+):\s*(?P<text>.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^:(?!\w+:`)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?\.*(?:[\w.]*\.)?([\w]+)`")


def render() -> str:
    """Return the text of the reference."""
    described: list[Any] = [
        operators.AsyncApiTriggerOperator,
        sensors.AsyncApiSensor,
        operators.AsyncApiFetchOperator,
        job_operators.AsyncApiJobOperator,
        job.async_api_job,
        hooks.AsyncApiHook,
        *(getattr(hooks.AsyncApiHook, name) for name in HOOK_METHODS),
        asset_watcher.AsyncApiEventTrigger,
        triggers.AsyncApiJobTrigger,
    ]
    parts = [HEAD, *("\n".join(_described(each)) for each in described)]
    parts += ["\n".join(_selectors()), "\n".join(_operators()), "\n".join(_kinds())]
    parts += ["\n".join(_connection()), "\n".join(_profiles()), "\n".join(_exceptions(exceptions))]
    return "\n".join(parts)


def _described(thing: Any) -> Iterator[str]:
    doc = inspect.getdoc(thing) or ""
    end = _FIELD.search(doc)
    level = "##" if thing.__name__ == thing.__qualname__ else "###"
    yield f"{level} {thing.__name__}\n\n`{thing.__module__}.{thing.__qualname__}`\n"
    yield f"{_markdown(doc[: end.start()] if end else doc)}\n"
    defaults = inspect.signature(thing).parameters
    yield "| parameter | default | |\n| --- | --- | --- |"
    for match in _PARAM.finditer(doc):
        text, templated = _cell(match["text"]), ""
        text = text.replace("(templated)", "").replace("(templated; ", "(").strip()
        if "(templated" in match["text"]:
            templated = " *Templated.*"
        yield f"| `{match['name']}` | {_default(defaults, match['name'])} | {text}{templated} |"
    yield ""


def _default(parameters: Any, name: str) -> str:
    if name not in parameters:
        return ""
    given = parameters[name].default
    if given is inspect.Parameter.empty:
        return "" if parameters[name].kind is inspect.Parameter.VAR_KEYWORD else "required"
    # What some say depends on Airflow's configuration.
    return "" if given is None or name in ("deferrable", "timeout") else f"`{given!r}`"


def _selectors() -> Iterator[str]:
    """Return the tables of the kinds of selectors and their suffixes, from the registries."""
    yield "## Selectors\n\n| written | finds |\n| --- | --- |"
    for kind in (*SELECTOR_KINDS.values(), *SELECTOR_SUFFIXES.values()):
        yield f"| {', '.join(f'`{_cell(each)}`' for each in kind.examples)} | {_cell(kind.summary)} |"
    yield ""


def _operators() -> Iterator[str]:
    """Return the table of the operators of rules, from the registry."""
    yield "## Operators of rules\n\n| operator | takes | holds if |\n| --- | --- | --- |"
    for operator in OPERATORS.values():
        yield f"| `{operator.name}` | {_cell(operator.takes)} | {_cell(operator.summary)} |"
    yield ""


def _kinds() -> Iterator[str]:
    """Return the tables of what a parameter of the fetch can choose from, from the registries."""
    registries: dict[str, Any] = {
        "Output types": OUTPUT_TYPES,
        "Ways of paging": PAGING_KINDS,
        "Result formats": RESULT_FORMATS,
        "Formats of rows": WRITE_AS,
    }
    for title, registry in registries.items():
        yield f"## {title}\n\n| {registry.parameter} | |\n| --- | --- |"
        for kind in registry.values():
            yield f"| {kind.name} | {_cell(kind.summary)} |"
        yield ""


def render_form_fields() -> str:
    """Return the file with the fields of the connection form."""
    return json.dumps(derive_form_fields(), indent=2, ensure_ascii=False) + "\n"


def _connection() -> Iterator[str]:
    yield "## Connection: the keys of extra\n\nBeside `host`, `port`, `schema`, `login` and `password`.\n"
    yield "By the sections of the form; in parentheses, the kinds of authentication that use the keys.\n"
    for heading, section in arrange_form().items():
        yield f"### {heading}\n\n| key | label in the form | |\n| --- | --- | --- |"
        for field in section:
            meanings = field.choices.items() if isinstance(field.choices, Mapping) else ()
            text = " ".join([*(f"`{name}`: {meaning}." for name, meaning in meanings), field.help])
            yield f"| `{field.name}` | {field.label} | {_cell(text)} |"
        yield ""


def _profiles() -> Iterator[str]:
    yield "## Profiles: tables and keys\n\nThe table `about` may contain anything.\n"
    yield "| table | keys |\n| --- | --- |"
    for table, keys in profile_tables().items():
        yield f"| `[{table}]` | {', '.join(f'`{key}`' for key in sorted(keys))} |"
    yield ""


def _exceptions(module: Any) -> Iterator[str]:
    yield f"## Exceptions\n\n`{module.__name__}`\n\n| class | is a | |\n| --- | --- | --- |"
    for thing in vars(module).values():
        if inspect.isclass(thing) and thing.__module__ == module.__name__ and issubclass(thing, Exception):
            bases = ", ".join(f"`{base.__name__}`" for base in thing.__bases__)
            summary, _, _ = (inspect.getdoc(thing) or "").partition("\n\n")
            yield f"| `{thing.__name__}` | {bases} | {_cell(summary)} |"
    yield ""


def _markdown(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`").strip()


def _cell(text: str) -> str:
    return " ".join(_markdown(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    codes = [
        write_page(TARGET, render(), "scripts.reference"),
        write_page(SHIPPED_FIELDS, render_form_fields(), "scripts.reference"),
    ]
    sys.exit(max(codes))
