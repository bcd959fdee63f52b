"""
Write the table of what each Airflow gives into docs/guides/versions.md: ``python -m scripts.version_table``.

With ``--check`` it only compares. From which Airflow on a row holds is said by the flag that the code asks, in
``airflow_private/versions.py``; what an older Airflow does instead is said here.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from packaging.version import Version

from airflow_provider_asyncapi.airflow_private.versions import SINCE
from scripts.generated_page import ROOT, write_page

TARGET = ROOT / "docs" / "guides" / "versions.md"
BEGIN = "<!-- made by scripts/version_table.py -->\n"
END = "<!-- end of the table -->\n"
#: The constraints of each Airflow that the tests run on, the oldest first.
ENVIRONMENTS = ("lowest", "airflow-3.2", "airflow-3.3")


@dataclass(frozen=True, slots=True)
class Row:
    """
    One thing that users get.

    :param text: in Markdown.
    :param flag: the flag in ``airflow_private/versions.py`` that it needs; empty if every Airflow gives it.
    :param before: what an Airflow without the flag does.
    """

    text: str
    flag: str = ""
    before: str = "no"

    def given_by(self, airflow: Version) -> str:
        """Return the cell of a version of Airflow."""
        return "yes" if not self.flag or airflow >= Version(SINCE[self.flag]) else self.before


ROWS = (
    Row("submitting, waiting and fetching; the connection form; the link *Remote job*"),
    Row("waiting without a worker, the deadline, pacing, batches"),
    Row("the deadline survives restarts of the triggerer"),
    Row(
        "[callbacks](callbacks.md)",
        "HAS_TRIGGER_XCOMS",
        "yes; a callback that arrives while the task is being deferred resumes nothing: the next callback, the next"
        " poll or the deadline ends the wait",
    ),
    Row("the page *Async API jobs*", "HAS_PLUGIN_PAGES"),
    Row("status, progress and errors in the UI while a task is deferred", "HAS_TRIGGER_XCOMS", "no, only in the log"),
    Row("[spans](monitoring.md#traces) of jobs for OpenTelemetry", "HAS_TASK_TRACES"),
    Row(
        "a retry of the submit task continues with the job of the earlier try",
        "HAS_TASK_STATE",
        "only with `{idempotency_key}` or `lookup`",
    ),
    Row("a callback for an earlier try of the submit task is kept", "HAS_TASK_STATE"),
    Row(
        "a deferred task that is cleared or marked as failed or success, or whose run is deleted, cancels its remote"
        " job (`cancel`)",
        "HAS_TRIGGER_ON_KILL",
        "no, the job continues",
    ),
    Row("the deadline holds across retries", "HAS_TASK_STATE", "no, each retry begins a new one"),
    Row('consecutive errors are counted across the pokes of `mode="reschedule"`', "HAS_TASK_STATE"),
    Row(
        "a wait [begins and ends without a worker](scale.md#no-worker-to-begin-or-end-a-wait)",
        "HAS_TRIGGER_ON_KILL",
    ),
)


def find_tested_versions() -> list[Version]:
    """Return the versions of Airflow that the tests run on, the oldest first, such as 3.1."""
    texts = [(ROOT / "constraints" / f"{name}.in").read_text(encoding="utf-8") for name in ENVIRONMENTS]
    return [Version(re.findall(r"^apache-airflow==(\d+\.\d+)", text, re.MULTILINE)[0]) for text in texts]


def render() -> str:
    """Return the text of the page with its table made anew."""
    tested = find_tested_versions()
    lines = [
        f"| | {' | '.join(map(str, tested))} |",
        f"| ---{' | ---' * len(tested)} |",
        *(f"| {row.text} | {' | '.join(map(row.given_by, tested))} |" for row in ROWS),
    ]
    head, _, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + tail


if __name__ == "__main__":
    sys.exit(write_page(TARGET, render(), "scripts.version_table"))
