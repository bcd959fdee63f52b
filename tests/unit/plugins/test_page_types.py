"""The types of the page's modules are the shapes that the server sends."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from importlib import resources
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from airflow_provider_asyncapi.plugins import details_models, job_models, overview
from airflow_provider_asyncapi.plugins.actions import ActionName, ActionResult
from airflow_provider_asyncapi.plugins.health import Level
from airflow_provider_asyncapi.plugins.job_tables import Group

PLAIN = {str: "string", datetime: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
SOURCE = resources.files("airflow_provider_asyncapi.plugins").joinpath("static/types.d.ts").read_text("utf-8")
TOKEN = re.compile(r"\w+|\"[^\"]*\"|\[\]|=>|\?:|[^\s]")


def parse_types() -> Mapping[str, Any]:
    """
    Parse the declared types.

    A union is a set of its members, an object is a mapping, and `T[]` and `Record<K, V>` are tuples.
    """
    text = re.sub(r"/\*.*?\*/", "", SOURCE, flags=re.DOTALL)
    declared = re.findall(r"export type (\w+) =(.*?);(?=\s*(?:export|$))", text, flags=re.DOTALL)
    return {name: parse_union(list(reversed(TOKEN.findall(body)))) for name, body in declared}


def parse_union(tokens: list[str]) -> Any:
    members = [parse_member(tokens)]
    while tokens and tokens[-1] in "|&":
        tokens.pop()
        members.append(parse_member(tokens))
    return members[0] if len(members) == 1 else members


def parse_member(tokens: list[str]) -> Any:
    token: Any = tokens.pop()
    if token == "{":
        token = {}
        while tokens[-1] != "}":
            name, colon = tokens.pop(), tokens.pop()
            token[name + colon.removesuffix(":")] = parse_union(tokens)
            if tokens[-1] == ";":
                tokens.pop()
        tokens.pop()
    elif tokens and tokens[-1] == "<":
        arguments = []
        while tokens.pop() in "<,":
            arguments.append(parse_union(tokens))
        token = (token, *arguments)
    elif token == "(":
        # A function, which no server sends.
        while tokens and tokens[-1] not in (";", "}"):
            tokens.pop()
        return None
    while tokens and tokens[-1] == "[]":
        tokens.pop()
        token = ("[]", token)
    return token


def describe(server: Any) -> Any:
    """Describe what the server sends in the same way."""
    origin, arguments = get_origin(server), get_args(server)
    if origin in (Union, types.UnionType):
        return [describe(each) for each in arguments]
    if origin is Literal:
        return [f'"{each}"' for each in arguments]
    if origin is list:
        return ("[]", describe(arguments[0]))
    if origin is dict:
        return ("Record", *(describe(each) for each in arguments))
    if isinstance(server, type) and issubclass(server, BaseModel):
        return {name: describe(field.annotation) for name, field in server.model_fields.items()}
    if isinstance(server, type) and issubclass(server, Enum):
        return [f'"{each.value}"' for each in server]
    return PLAIN[server]


def compare(page: Any, server: Any, where: str) -> list[str]:
    """List the differences; the page may take one of some texts for any text."""
    while isinstance(page, str) and page in DECLARED:
        page = DECLARED[page]
    if isinstance(page, Mapping) and isinstance(server, Mapping):
        missing = [f"{where}.{name} is on one side only" for name in sorted(page.keys() ^ server.keys())]
        common = sorted(page.keys() & server.keys())
        return missing + [each for name in common for each in compare(page[name], server[name], f"{where}.{name}")]
    if isinstance(page, tuple) and isinstance(server, tuple) and len(page) == len(server):
        return [each for one, other in zip(page, server, strict=True) for each in compare(one, other, where)]
    ours, theirs = list_members(page), list_members(server)
    if "string" in ours:
        theirs = ["string" if isinstance(each, str) and each.startswith('"') else each for each in theirs]
    plain = {each for each in ours if isinstance(each, str)}, {each for each in theirs if isinstance(each, str)}
    objects = (
        [each for each in ours if not isinstance(each, str)],
        [each for each in theirs if not isinstance(each, str)],
    )
    differences = [] if plain[0] == plain[1] else [f"{where}: {sorted(plain[0])} is not {sorted(plain[1])}"]
    if len(objects[0]) != len(objects[1]):
        return [*differences, f"{where}: {page} is not {server}"]
    if (page, server) == (objects[0][0] if objects[0] else None, objects[1][0] if objects[1] else None):
        return [f"{where}: {page} is not {server}"]
    return differences + [each for one, other in zip(*objects, strict=True) for each in compare(one, other, where)]


def list_members(union: Any) -> list[Any]:
    members = union if isinstance(union, list) else [union]
    resolved = [DECLARED.get(each, each) if isinstance(each, str) else each for each in members]
    return [member for each in resolved for member in (each if isinstance(each, list) else [each])]


DECLARED = parse_types()


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("Group", Group),
        ("Level", Level),
        ("ActionName", ActionName),
        ("Job", job_models.Job),
        ("Jobs", job_models.Jobs),
        ("TimelineEntry", details_models.TimelineEntry),
        ("JobDetails", details_models.JobDetails),
        ("ConnectionOverview", overview.ConnectionOverview),
        ("Overview", overview.Overview),
    ],
)
def test_the_page_expects_what_the_server_sends(name: str, server: Any) -> None:
    assert compare(name, describe(server), name) == []


def test_the_page_reads_no_field_of_a_result_that_the_server_does_not_send() -> None:
    result = describe(ActionResult)
    expected = DECLARED["ActionResult"]
    assert compare(expected, {name: result[name] for name in expected}, "ActionResult") == []


def test_a_difference_is_found() -> None:
    sent = describe(job_models.Job)
    job = {
        **sent,
        "polls": "string",
        "health": {**sent["health"], "since": "string"},
        "delay": "null",
        "group": "string",
    }
    del job["url"]
    assert len(compare("Job", job, "Job")) == 5
