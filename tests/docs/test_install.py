"""How the README says to install the provider beside an Airflow that is not the newest."""

from __future__ import annotations

import re
import tomllib

import yaml
from airflow.configuration import retrieve_configuration_description

from airflow_provider_asyncapi.get_provider_info import get_provider_info
from tests.docs.snippets import ROOT, snippets

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


def test_the_guide_lists_each_extra_and_installs_as_the_readme_does() -> None:
    guide = (ROOT / "docs/guides/installing.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = guide.partition("## Extras\n")[2].partition("\n## ")[0].partition("Other providers")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(project["optional-dependencies"])
    commands = re.findall(r"^pip install .*apache-airflow==.*$", INSTALL, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert command in guide


def test_the_values_of_the_helm_chart_set_options_that_airflow_and_the_provider_know() -> None:
    (values,) = [each for each in snippets("yaml") if each.value == "values.yaml"]
    given = yaml.safe_load(values.text)
    known = retrieve_configuration_description(include_providers=False) | get_provider_info()["config"]
    for section, options in given["config"].items():
        assert options.keys() <= known[section]["options"].keys()
    exec(compile(given["airflowLocalSettings"], "airflow_local_settings.py", "exec"), {})
    assert f"FROM apache/airflow:{given['airflowVersion']}\n" in (ROOT / "docs/guides/installing.md").read_text()
