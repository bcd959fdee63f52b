"""pytest loads the plugin at each start, so the plugin imports little."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

CODE = """
import sys
import airflow_provider_asyncapi.testing.pytest_plugin
print(*(name for name in sys.modules if name.partition(".")[0] in {"airflow", "aiohttp", "requests", "time_machine"}))
"""


def test_pytest_finds_the_plugin_by_itself() -> None:
    found = entry_points(group="pytest11", name="asyncapi")
    assert [each.value for each in found] == ["airflow_provider_asyncapi.testing.pytest_plugin"]


def test_the_plugin_imports_nothing_large_before_a_test_uses_it() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
