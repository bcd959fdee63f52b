"""What `explore` makes of the documentation of an API, its cURL commands, is a DAG that runs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.commands.registry import make_parser
from demo.server import DemoServer
from tests.docs.running import Run, load

pytestmark = pytest.mark.usefixtures("hurry", "apart")

CRM = "-H 'Authorization: User user-secret, Element element-secret'"
PHIX = "-H 'Authorization: Bearer phix-token'"
ROWS = [{"id": number, "name": f"row {number}"} for number in range(1, 5)]
#: By the API of the demo server: the commands that a newcomer copies, the secrets, and the beginning of the result.
APIS: dict[str, tuple[list[str], dict[str, Any], Any]] = {
    "http_202": (
        ['curl {url}/standard/jobs -H \'Content-Type: application/json\' -d \'{{"outcome": "ok", "finish": "303"}}\''],
        {},
        ROWS,
    ),
    "phixflow": (
        [
            f"curl -X POST {{url}}/phixflow/api/1/action/Demo%20App/Daily%20Report/trigger {PHIX}",
            f"curl {{url}}/phixflow/api/1/process/12 {PHIX}",
        ],
        {"password": "phix-token"},
        [{"id": number, "status": "ok", "error": None} for number in range(1, 5)],
    ),
    "cloud_elements": (
        [
            f"curl -X POST '{{url}}/hubs/crm/bulk/query?q=select%20*%20from%20contacts' {CRM}",
            f"curl {{url}}/hubs/crm/bulk/987/status {CRM}",
            f"curl {{url}}/hubs/crm/bulk/987/contacts {CRM}",
        ],
        {"extra": {"secret_headers": {"Authorization": "User user-secret, Element element-secret"}}},
        [{"id": number, "name": f"Contact {number}", "note": 'said "hello", left'} for number in range(1, 7)],
    ),
    "xml": (
        ["curl {url}/standard/uws -d OUTCOME=ok -d PHASE=RUN"],
        {},
        [{"id": "1", "name": "row 1"}, {"id": "2", "name": "row 2"}],
    ),
}


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
@pytest.mark.parametrize("api", APIS)
def test_pasted_commands_become_a_dag_that_runs(
    api: str, deferred: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands, secrets, expected = APIS[api]
    conf.get("core", "dags_folder")
    monkeypatch.setattr(waiting, "pause", lambda _seconds: None)
    moments = itertools.count(1_700_000_000)
    # Each look at the clock is a second later, so that a job is over after some polls.
    with DemoServer(job_seconds=6.0, clock=lambda: float(next(moments)), rate_limit_every=0) as server:
        words = [word for each in commands for word in ("--curl", each.format(url=server.url))]
        arguments = make_parser("asyncapi").parse_args(
            ["explore", *words, "--name", "acme", "--output", str(tmp_path), "--json"]
        )
        with pytest.raises(SystemExit) as ended:
            arguments.func(arguments)
        assert ended.value.code == 0
        connection = json.loads(capsys.readouterr().out)["connection"]
        # What a newcomer fills in.
        connection = {**connection, **secrets, "extra": {**connection.get("extra", {}), **secrets.get("extra", {})}}
        monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
        monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps(connection))
        (dag,) = load((tmp_path / "acme_dag.py").read_text(), tmp_path)
        assert Run(dag, deferred=deferred).all().last() == expected
