"""
The snippets of the documentation: where they are, and what a comment before one says about it.

``<!-- server: NAME -->`` before a Python snippet names the server in ``servers`` that it is run against;
``<!-- file: NAME -->`` before one says that the reader saves it as that file, which is no DAG, connection or profile;
``<!-- written: NAME -->`` before one says that a command before it writes that file; ``<!-- not run: WHY -->`` exempts
one. Python that makes no DAG of its own stands in the frame that the cookbook shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"(?:^<!--\s*(?P<key>[\w ]+?)(?::\s*(?P<value>.*?))?\s*-->\n+)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FRAME = """\
from datetime import timedelta

from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

with DAG("example", schedule=None, default_args={"deferrable": True}):
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """
    One fenced block.

    :param file: below the repository's root.
    :param line: of its first line.
    :param heading: that it stands under.
    :param language: as the fence says.
    :param key: of the comment before it, such as ``server``; empty without one.
    :param value: what that comment says.
    """

    file: str
    line: int
    heading: str
    language: str
    text: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def dag_file(self) -> str:
        """The Python snippet as a DAG file."""
        if "DAG(" in self.text or "@dag" in self.text:
            return self.text
        indented = "".join(f"    {line}" if line.strip() else line for line in self.text.splitlines(keepends=True))
        return FRAME + indented


def snippets(*languages: str) -> list[Snippet]:
    """Return all snippets in these languages, in README.md, CONTRIBUTING.md and docs/."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [each for file in files for each in snippets_in(file) if each.language in languages]


@cache
def snippets_in(file: Path) -> tuple[Snippet, ...]:
    """Return all snippets in a file."""
    return tuple(_read_snippets(file))


def _read_snippets(file: Path) -> Iterator[Snippet]:
    text = file.read_text(encoding="utf-8")
    headings = [(match.start(), match[1]) for match in _HEADING.finditer(_without_fences(text))]
    for match in _FENCE.finditer(text):
        start = match.start("text")
        heading = next((title for position, title in reversed(headings) if position < start), "")
        yield Snippet(
            str(file.relative_to(ROOT)),
            text.count("\n", 0, start) + 1,
            heading,
            match["language"],
            match["text"],
            match["key"] or "",
            match["value"] or "",
        )


def _without_fences(text: str) -> str:
    """Blank out the blocks, in which a comment would look like a heading; positions stay."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
