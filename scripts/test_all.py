"""
Run every test suite, one after the other, and tell how each ended.

A suite that fails stops no other one. The last line is the sum: ``N passed, N failed``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPORTS = Path("reports")
#: The Pythons that pyproject.toml's newest Airflow runs on.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Suite:
    """One row of the table: what it is called, and the make target that runs it."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended; ``exit_code`` may tell of a failure that is no test's, such as coverage."""

    suite: Suite
    passed: int
    failed: int
    skipped: int
    seconds: float
    exit_code: int

    @property
    def verdict(self) -> str:
        """Say in a word or a few how the suite ended."""
        if self.exit_code == 0:
            return "ok"
        return "FAILED" if self.failed else f"FAILED (make exit {self.exit_code}, see above)"


FIRST = (Suite("unit, newest Airflow", "test-unit"),)
REST = (
    Suite("documentation", "test-docs"),
    Suite("unit, lowest versions", "test-lowest"),
    Suite("Airflow 3.2", "test-3.2"),
    Suite("integration, newest Airflow", "test-integration"),
    Suite("browser, newest Airflow", "test-ui"),
    Suite("cluster, newest Airflow", "test-cluster"),
)


def find_other_pythons() -> tuple[list[str], list[str]]:
    """Return which supported Pythons beside this one the machine has, and which it lacks, such as ``3.13``."""
    this = "{}.{}".format(*sys.version_info)
    listed = subprocess.run(["scripts/find-pythons"], check=True, capture_output=True, text=True).stdout
    found = {line.split()[0] for line in listed.splitlines()}
    others = [version for version in PYTHONS if version != this]
    return [version for version in others if version in found], [version for version in others if version not in found]


def run(suite: Suite) -> Outcome:
    """Run one suite through make, and read its JUnit report."""
    report = REPORTS / f"{suite.target}.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", suite.target]
    code = subprocess.run(command, check=False).returncode
    seconds = time.monotonic() - start
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    if report.exists():
        for element in ET.parse(report).getroot().iter("testsuite"):
            for name in totals:
                totals[name] += int(element.get(name, 0))
    bad = totals["failures"] + totals["errors"]
    return Outcome(
        suite=suite,
        passed=max(0, totals["tests"] - bad - totals["skipped"]),
        failed=bad,
        skipped=totals["skipped"],
        seconds=seconds,
        exit_code=code,
    )


def main() -> int:
    """Run all, print the table, and return the exit code."""
    outcomes = []
    found, lacking = find_other_pythons()
    pythons = [Suite(f"unit, Python {version}", f"test-python-{version}") for version in found]
    for suite in (*FIRST, *pythons, *REST):
        print(f"\n==> {suite.name}: make {suite.target}", flush=True)
        outcomes.append(run(suite))
    print(f"\n{'suite':<30}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}  outcome")
    for one in outcomes:
        counts = f"{one.passed:>8}{one.failed:>8}{one.skipped:>9}{one.seconds:>9.1f}"
        print(f"{one.suite.name:<30}{counts}  {one.verdict}")
    if lacking:
        print(f"\nNot tested, for this machine has no Python {' and no Python '.join(lacking)}")
    # A suite that broke outside its tests counts as one failure, so that the sum can't look clean.
    failed = sum(max(one.failed, int(one.exit_code != 0)) for one in outcomes)
    print(f"\n{sum(one.passed for one in outcomes)} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
