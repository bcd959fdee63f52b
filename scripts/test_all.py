"""
Run every test suite, and print how each ended and how long it took.

A suite that fails stops no other one. Beside the suites that run a real Airflow, which often wait, a background lane
runs the tests of core/ on the other environments. These tests have no clock, no network and no other process, so it
doesn't matter how slowly they run; at the lowest priority they take nothing from the suites beside them. Their output
is printed after those suites. The last line is the sum: ``N passed, N failed``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPORTS = Path("reports")
#: The Pythons that pyproject.toml's newest Airflow runs on.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
CORE = "tests/unit/core"


@dataclass(frozen=True, slots=True)
class Suite:
    """
    One row of the table.

    :param name: its name there.
    :param target: the make target that runs it.
    :param variables: make variables, such as ``T=tests/unit/core``.
    :param report: the name of its JUnit report, without ``.xml``; by default the target's.
    """

    name: str
    target: str
    variables: tuple[str, ...] = ()
    report: str = ""

    @property
    def report_name(self) -> str:
        """Return the name of the JUnit report, without ``.xml``."""
        return self.report or self.target


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a suite ended; ``exit_code`` also shows a failure that is no test's, such as coverage."""

    suite: Suite
    passed: int
    failed: int
    skipped: int
    seconds: float
    exit_code: int

    @property
    def verdict(self) -> str:
        """Return in a few words how the suite ended."""
        if self.exit_code == 0:
            return "ok"
        return "FAILED" if self.failed else f"FAILED (make exit {self.exit_code}, see above)"


def without_core(name: str, target: str) -> Suite:
    """Return the suite of the unit tests but for core's, which are run elsewhere."""
    return Suite(name, target, (f"ARGS=--ignore={CORE}",))


def core_alone(name: str, target: str) -> Suite:
    """Return the suite of core's unit tests on an environment, with a timeout that a busy machine doesn't reach."""
    report = f"{target}-core"
    return Suite(name, target, (f"T={CORE}", "ARGS=--timeout=900", f"REPORT={report}"), report)


#: With core's tests in an environment without Airflow, which has the same versions of all that core/ imports.
FIRST = (Suite("core, without Airflow", "test-core"), without_core("unit, newest Airflow", "test-unit"))
THEN = (
    Suite("documentation", "test-docs"),
    without_core("unit, lowest versions", "test-lowest"),
    Suite("Airflow 3.2", "test-3.2"),
)
#: Those that wait for processes of a real Airflow.
WAITING = (
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


def run(suite: Suite, *, in_background: bool = False) -> Outcome:
    """Run one suite through make, and read its JUnit report."""
    report = REPORTS / f"{suite.report_name}.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", suite.target, *suite.variables]
    if in_background:
        with report.with_suffix(".log").open("wb") as log:
            code = subprocess.run(["nice", "-n", "19", *command], check=False, stdout=log, stderr=log).returncode
    else:
        print(f"\n==> {suite.name}: make {' '.join((suite.target, *suite.variables))}", flush=True)
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


def run_beside(waiting: Iterable[Suite], background: Iterable[Suite]) -> list[Outcome]:
    """Run two lanes of suites side by side, and print what the background lane wrote after the other one has ended."""
    REPORTS.mkdir(exist_ok=True)
    with ThreadPoolExecutor(1) as lane:
        behind = [lane.submit(run, suite, in_background=True) for suite in background]
        outcomes = [run(suite) for suite in waiting]
        for done in behind:
            outcome = done.result()
            print(f"\n==> {outcome.suite.name}, in the background:")
            print((REPORTS / f"{outcome.suite.report_name}.log").read_text(errors="replace"), flush=True)
            outcomes.append(outcome)
    return outcomes


def main() -> int:
    """Run all, print the table, and return the exit code."""
    start = time.monotonic()
    found, lacking = find_other_pythons()
    pythons = [without_core(f"unit, Python {version}", f"test-python-{version}") for version in found]
    cores = [core_alone(f"core, Python {version}", f"test-python-{version}") for version in found]
    outcomes = [run(suite) for suite in (*FIRST, *pythons, *THEN)]
    outcomes += run_beside(WAITING, [*cores, core_alone("core, lowest versions", "test-lowest")])
    print(f"\n{'suite':<30}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}  outcome")
    for one in outcomes:
        counts = f"{one.passed:>8}{one.failed:>8}{one.skipped:>9}{one.seconds:>9.1f}"
        print(f"{one.suite.name:<30}{counts}  {one.verdict}")
    if lacking:
        print(f"\nNot tested, for this machine has no Python {' and no Python '.join(lacking)}")
    # A suite that broke outside its tests counts as one failure, so that the sum can't look clean.
    failed = sum(max(one.failed, int(one.exit_code != 0)) for one in outcomes)
    passed = sum(one.passed for one in outcomes)
    print(f"\n{(time.monotonic() - start) / 60:.1f} minutes\n{passed} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
