"""
Measure what loading and checking profiles costs, and that no profile costs anything as long as none is loaded.

A profile is loaded once in a process. The first one also imports what reads profiles.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

from airflow_provider_asyncapi.connections.profiles import find_profile_files
from benchmarks.measure import parse_rounds, table

_LOADED = """
import json, sys, time
from airflow.sdk import DAG
names = {names}
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
import airflow_provider_asyncapi.operators.asyncapi, airflow_provider_asyncapi.sensors.asyncapi
is_read = any(name.endswith(".toml") for name in opened)
from airflow_provider_asyncapi.connections.profiles import load_profile
times = []
for name in names:
    start = time.process_time()
    load_profile(name)
    times.append((time.process_time() - start) * 1000)
print(json.dumps([is_read, times]))
"""


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    rounds = parse_rounds("python -m benchmarks.profiles", __doc__, given, default=5)
    names = list(find_profile_files())
    measured = [_load(names) for _ in range(rounds)]
    times = [statistics.median(each) for each in zip(*(times for _, times in measured), strict=True)]
    slowest = max(range(1, len(times)), key=times.__getitem__)
    rows = [("profiles", "CPU ms")]
    rows += [
        ("read by the import of the operators", str(int(any(is_read for is_read, _ in measured)))),
        ("the first one, with imports", f"{times[0]:.2f}"),
        (f"median of the {len(times) - 1} others", f"{statistics.median(times[1:]):.2f}"),
        (f"the slowest of them ({names[slowest]})", f"{times[slowest]:.2f}"),
        ("the command profiles check, all of them", f"{statistics.median(_check() for _ in range(rounds)):.0f}"),
    ]
    table("Loading profiles", rows)


def _load(names: list[str]) -> tuple[bool, list[float]]:
    source = _LOADED.format(names=names)
    ran = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    is_read, times = json.loads(ran.stdout.splitlines()[-1])
    return is_read, times


def _check() -> float:
    """Check all profiles by the command, and return the milliseconds of CPU of its process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "airflow_provider_asyncapi", "profiles", "check"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main(sys.argv[1:])
