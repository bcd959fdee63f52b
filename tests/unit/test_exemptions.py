"""Each exemption from a check of ruff, mypy or pytest has a reason beside it."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("airflow_provider_asyncapi", "benchmarks", "demo", "example_dags", "scripts", "tests")
#: mypy takes its reason as another comment.
REASON = re.compile(r"(type: ignore\[[^]]+\]  #|noqa: [A-Z0-9, ]+ -|pragma: no \w+ -) \S")
EXEMPTION = re.compile(r"type: ignore|noqa|pragma: no")


def find_unexplained(path: Path) -> Iterator[int]:
    """Return the lines whose exemptions have no reason."""
    if not EXEMPTION.search(path.read_text()):
        return
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type != tokenize.COMMENT:
                continue
            if len(EXEMPTION.findall(token.string)) > len(REASON.findall(token.string)):
                yield token.start[0]


def test_each_exemption_in_this_repository_has_a_reason() -> None:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    assert [f"{path.relative_to(ROOT)}:{line}" for path in files for line in find_unexplained(path)] == []


@pytest.mark.parametrize(
    ("comment", "is_explained"),
    [
        ("# noqa: S101 - for the type checker", True),
        ("# noqa: S101, S105 - made up", True),
        ("# type: ignore[arg-type]  # a fake", True),
        ("# a reason of something else", True),
        ("# noqa", False),
        ("# noqa: S101", False),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore[arg-type]  # noqa: S101 - for the type checker", False),
        ("# pragma: no branch - it has no end", True),
        ("# pragma: no cover", False),
    ],
)
def test_an_exemption_without_a_reason_is_found(tmp_path: Path, comment: str, is_explained: bool) -> None:
    file = tmp_path / "module.py"
    file.write_text(f"x = 1  {comment}\n")
    assert list(find_unexplained(file)) == ([] if is_explained else [1])
