"""The DAGs in YAML of the guide are read by the real dag-factory, and run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.running import Run, load
from tests.docs.servers import SERVERS, RunningServer
from tests.docs.snippets import ROOT, Snippet, snippets

#: Not in the environment: its plugin has listeners, with which Airflow refuses `end_from_trigger`.
DAG_FACTORY = ROOT / ".venv-dag-factory"
GUIDE = "docs/guides/yaml_dags.md"
FACTORY_DAGS = [each for each in snippets("yaml") if each.key == "dag factory"]
FILES = {each.value: each.text for each in snippets("python", "yaml") if each.file == GUIDE and each.key == "file"}
# dag-factory imports the places of Airflow 2, too.
pytestmark = [
    pytest.mark.usefixtures("hurry", "apart"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::airflow.utils.deprecation_tools.DeprecatedImportWarning"),
]


@pytest.fixture(autouse=True)
def dag_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make dag-factory importable, and turn off its reports to its vendor."""
    assert DAG_FACTORY.is_dir(), "make test-docs installs it"
    monkeypatch.syspath_prepend(DAG_FACTORY)
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    assert importlib.import_module("dagfactory.settings").do_not_track


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    spec = SERVERS["five_minutes"]
    with RunningServer(spec) as server:
        connection = {"conn_type": "asyncapi", **spec.connection, "host": server.state.url}
        monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps(connection))
        yield
    assert server.refused == []


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
@pytest.mark.parametrize("snippet", FACTORY_DAGS, ids=str)
def test_dag_factory_makes_a_dag_that_runs(snippet: Snippet, deferred: bool, tmp_path: Path, vendor: None) -> None:
    (tmp_path / "exports.yml").write_text(snippet.text)
    (dag,) = load(FILES["load_exports.py"], tmp_path)
    assert Run(dag, deferred=deferred).all().last() == SERVERS["five_minutes"].expected


def test_a_mistake_in_a_parameter_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "exports.yml").write_text(FACTORY_DAGS[0].text.replace("completion_key:", "completion_kye:"))
    with pytest.raises(Exception, match="completion_kye"):
        load(FILES["load_exports.py"], tmp_path)


def test_airflow_reads_the_files_that_the_guide_shows(tmp_path: Path) -> None:
    from airflow.utils.file import might_contain_dag

    for name in ("load_exports.py", "jobs_from_yaml.py"):
        (tmp_path / name).write_text(FILES[name])
        assert might_contain_dag(str(tmp_path / name), safe_mode=True)


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
def test_a_few_lines_make_dags_of_yaml(deferred: bool, tmp_path: Path, vendor: None) -> None:
    name = "orders.job.yaml"
    (tmp_path / name).write_text(FILES[name])
    assert yaml.safe_load(FILES[name])
    (dag,) = load(FILES["jobs_from_yaml.py"], tmp_path)
    assert dag.dag_id == "job_orders"
    assert Run(dag, deferred=deferred).all().last() == SERVERS["five_minutes"].expected
