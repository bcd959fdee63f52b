"""How the README says to install the provider beside an Airflow that is not the newest."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
INSTALL = README.partition("## Install\n")[2].partition("\n## ")[0]


def test_the_readme_installs_an_older_airflow_with_its_own_constraints_file_and_keeps_it_afterwards() -> None:
    first, then = re.findall(r'^pip install "apache-airflow==\$AIRFLOW" (.*)$', INSTALL, re.MULTILINE)
    url = "https://raw.githubusercontent.com/apache/airflow/constraints-$AIRFLOW/constraints-$PYTHON.txt"
    assert first == f'--constraint "{url}"'
    assert then == "airflow-provider-asyncapi"


def test_the_versions_that_the_readme_names_as_tested_are_those_of_the_environments() -> None:
    pinned = [(ROOT / f"constraints/{name}.in").read_text() for name in ("lowest", "airflow-3.2", "airflow-3.3")]
    versions = [re.findall(r"^apache-airflow==(\d+\.\d+)", text, re.MULTILINE)[0] for text in pinned]
    assert "Tested on Airflow {}, {} and {}.".format(*versions) in README
