"""A failed job is resumed by its own request, if the API can do that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.fake_airflow import ApiServer, OwnTI, Store, context_of, reply
from tests.unit.operators.rerun_jobs import DONE, FAILED, POST, RUNNING, jobs, keys, kill_at, make, run

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


REPAIR = {
    "endpoint": "/jobs/{identifier}/repair",
    "headers": {"Idempotency-Key": "{idempotency_key}"},
    "json": {"part": "{part}"},
}
REPAIR_PLAINLY = {"endpoint": "/jobs/{identifier}/repair"}
REPAIRING: dict[str, Any] = {"resubmit": 2, "repair": REPAIR, "status": {"capture": {"part": "part"}}}


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("has_store", [True, False], ids=["Airflow 3.3", "before"])
def test_a_failed_job_is_repaired_with_what_the_wait_has_captured_and_replaced_if_the_api_refuses(
    api: ApiServer, mode: str, has_store: bool
) -> None:
    failed = reply({"status": "failed", "part": 3})
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", RUNNING, failed, RUNNING, failed)
    api.respond_to("POST /jobs/j-1/repair", reply({}), reply({"error": "too often"}, 409))
    api.respond_to("GET /jobs/j-2", RUNNING, DONE)
    ti = OwnTI()
    assert run(mode, ti, Store() if has_store else None, **REPAIRING) == "j-2"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (2, 2)
    assert {each.body for each in api.requests if each.path.endswith("/repair")} == {b'{"part":3}'}
    assert [(each["identifier"], each["how"]) for each in ti.xcoms["job_attempts"]] == [
        ("j-1", "submit"),
        ("j-1", "repair"),
    ]
    assert len(set(keys(api))) == 4, "no two requests have the same idempotency key"


def test_only_failures_that_a_rule_matches_are_repaired(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3, "code": "lost"}), FAILED)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    api.respond_to("GET /jobs/j-2", DONE)
    ti = OwnTI()
    assert run("poke", ti, Store(), **REPAIRING, repair_on=[{"selector": "code", "in": "lost"}]) == "j-2"
    assert [each["how"] for each in ti.xcoms["job_attempts"]] == ["submit", "repair"]


def test_a_retry_of_the_task_repairs_the_job_that_has_failed_in_the_earlier_try(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3}), RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    store, given = Store(), {**REPAIRING, "resubmit": None}
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke", OwnTI(), store, **given)
    assert run("poke", OwnTI(), store, **given) == "j-1"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (1, 1)


def test_a_worker_that_is_killed_before_the_repair_leaves_it_to_the_next_try(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3}), RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    store = Store()
    kill_at(monkeypatch, "submit_job", store, **REPAIRING)
    assert run("poke", OwnTI(), store, **REPAIRING) == "j-1"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (1, 1)


def test_a_status_that_is_not_in_a_closed_list_is_not_repaired(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "paused", "part": 1}))
    store = Store()
    given = {**REPAIRING, "status": {**REPAIRING["status"], "running_value": "running"}}
    with pytest.raises(exceptions.AsyncApiUnknownStatus):
        run("poke", OwnTI(), store, **given)
    assert len(api.requests) == 2, "no request but the submit and the poll"


def test_the_triggerer_gets_the_rules_and_not_the_request_of_the_repair(api: ApiServer) -> None:
    jobs(api, FAILED)
    with pytest.raises(TaskDeferred) as deferral:
        make("deferred", **REPAIRING, repair_on=[{"selector": "a", "in": 1}]).execute(context_of(OwnTI()))
    spec = deferral.value.trigger.serialize()[1]["spec"]
    assert spec["repair_on"] == [{"selector": "a", "in": 1}]
    assert "repair" not in spec
    WaitPlan.parse(spec)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resubmit": "2"}, "resubmit: has to be the number of further jobs"),
        ({"resubmit": 1, "resubmit_delay": -1}, "resubmit_delay: has to be a number of seconds"),
        ({"resubmit_delay": "soon"}, "task 'wait': resubmit_delay"),
        ({"resubmit_on": [{"selector": "a"}]}, r"task 'wait': resubmit_on\[0\]: has to have a selector and one of"),
        ({"resubmit_on": [{"selector": "a", "in": "{b}"}]}, r"nothing sets the variable \{b\}"),
        ({"resubmit": 1, "repair": {"endpoint": "/repair"}}, "task 'wait': repair: the request has to name the failed"),
        ({"resubmit": 1, "repair": {"endpoint": "/{id_of_run}"}}, r"nothing sets the variable \{id_of_run\}"),
        (
            {"resubmit": 1, "repair": {**REPAIR_PLAINLY, "lookup": {"endpoint": "/{run}", "identifier": "id"}}},
            r"repair\.lookup\.endpoint: .*nothing sets the variable \{run\}",
        ),
        ({"repair": REPAIR_PLAINLY, "resubmit_on_retry": False}, "repair: has no effect, since resubmit is 0"),
        ({"resubmit": 1, "repair_on": [{"selector": "a", "in": 1}]}, "repair_on: needs repair"),
        ({"resubmit": 1, "repair": REPAIR_PLAINLY, "repair_on": 3}, "repair_on: has to be a list of rules"),
        (
            {"repair": REPAIR_PLAINLY, "submit": {"callback": True, "json": {"url": "{callback_url}"}}},
            "submit: repair: isn't supported with callback",
        ),
        ({"status": {"resubmit": 2}}, "status: resubmit: is an argument of the task itself"),
        (
            {"resubmit": 1, "submit": {"callback": True, "json": {"url": "{callback_url}"}}},
            "submit: resubmit: isn't supported with callback",
        ),
        (
            {"resubmit": 1, "submit": {"lookup": {"endpoint": "/jobs/latest"}}},
            "submit: resubmit: the request in lookup may find the failed job",
        ),
    ],
)
def test_mistakes_fail_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(**given)


@pytest.fixture
def repairing_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    (tmp_path / "vendor.toml").write_text('[status]\nrepair = { endpoint = "/jobs/{identifier}/repair" }\n')
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    return "vendor"


def test_a_task_that_runs_no_job_again_may_have_a_profile_that_says_how_to_repair_it(repairing_profile: str) -> None:
    make(profile=repairing_profile, resubmit_on_retry=False)
    calling = {"callback": True, "json": {"url": "{callback_url}"}}
    make(profile=repairing_profile, resubmit_on_retry=False, submit=calling)
    with pytest.raises(ConfigurationError, match="submit: repair: isn't supported with callback"):
        make(profile=repairing_profile, submit=calling)
