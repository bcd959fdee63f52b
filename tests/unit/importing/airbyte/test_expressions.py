"""Jinja is read and never run: what a profile can say is translated, and the rest is named."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.importing.airbyte.expressions import (
    Comparison,
    Constant,
    Encoded,
    Expression,
    Joined,
    Path,
    Unknown,
    read_template,
)

PARAMETERS = {"level": "AD", "columns": ["a", "b"], "empty": ""}


def read(text: object) -> Expression:
    return read_template(text, PARAMETERS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        (7, 7),
        ("{{ parameters['level'] }}", "AD"),
        ("{{ parameters.columns }}", ["a", "b"]),
        ("{{ parameters['columns'][1] }}", "b"),
        ("{{ parameters.get('missing', 'x') }}", "x"),
        ("{{ parameters.get('level', 'x') }}", "AD"),
        ("{{ parameters.level ~ '-' ~ 1 }}", "AD-1"),
        ("{{ 'a' + parameters['level'] }}", "aAD"),
        ("a {{ 'b' }}", "a b"),
        ("{{ 'a' if parameters.level else 'b' }}", "a"),
        ("{{ 'a' if parameters.empty }}", ""),
        ("{{ parameters.empty or 'b' }}", "b"),
        ("{{ ['a', 1] }}", ["a", 1]),
        ("{{ {'a': -1} }}", {"a": -1}),
        ("{{ 'a' | string }}", "a"),
        ("{{ parameters.nothing | default('d') }}", "d"),
        ("{# a comment #}", ""),
    ],
)
def test_what_the_manifest_contains_is_a_constant(text, value):
    assert read(text) == Constant(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ config['a']['b'] }}", Path("config", ("a", "b"))),
        ("{{ config.a }}", Path("config", ("a",))),
        ("{{ config.get('a', 'x') }}", Path("config", ("a",), "x")),
        ("{{ config['a'] or 'x' }}", Path("config", ("a",), "x")),
        ("{{ config['a'] if config['a'] else 'x' }}", Path("config", ("a",), "x")),
        ("{{ (config.get('credentials') or config).get('k') }}", Path("config", ("k",))),
        ("{{ config.get('credentials', {}).get('k', config['k']) }}", Path("config", ("k",))),
        ("{{ stream_interval.start_time }}", Path("interval", ("start_time",))),
        ("{{ stream_slice['end_time'] }}", Path("interval", ("end_time",))),
        ("{{ stream_partition['id'] }}", Path("partition", ("id",))),
        ("{{ stream_slice.extra_fields['x'] }}", Path("partition", ("x",))),
        ("{{ creation_response['a'][0] }}", Path("creation", ("a", 0))),
        ("{{ creation_response.headers['Location'] }}", Path("creation", ("headers", "Location"))),
        ("{{ stream_slice['create_job_response'].json()['id'] }}", Path("creation", ("id",))),
        ("{{ stream_slice.extra_fields.creation_response.id }}", Path("creation", ("id",))),
        ("{{ polling_response.url }}", Path("polling", ("url",))),
        ("{{ download_target }}", Path("target")),
        ("{{ stream_slice['url'] }}", Path("target")),
        ("/a/{{ config.b }}", Joined((Constant("/a/"), Path("config", ("b",))))),
        ("{{ 'a' + config.b + 'c' }}", Joined((Constant("a"), Path("config", ("b",)), Constant("c")))),
        ("{{ config.a | base64encode }}", Encoded(Path("config", ("a",)))),
        ("{{ response.a == 1 }}", Comparison(Path("response", ("a",)), "eq", 1)),
        ("{{ 1 == response.a }}", Comparison(Path("response", ("a",)), "eq", 1)),
        ("{{ not response.a }}", Comparison(Path("response", ("a",)), "exists", None, True)),
        ("{{ not (response.a > 1) }}", Comparison(Path("response", ("a",)), "gt", 1, True)),
    ],
)
def test_what_is_known_later_is_a_path(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ now_utc() }}",
        "{{ config.a | upper }}",
        "{{ config.a * 2 }}",
        "{{ config.a if config.b else 'c' }}",
        "{{ config.a or config.b }}",
        "{{ config.get(config.a) }}",
        "{{ config[config.a] }}",
        "{{ config.items() }}",
        "{{ 'a' + 1 }}",
        "{{ {config.a: 1} }}",
        "{{ {[1]: 1} }}",
        "{{ 1 < response.a < 3 }}",
        "{{ not 1 }}",
        "{% set a = 1 %}{{ a }}",
        "{% for x in config %}{{ x }}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ unclosed",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ config.__class__.__init__() }}",
        "{{ '%s' | format('a') }}",
        "{{ 9 ** 9 ** 9 }}",
        f"{{{{ {'(' * 3000}1{')' * 3000} }}}}",
    ],
)
def test_all_else_is_unknown_and_nothing_of_it_is_run(text):
    unknown = read(text)
    assert isinstance(unknown, Unknown)
    assert unknown.text == text.strip()


def test_an_unknown_part_leaves_the_parts_around_it():
    value = read("P{{ config.a | upper }}D")
    assert value == Joined(
        (Constant("P"), Unknown("part of P{{ config.a | upper }}D", frozenset({"config"})), Constant("D"))
    )
