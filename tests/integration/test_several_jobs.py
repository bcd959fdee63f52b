"""One submit that makes several jobs, on a real scheduler and triggerer."""

from __future__ import annotations

import json

import pytest

from tests.unit.fake_airflow import ApiServer, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def several(run_dag, airflow):
    with ApiServer() as api:
        api.respond_to("POST /files", reply({"id": "f-1"}))
        api.respond_to("POST /jobs", reply({"jobs": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}))
        for name in "ab":
            api.respond_to(f"GET /jobs/{name}", reply({"status": "running"}), reply({"status": "done"}))
            api.respond_to(f"GET /jobs/{name}/rows", reply([name]))
        api.respond_to("GET /jobs/c", reply({"status": "failed"}))
        airflow.client.add_connection("several", {"conn_type": "asyncapi", "host": api.url})
        yield run_dag("several_jobs"), api


def test_each_job_of_a_submit_is_waited_for_and_fetched_on_its_own(several):
    result, api = several
    assert api.count("POST /jobs") == 1
    assert [handle["identifier"] for handle in result.xcom("submit")] == ["a", "b", "c"]
    assert [result.xcom("one.fetch", map_index=index) for index in range(2)] == [["a"], ["b"]]


def test_the_trigger_rules_of_airflow_say_whether_all_jobs_are_needed_or_any(several):
    result, _ = several
    states = {name: result.task(name).state for name in ("all_results", "any_result")}
    assert states == {"all_results": "upstream_failed", "any_result": "success"}


def test_the_submit_names_what_the_request_before_it_has_captured(several):
    result, api = several
    before, submit = (each for each in api.requests if each.method == "POST")
    assert (before.path, before.body) == ("/files", b"several_jobs")
    assert json.loads(submit.body) == {"file": "f-1"}
    assert [handle["variables"]["file"] for handle in result.xcom("submit")] == ["f-1"] * 3
