"""The tests of the guide to testing pass."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.docs.snippets import ROOT, snippets

GUIDE = "docs/guides/testing.md"


def test_the_tests_of_the_guide_pass(tmp_path):
    # Those with a whole DAG need a database: tests/integration/test_replayed_dags.py runs them.
    files = [
        each
        for each in snippets("python", "yaml")
        if each.file == GUIDE and each.key == "file" and "DAG(" not in each.text and ".test()" not in each.text
    ]
    for each in files:
        (tmp_path / each.value).write_text(each.text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
