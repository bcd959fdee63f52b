"""Documents are read within bounds, and what can't be read is refused with its place."""

from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.importing.documents import (
    MAX_BYTES,
    DocumentError,
    describe_kind,
    look_up,
    parse_document,
)
from airflow_provider_asyncapi.importing.selectors import build_selector


def test_yaml_and_json_are_read_as_json_types():
    text = b"a: 2024-01-01\n200: ok\nb: &x {c: [1, 2.5, true, null]}\nd: {<<: *x, e: 1}\n"
    expected = {
        "a": "2024-01-01",
        "200": "ok",
        "b": {"c": [1, 2.5, True, None]},
        "d": {"c": [1, 2.5, True, None], "e": 1},
    }
    assert parse_document(text, "a.yaml") == expected
    assert parse_document(b"\xef\xbb\xbf" + json.dumps(expected).encode(), "a.json") == expected
    assert parse_document(b"{a: 1}", "a.yaml") == {"a": 1}


def bomb(levels: int) -> bytes:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b: c", "a.yaml:1: isn't YAML or JSON: mapping values are not allowed"),
        (b"a: 1\nb: ]", "a.yaml:2: isn't YAML or JSON"),
        (b"a: *b", "a.yaml:1: .*undefined alias"),
        (b"a: 1\nb: !!python/object/apply:os.system [id]", "a.yaml:2: .*could not determine a constructor"),
        (b"a: 1\n? [1]\n: 2", "a.yaml:2: .*a key has to be a text"),
        (b"- 1", "a.yaml: has to be a mapping, not list"),
        (b"", "a.yaml: has to be a mapping, not NoneType"),
        (b"\x00", "a.yaml: isn't YAML or JSON: .*control characters"),
        (b"a: \xff", "a.yaml:1: isn't UTF-8"),
        (b"%PDF-1.4", "a.yaml:1: isn't YAML or JSON"),
        (b"a: &a\n  b: *a", "a.yaml:2: the alias \\*a contains itself"),
        (b"a:\n- " + b"[" * 100_000, "a.yaml:2: more than 100 mappings and lists are nested"),
        (b'{"a": ' + b"[" * 100_000, "nested"),
        (bomb(12), "a.yaml:6: has more than 1,000,000 values, those of aliases included"),
        (b"a" * (MAX_BYTES + 1), "a.yaml: has more than 16 MiB"),
    ],
)
def test_what_cant_be_read_is_refused_with_its_place(content, message):
    with pytest.raises(DocumentError, match=message):
        parse_document(content, "a.yaml")


def test_references_name_values_of_the_document():
    root = {"a/b": [{"c~d": 1}]}
    assert look_up(root, "#/a~1b/0/c~0d", "x") == 1
    assert look_up(root, "#", "x") == root
    with pytest.raises(DocumentError, match="x: the reference '#/a~1b/7' leads to nothing: there is no '7'"):
        look_up(root, "#/a~1b/7", "x")
    with pytest.raises(DocumentError, match="leads to another document"):
        look_up(root, "other.yaml#/a", "x")


def test_kinds_of_documents_are_known():
    assert "import arazzo" in describe_kind({"arazzo": "1.0.0"})
    assert "import openapi" in describe_kind({"openapi": "3.0.0"})
    assert "Swagger 2" in describe_kind({"swagger": "2.0"})
    assert "import airbyte" in describe_kind({"type": "DeclarativeSource"})


@pytest.mark.parametrize(
    ("keys", "selector"),
    [
        ([], "$"),
        (["a", "b"], "a.b"),
        (["a", 0, "1", "b"], "a[0][1].b"),
        (["*", "*"], "$.*[*]"),
        (["a", "*"], "a[*]"),
        (["odd key", "b"], '"odd key".b'),
        (["status_code"], "$.status_code"),
        (["headers", "Location"], "header:Location"),
    ],
)
def test_paths_are_selectors(keys, selector):
    assert build_selector(keys) == selector
