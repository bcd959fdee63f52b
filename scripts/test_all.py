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


SUITES = (
    Suite("unit, newest Airflow", "test-unit"),
    Suite("documentation", "test-docs"),
    Suite("unit, lowest versions", "test-lowest"),
    Suite("integration, newest Airflow", "test-integration"),
    Suite("browser, newest Airflow", "test-ui"),
    Suite("cluster, newest Airflow", "test-cluster"),
)


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
    for suite in SUITES:
        print(f"\n==> {suite.name}: make {suite.target}", flush=True)
        outcomes.append(run(suite))
    print(f"\n{'suite':<30}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}  outcome")
    for one in outcomes:
        counts = f"{one.passed:>8}{one.failed:>8}{one.skipped:>9}{one.seconds:>9.1f}"
        print(f"{one.suite.name:<30}{counts}  {one.verdict}")
    # A suite that broke outside its tests counts as one failure, so that the sum can't look clean.
    failed = sum(max(one.failed, int(one.exit_code != 0)) for one in outcomes)
    print(f"\n{sum(one.passed for one in outcomes)} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
