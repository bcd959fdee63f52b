"""The package of the guide "Your own kinds" is installed, and adds its kinds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.registry import SELECTOR_KINDS
from airflow_provider_asyncapi.core.status.rule_operators import OPERATORS
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.docs.snippets import snippets
from tests.loopback import reply
from tests.unit.installed_kinds import install_kind
from tests.unit.transports.driving import START, make_api, run

MODULE, DAG = (each.text for each in snippets("python") if each.file == "docs/guides/own_kinds.md")


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    with (
        install_kind(tmp_path, SELECTOR_KINDS, "pairs", "acme_kinds:PAIRS"),
        install_kind(tmp_path, OPERATORS, "between", "acme_kinds:BETWEEN"),
    ):
        (tmp_path / "acme_kinds.py").write_text(MODULE)
        yield
    sys.modules.pop("acme_kinds", None)


@pytest.mark.usefixtures("_package")
def test_a_sensor_waits_by_the_kinds_of_the_package(driver: str, serve: Any) -> None:
    namespace: dict[str, Any] = {"AsyncApiSensor": AsyncApiSensor}
    exec(DAG, namespace)
    sensor = namespace["wait"]
    server = serve(reply(b"state=running;done=10"), reply(b"state=running;done=99"))
    api = make_api(server.url)
    given = {"endpoint": sensor.endpoint, "completion_key": sensor.completion_key, "rules": sensor.rules}
    plan = WaitPlan.parse({"poke_interval": 30, **given})
    outcome = run(driver, api, wait(api, plan, WaitCheckpoint(JobHandle("7"), START)))
    assert outcome.result.outcome is Outcome.SUCCESS
    assert len(server.asked) == 2
