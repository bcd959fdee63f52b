"""The page of faults promises what the cluster tests prove, and leaves none of them out."""

from __future__ import annotations

import ast
import re

from tests.docs.snippets import ROOT

PAGE = ROOT / "docs/guides/faults.md"
#: `test_file.py`: `test_name`, perhaps with the name of a scenario in brackets.
_NAMED = re.compile(r"`(?P<file>test_\w+)`: `(?P<test>test_\w+?)(?:\[(?P<scenario>[\w-]+)\])?`")


def named() -> list[re.Match[str]]:
    return list(_NAMED.finditer(PAGE.read_text("utf-8")))


def functions_in(file: str) -> dict[str, str]:
    """Return the source of each test in a file of cluster tests, by its name."""
    path = ROOT / "tests/cluster" / f"{file}.py"
    source = path.read_text("utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {each.name: source for each in functions if each.name.startswith("test_")}


def test_each_row_names_a_test():
    tables = re.findall(r"^\|[ -]+\|.*\n((?:\|.*\n)+)", PAGE.read_text("utf-8"), re.MULTILINE)
    promises = [row for table in tables for row in table.splitlines()]
    assert promises
    assert [row for row in promises if not _NAMED.search(row)] == []


def test_the_tests_that_the_page_names_exist():
    for each in named():
        source = functions_in(each["file"]).get(each["test"])
        assert source is not None, each[0]
        assert each["scenario"] is None or f'"{each["scenario"]}"' in source, each[0]


def test_the_page_leaves_no_test_out():
    files = {path.stem for path in (ROOT / "tests/cluster").glob("test_*.py")}
    all_tests = {(file, test) for file in files for test in functions_in(file)}
    assert all_tests == {(each["file"], each["test"]) for each in named()}
