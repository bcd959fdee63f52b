from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.operators.asyncapi import (
    AsyncApiFetchOperator,
    AsyncApiTriggerOperator,
)
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


def submit(ti: TI | None = None, **given: Any) -> Any:
    operator = AsyncApiTriggerOperator(task_id="submit", **{"endpoint": "/jobs", "identifier": "id", **given})
    return operator.execute(context_of(ti or TI()))


@pytest.mark.parametrize("identifier", ["j-1", 17])
def test_the_identifier_is_returned_as_the_api_gave_it_and_the_handle_pushed(api: ApiServer, identifier: Any) -> None:
    api.respond_to("POST /jobs", reply({"id": identifier, "pages": 3}, 201))
    ti = TI()
    returned = submit(ti, json={"a": 1}, capture={"pages": "pages"}, variables={"tenant": "t"})
    assert returned == identifier
    assert type(returned) is type(identifier)
    assert set(ti.xcoms) == {"job"}
    job = ti.xcoms["job"]
    assert job["task"] == {"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": -1}
    assert job["identifier"] == identifier
    assert {"tenant": "t", "pages": 3}.items() <= job["variables"].items()
    assert json.loads(api.requests[0].body) == {"a": 1}


def test_a_job_that_is_done_at_once_says_so_in_its_handle(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"rows": []}))
    ti = TI()
    assert submit(ti, rules=[{"selector": "id", "exists": False, "outcome": "success"}]) is None
    assert ti.xcoms["job"]["outcome"] == "success"


def test_a_failed_submit_is_shown_with_its_error_and_without_a_job(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"message": "no such report", "password": "planted"}, 422))
    ti = TI()
    with pytest.raises(exceptions.AsyncApiRejected):
        submit(ti)
    assert set(ti.xcoms) == {"job_wait", "job_poll"}
    wait, poll = ti.xcoms["job_wait"], ti.xcoms["job_poll"]
    assert (wait["kind"], wait["asyncapi_conn_id"], wait["identifier"]) == ("submit", "asyncapi_default", None)
    assert wait["task_instance"] == TI.id
    assert "no such report" in poll["error"]
    assert "planted" not in str(ti.xcoms)


def test_a_refused_submit_is_not_retried_and_closes_the_connections(api: ApiServer, monkeypatch: Any) -> None:
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

    closed: list[str] = []
    monkeypatch.setattr(AsyncApiHook, "close", lambda hook: closed.append(hook.asyncapi_conn_id))
    api.respond_to("POST /jobs", reply({"message": "no such report"}, 422))
    with pytest.raises(exceptions.AsyncApiRejected, match="no such report") as caught:
        submit()
    assert isinstance(caught.value, AirflowFailException)
    assert closed == ["asyncapi_default"]


def test_an_answer_without_an_identifier_says_where_it_looked(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"ID": "j-1"}))
    with pytest.raises(exceptions.AsyncApiRejected, match=r"no job identifier at .*id.*ID"):
        submit()


def test_a_lost_answer_is_ambiguous(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply(status=502))
    with pytest.raises(exceptions.AsyncApiSubmitAmbiguous, match="idempotency_key"):
        submit()
    assert api.count("POST /jobs") == 1


def test_what_is_missing_after_all_is_named_when_the_task_runs() -> None:
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="identifier"):
        submit(identifier=None)


def test_the_profile_of_the_connection_fills_in_what_the_dag_leaves_out(api: ApiServer, connect: Any) -> None:
    connect(extra={"profile": "http_202"})
    api.respond_to("POST /jobs", reply(status=202, location="/jobs/7"))
    assert submit(identifier=None) == "/jobs/7"


def test_the_idempotency_key_is_sent_where_the_request_names_it(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply(status=502), reply({"id": "j-1"}))
    assert submit(headers={"Idempotency-Key": "{idempotency_key}"}) == "j-1"
    sent = [request.headers["Idempotency-Key"] for request in api.requests]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_the_link_to_the_job_is_pushed(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"id": "j 1"}))
    ti = TI()
    submit(ti, job_url="https://vendor.example/jobs/{identifier}")
    assert ti.xcoms["job_url"] == "https://vendor.example/jobs/j 1"


def test_nothing_is_fetched_of_a_job_without_data(api: ApiServer) -> None:
    job = {"version": 1, "identifier": "j-1", "outcome": "no_data"}
    fetch = AsyncApiFetchOperator(task_id="fetch", job=job, endpoint="/result")
    with pytest.raises(AirflowSkipException, match="no data"):
        fetch.execute(context_of(TI()))
    assert not api.requests


def test_a_job_without_data_is_removed_by_a_fetch_that_cleans_up_then(api: ApiServer) -> None:
    api.respond_to("DELETE /jobs/j-1", reply(b"", 204))
    job = {"version": 1, "identifier": "j-1", "outcome": "no_data"}
    cleanup = {"endpoint": "/jobs/{identifier}"}
    for cleanup_on, sent in (("success", 0), (["success", "no_data"], 1)):
        fetch = AsyncApiFetchOperator(
            task_id="fetch", job=job, endpoint="/result", cleanup=cleanup, cleanup_on=cleanup_on
        )
        with pytest.raises(AirflowSkipException, match="no data"):
            fetch.execute(context_of(TI()))
        assert len(api.requests) == sent


def test_one_submit_returns_a_handle_for_each_of_its_jobs(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"jobs": [{"id": "a"}, {"id": "b"}]}))
    ti = TI()
    task = AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifiers="jobs[*].id")
    handles: Any = task.execute(context_of(ti))
    assert [JobHandle.parse(each).identifier for each in handles] == ["a", "b"]
    assert "job" not in ti.xcoms


def test_a_list_of_handles_is_mapped_over_and_not_taken_as_one() -> None:
    with DAG("several", schedule=None):
        submit = AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifiers="jobs[*].id")
        with pytest.raises(ConfigurationError, match=r"handle: task 'submit' makes several jobs .* map the task over"):
            _ = submit.handle
        for name, make in (("wait", partial(AsyncApiSensor, completion_key="s")), ("fetch", AsyncApiFetchOperator)):
            with pytest.raises(ConfigurationError, match=r"job: handles is a list .*expand\(job=submit\.handles\)"):
                make(task_id=name, job=submit.handles, endpoint="/jobs/{identifier}")
        mapped = AsyncApiFetchOperator.partial(task_id="mapped", endpoint="/jobs/{identifier}")
        assert mapped.expand(job=submit.handles)
