"""
Run every test suite, and print how each ended and how long it took.

A suite that fails stops no other one. The suites that run a real Airflow wait for half of their time. Beside them, a
background lane runs first the tests on Airflow 3.2, with the providers of clouds, of imports beside Airbyte, of what is
released, of the documentation's site, and on the lowest versions, at a low priority and with longer timeouts, and then
the tests of core/ on the other environments. Core's tests have no clock, no network and no other process, so it doesn't
matter how slowly they run; at the lowest priority they take nothing from the suites beside them. The output of the
background lane is printed after those suites.

``reports/durations.txt`` has the slowest tests of each suite. The last line is the sum: ``N passed, N failed``.
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
#: The Python of the environments with the newest and with the lowest versions.
THIS = "{}.{}".format(*sys.version_info)
CORE = "tests/unit/core"
#: How many tests of each suite are in the list of the slowest.
SLOWEST = 10
DURATIONS = REPORTS / "durations.txt"
#: Priority of what shares the machine with suites that wait, and of what must take nothing from them.
LOW, LOWEST = 5, 19


@dataclass(frozen=True, slots=True)
class Suite:
    """
    One row of the table.

    :param name: its name there.
    :param target: the make target that runs it.
    :param variables: make variables, such as ``T=tests/unit/core``.
    :param report: the name of its JUnit report, without ``.xml``; by default the target's.
    :param niceness: how much of its priority it gives up, up to 19.
    """

    name: str
    target: str
    variables: tuple[str, ...] = ()
    report: str = ""
    niceness: int = 0

    @property
    def report_file(self) -> Path:
        """Return the path of the JUnit report."""
        return REPORTS / f"{self.report or self.target}.xml"


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


def without_core(name: str, target: str, *, arguments: str = "") -> Suite:
    """Return the suite of the unit tests but for core's, which are run elsewhere."""
    return Suite(name, target, (f"ARGS=--ignore={CORE}{arguments}",))


def units_of_newest(pythons: list[str]) -> list[Suite]:
    """
    Return the suites of the unit tests on the newest Airflow: on the newest Python that the machine has.

    The unit tests on the lowest versions run on the oldest Python, which shows the rest: what passes on the oldest and
    the newest Python passes on those between, too.

    :param pythons: the supported Pythons that the machine has beside this one, the newest last.
    """
    newest = pythons[-1] if pythons else THIS
    if PYTHONS.index(newest) <= PYTHONS.index(THIS):
        return [without_core("unit, newest Airflow", "test-unit")]
    return [
        without_core(f"unit, Python {newest}", f"test-python-{newest}"),
        without_core("unit, any Python", "test-unit", arguments=" -m any_python"),
    ]


def without_core_in_background(name: str, target: str) -> Suite:
    """Return the same suite for the background, with a timeout that a busy machine doesn't reach."""
    return Suite(name, target, (f"ARGS=--ignore={CORE} --timeout=300",), niceness=LOW)


def core_alone(name: str, target: str) -> Suite:
    """Return the suite of core's unit tests on an environment, with a timeout that a busy machine doesn't reach."""
    report = f"{target}-core"
    return Suite(name, target, (f"T={CORE}", "ARGS=--timeout=900", f"REPORT={report}"), report, niceness=LOWEST)


#: In an environment without Airflow, which has the same versions of all that core/ imports.
CORE_FIRST = Suite("core, without Airflow", "test-core")
#: After the unit tests.
FIRST = (
    Suite("the page's JavaScript", "test-javascript"),
    Suite("documentation", "test-docs"),
)
#: Those that wait for processes of a real Airflow.
WAITING = (
    Suite("integration and browser", "test-airflow"),
    Suite("cluster, newest Airflow", "test-cluster"),
)


def find_other_pythons() -> tuple[list[str], list[str]]:
    """Return which supported Pythons beside this one the machine has, and which it lacks, such as ``3.13``."""
    listed = subprocess.run(["scripts/find-pythons"], check=True, capture_output=True, text=True).stdout
    found = {line.split()[0] for line in listed.splitlines()}
    others = [version for version in PYTHONS if version != THIS]
    return [version for version in others if version in found], [version for version in others if version not in found]


def has_any(case: ET.Element, *tags: str) -> bool:
    """Return whether the report of a test has an element with one of these tags."""
    return any(case.find(tag) is not None for tag in tags)


def run(suite: Suite, *, in_background: bool = False) -> Outcome:
    """Run one suite through make, and read its JUnit report."""
    report = suite.report_file
    report.unlink(missing_ok=True)
    start = time.monotonic()
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", suite.target, *suite.variables]
    if in_background:
        with report.with_suffix(".log").open("wb") as log:
            nice = ["nice", "-n", str(suite.niceness)]
            code = subprocess.run([*nice, *command], check=False, stdout=log, stderr=log).returncode
    else:
        print(f"\n==> {suite.name}: make {' '.join((suite.target, *suite.variables))}", flush=True)
        code = subprocess.run(command, check=False).returncode
    seconds = time.monotonic() - start
    # Node's report has no sums.
    cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []
    failed = sum(has_any(case, "failure", "error") for case in cases)
    skipped = sum(has_any(case, "skipped") for case in cases)
    return Outcome(
        suite=suite,
        passed=len(cases) - failed - skipped,
        failed=failed,
        skipped=skipped,
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
            print(outcome.suite.report_file.with_suffix(".log").read_text(errors="replace"), flush=True)
            outcomes.append(outcome)
    return outcomes


def find_slowest(report: Path) -> list[tuple[float, str]]:
    """Return the seconds and names of the slowest tests in a JUnit report; the time of fixtures counts."""
    if not report.exists():
        return []
    cases = ET.parse(report).getroot().iter("testcase")
    times = [(float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}") for case in cases]
    return sorted(times, reverse=True)[:SLOWEST]


def write_durations(outcomes: Iterable[Outcome]) -> None:
    """Write the slowest tests of each suite to a file."""
    lines = [
        f"The {SLOWEST} slowest tests of each suite, in seconds. The first test that needs a fixture waits for it."
    ]
    for outcome in outcomes:
        lines += ["", f"{outcome.suite.name}: {outcome.seconds:.1f}"]
        lines += [f"{seconds:9.1f}  {name}" for seconds, name in find_slowest(outcome.suite.report_file)]
    DURATIONS.write_text("\n".join([*lines, ""]))


def main() -> int:
    """Run all, print the table, and return the exit code."""
    start = time.monotonic()
    found, lacking = find_other_pythons()
    behind = [
        Suite("Airflow 3.2", "test-3.2", niceness=LOW),
        Suite("providers of clouds", "test-clouds", ("ARGS=--timeout=300",), niceness=LOW),
        Suite("imports beside Airbyte", "test-airbyte", niceness=LOW),
        Suite("release", "test-release", niceness=LOW),
        Suite("documentation's site", "test-site", niceness=LOW),
        without_core_in_background("unit, lowest versions", "test-lowest"),
    ]
    cores = [core_alone(f"core, Python {version}", f"test-python-{version}") for version in found]
    outcomes = [run(suite) for suite in (CORE_FIRST, *units_of_newest(found), *FIRST)]
    outcomes += run_beside(WAITING, [*behind, *cores, core_alone("core, lowest versions", "test-lowest")])
    write_durations(outcomes)
    print(f"\n{'suite':<30}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}  outcome")
    for one in outcomes:
        counts = f"{one.passed:>8}{one.failed:>8}{one.skipped:>9}{one.seconds:>9.1f}"
        print(f"{one.suite.name:<30}{counts}  {one.verdict}")
    if lacking:
        print(f"\nNot tested, for this machine has no Python {' and no Python '.join(lacking)}")
    # A suite that broke outside its tests counts as one failure, so that the sum can't look clean.
    failed = sum(max(one.failed, int(one.exit_code != 0)) for one in outcomes)
    passed = sum(one.passed for one in outcomes)
    print(f"\nThe slowest tests of each suite are in {DURATIONS}.")
    print(f"\n{(time.monotonic() - start) / 60:.1f} minutes\n{passed} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
