"""The mistakes that are found in the text of a profile."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from airflow_provider_asyncapi.core.auth.none import NoAuth
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes, map_lines
from tests.unit.installed_kinds import register_kind

SHIPPED = [
    file
    for folder in (resources.files("airflow_provider_asyncapi.profiles"),)
    for entry in folder.iterdir()
    for file in (entry.iterdir() if entry.is_dir() else (entry,))
    if file.name.endswith("toml")
]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_there_are_none_in_a_shipped_profile(file):
    assert find_mistakes(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[submit\nx = 1", [(None, r"isn't TOML: .*line 1")]),
        ("# A comment.\n\n[submitt]", [(3, r"unknown table \[submitt\]; did you mean submit\?")]),
        (
            "[xyz]\na = 1",
            [(1, r"unknown table \[xyz\]; known are about, cancel, connection, events, extends, fetch")],
        ),
        ("extends = 'base'\n[submit]", []),
        ("[about]\n[submit]\n[status]\n", []),
        ("\nextends = 5", [(2, "extends: has to be the name of another profile, not 5")]),
        ("status = 5", [(1, "status: has to be a table, not 5")]),
        (
            '[status]\ncompletion_key = "a"\ncompletion_valeu = "b"',
            [(3, r"\[status\] completion_valeu: unknown key; did you mean completion_value\?")],
        ),
        ("[cancel]\nzzz = 1", [(2, r"\[cancel\] zzz: unknown key; known are .*endpoint")]),
        ('[submit]\nidentifier = "$.["', [(2, r"\[submit\] identifier: malformed selector")]),
        ('[fetch]\nconcurrency = "x"', [(2, r"\[fetch\] concurrency: has to be a whole number")]),
        ('[cancel]\nmethod = "???"', [(2, r"\[cancel\] cancel: method")]),
        ("[events]\npoke_interval = 0", [(2, r"\[events\] poke_interval: has to be a number of seconds")]),
        # Each of several is found, in the order of the lines, and in parts of a key.
        (
            '[status]\nignore_case = 1\npoke_interval = "x"\nrules = [\n  { selector = "a" },\n]\n[submit]\nx = 1',
            [(2, "ignore_case"), (3, "poke_interval"), (4, r"rules\[0\]"), (8, r"\[submit\] x")],
        ),
        # Keys and tables may be written in several ways.
        ('[ "status" ]\n"ignore_case" = 1', [(2, "ignore_case")]),
        ("status.ignore_case = 1", [(1, "ignore_case")]),
        ("[connection.login_request]\n[connection.oops]", [(2, r"\[connection\] oops: unknown key")]),
        ("[[status.rules]]\nx = 1", [(1, r"rules\[0\]")]),
        ("about = 5", []),
        ("[about]\nanything = 5", []),
        # A connection adds credentials, and may choose the kind of authentication.
        ('[connection]\nauth = "bearer"', []),
        ('[connection]\nauth = "none"', []),
        ("[connection]\nlogin_lifetime = 5", []),
        ('[connection]\nauth = "oauth2"', []),
        ('[connection]\nverify = "x"', [(2, r"\[connection\] verify")]),
        ('[connection]\nauth = "baerer"', [(2, r"\[connection\] auth: 'baerer'")]),
    ],
)
def test_a_mistake_has_its_line_and_advice(text, found):
    mistakes = find_mistakes(text)
    assert [mistake.line for mistake in mistakes] == [line for line, _ in found]
    for mistake, (_, message) in zip(mistakes, found, strict=True):
        assert re.search(message, str(mistake)), str(mistake)


def test_a_mistake_names_its_place_in_a_file():
    (unknown,) = find_mistakes("[nope]\n")
    assert unknown.describe_in("acme.toml").startswith("acme.toml:1: unknown table [nope]")
    (broken,) = find_mistakes("[submit\n")
    assert broken.describe_in("acme.toml").startswith("acme.toml: isn't TOML: ")


def test_a_mistake_that_no_key_has_made_is_that_of_its_table():
    mistakes = find_mistakes('[fetch]\noutput_type = "zip"\n[status]\ncompletion_value = "x"\nfailure_value = "x"')
    assert [(mistake.table, mistake.line) for mistake in mistakes] == [("status", 5)]


def test_a_message_that_names_no_key_is_about_the_table():
    class Odd(NoAuth):
        name = "odd"

        @classmethod
        def parse(cls, values):
            raise ConfigurationError("can't be used")

    with register_kind(AUTH_KINDS, Odd):
        mistakes = find_mistakes('\n[connection]\nauth = "odd"')
    assert [(str(mistake), mistake.line, mistake.key) for mistake in mistakes] == [
        ("[connection] can't be used", 2, None)
    ]


def test_the_line_of_a_statement_is_its_first():
    text = 'a = 1\n[t]\nb = [\n  1,\n  2,\n]\nc = """\nd = 5\n"""\nd = { e = [{ f = 1 }] }\n\n# x = 1\n[t.u]\ng.h = 1\n'
    assert map_lines(text) == {
        ("a",): 1,
        ("t",): 2,
        ("t", "b"): 3,
        ("t", "c"): 7,
        ("t", "d"): 10,
        ("t", "d", "e"): 10,
        ("t", "d", "e", "f"): 10,
        ("t", "u"): 13,
        ("t", "u", "g"): 14,
        ("t", "u", "g", "h"): 14,
    }


def test_a_statement_of_too_many_lines_is_not_looked_for():
    text = "a = 1\nb = [\n" + "1,\n" * 2000 + "]\nc = 1\n"
    assert map_lines(text) == {("a",): 1}
    assert [mistake.line for mistake in find_mistakes("[cancel]\nx = [\n" + "1,\n" * 2000 + "]")] == [1]
