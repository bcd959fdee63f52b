from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_asyncapi.links.asyncapi import RemoteJobLink
from tests.unit.recorded_calls import recorded

#: A task of which an earlier leg may have pushed an address.
TASK: Any = SimpleNamespace(pushed_job_url=None, find_job_url=lambda: "https://vendor.example/jobs/{identifier}")
KEY: Any = SimpleNamespace(dag_id="dag", task_id="submit", run_id="run", map_index=-1)


@pytest.mark.parametrize(
    ("pushed", "link"),
    [
        ("https://vendor.example/jobs/7", "https://vendor.example/jobs/7"),
        ("javascript:alert(1)", ""),
        ("/jobs/7", ""),
        (None, ""),
        ({"not": "text"}, ""),
    ],
)
def test_the_link_leads_to_web_pages_and_nowhere_else(monkeypatch: Any, pushed: Any, link: str) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(XCom, "get_value", recorded(lambda **_: pushed, asked, lambda **given: given))
    assert RemoteJobLink().get_link(TASK, ti_key=KEY) == link
    assert asked == [{"ti_key": KEY, "key": "job_url"}]


def test_the_link_never_raises(monkeypatch: Any) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("no line to Airflow")

    monkeypatch.setattr(XCom, "get_value", broken)
    assert RemoteJobLink().get_link(TASK, ti_key=KEY) == ""


@pytest.mark.parametrize(
    ("task", "link"),
    [
        (SimpleNamespace(pushed_job_url=None, find_job_url=lambda: None), ""),
        (SimpleNamespace(pushed_job_url="", find_job_url=lambda: "https://{host}/7"), ""),
        (SimpleNamespace(pushed_job_url="https://vendor.example/7"), "https://vendor.example/7"),
        (SimpleNamespace(), ""),
    ],
)
def test_an_xcom_that_nobody_pushes_or_this_leg_has_pushed_is_not_looked_for(
    monkeypatch: Any, task: Any, link: str
) -> None:
    asked = []
    monkeypatch.setattr(XCom, "get_value", lambda **given: asked.append(given))
    assert RemoteJobLink().get_link(task, ti_key=KEY) == link
    assert not asked
