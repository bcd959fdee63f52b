"""Where credentials go, and where nothing goes, whatever the API says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.token_flow import request_token
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, RedirectError, UnsafeValueError
from airflow_provider_asyncapi.core.fetch.flow import ResultFetcher
from airflow_provider_asyncapi.core.fetch.page_flow import fetch_pages
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.cancel import cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_response

EVIL = "https://evil.example.net/x"
#: As the API has told it.
JOB = JobHandle("7", variables={"url": EVIL, "connection.key": "theirs", "connection.none": "theirs"})
CONNECTION: dict[str, Any] = {
    "login": "ann",
    "password": "pw-planted",
    "secrets": {"key": "key-planted"},
    "variables": {"account": "acme", "token": "token-planted"},
}


def wait_for(runner: FlowRunner, **given: Any) -> Any:
    plan = WaitPlan.parse({"completion_key": "state", "completion_value": "done", **given})
    return runner.run(wait(runner.api, plan, WaitCheckpoint(JOB, START, START + 100)))


def fetch_all(runner: FlowRunner, handle: JobHandle = JOB, **given: Any) -> Any:
    plan = FetchPlan.parse(given)
    fetching = ResultFetcher(runner.api, plan, handle)
    if plan.paging is None:
        return runner.run(fetching.fetch_response(plan.step, lambda: fetching.variables))
    return runner.run(fetch_pages(fetching, plan.paging, lambda *_: None))


@pytest.mark.parametrize("name", ["key", "login", "password", "token"])
@pytest.mark.parametrize(
    "request_",
    [
        {"endpoint": "{url}", "query_params": {"k": "{connection.NAME}"}},
        {"endpoint": "{url}?k={connection.NAME}"},
        {"endpoint": "{url}/{+connection.NAME}"},
        {"endpoint": "{url}", "headers": {"X-Plain": "k {connection.NAME}"}},
        {"endpoint": "{url}", "json": {"a": ["{connection.NAME}"]}},
        {"endpoint": "{url}", "xml": "<k>{connection.NAME}</k>"},
        {"endpoint": "{url}", "data": {"k": "{connection.NAME}"}},
        {"endpoint": "{url}", "files": {"k": "{connection.NAME}"}},
        {"endpoint": EVIL, "query_params": {"k": "{connection.NAME}"}},
    ],
)
def test_no_credential_goes_to_a_host_that_the_api_names(request_: dict[str, Any], name: str) -> None:
    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(item) for key, item in value.items()}
        return [named(item) for item in value] if isinstance(value, list) else value.replace("NAME", name)

    request_ = named(request_)
    message = rf"not sent, since the request contains \{{connection\.{name}\}}, and another host gets no credentials"
    runner = FlowRunner(make_api(**CONNECTION))
    with pytest.raises(UnsafeValueError, match=message):
        wait_for(runner, **request_)
    with pytest.raises(UnsafeValueError, match=message):
        fetch_all(runner, **request_)
    runner.run(cancel(runner.api, RequestStep.parse(request_, "cancel"), JOB, "test"))
    assert "another host gets no credentials" in runner.log_text
    assert runner.requests == []
    trusting = FlowRunner(make_api(**CONNECTION, trusted_hosts="evil.example.net"), make_response({"state": "done"}))
    assert wait_for(trusting, **request_).outcome == "success"


def test_the_next_page_on_another_host_gets_no_credential_in_its_body() -> None:
    runner = FlowRunner(make_api(**CONNECTION), make_response({"rows": [1], "next": EVIL}))
    with pytest.raises(UnsafeValueError, match="another host gets no credentials"):
        fetch_all(
            runner,
            output_type="pages",
            endpoint="/rows",
            json={"k": "{connection.key}"},
            next_page="next",
            result_path="rows",
        )
    assert [request.url for request in runner.requests] == [f"{BASE}/rows"]


def test_what_anybody_may_see_of_a_connection_can_name_another_host() -> None:
    runner = FlowRunner(make_api(**CONNECTION), make_response({"state": "done"}))
    wait_for(runner, endpoint="https://{connection.account}.example.net/x")
    assert runner.requests[0].url == "https://acme.example.net/x"


def test_nothing_that_a_job_brings_replaces_what_the_connection_says() -> None:
    runner = FlowRunner(make_api(**CONNECTION), make_response({"state": "done"}))
    wait_for(runner, endpoint="/s", query_params={"k": "{connection.key}"})
    assert runner.requests[0].url == f"{BASE}/s?k=key-planted"
    with pytest.raises(AsyncApiError, match=r"the variable \{connection.none\} isn't set"):
        wait_for(FlowRunner(make_api(**CONNECTION)), endpoint="/s", query_params={"k": "{connection.none}"})


@pytest.mark.parametrize("given", [{"capture": {"connection.key": "a"}}, {"variables": {"connection.key": "a"}}])
def test_a_task_can_not_set_what_only_the_connection_sets(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"'connection.key' can't be .* only the connection sets"):
        SubmitPlan.parse({"endpoint": "/jobs", "identifier": "id", **given})


def test_a_capture_under_a_selector_of_that_name_sets_nothing_of_the_connection() -> None:
    plan = SubmitPlan.parse(
        {
            "endpoint": "/jobs",
            "identifier": "id",
            "capture": {"a": "connection.key"},
            "start": {"endpoint": "/{connection.key}"},
        }
    )
    runner = FlowRunner(
        make_api(**CONNECTION), make_response({"id": 7, "connection": {"key": "theirs"}}), make_response({})
    )
    runner.run(submit(runner.api, plan, Submission("key", 0)))
    assert runner.paths == ["POST /jobs", "POST /key-planted"]


@pytest.mark.parametrize("location", [EVIL, "http://169.254.169.254/latest/meta-data", "https://[fe80::1]/"])
def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed(location: str) -> None:
    fields: dict[str, Any] = {"other_hosts": "none"} if location == EVIL else {}
    runner = FlowRunner(
        make_api(schema="http", host=BASE.replace("https", "http"), **fields),
        make_response(None, 302, location=location),
    )
    request = Request("GET", BASE.replace("https", "http") + "/x")
    with pytest.raises(RedirectError, match=r"a Location that isn't followed: GET .*: not sent, since"):
        runner.run(send(runner.api, request))
    assert len(runner.requests) == 1


def test_a_link_to_a_host_that_is_not_allowed_is_not_followed() -> None:
    runner = FlowRunner(make_api(other_hosts="listed", allowed_hosts="files.example.com"))
    with pytest.raises(UnsafeValueError, match="other_hosts is 'listed'"):
        wait_for(runner, endpoint="{url}")
    assert runner.requests == []


def test_a_login_goes_only_where_the_connection_says() -> None:
    login: dict[str, Any] = {
        "auth": "login",
        "login_request": {"endpoint": "https://login.example.org/token", "json": {"p": "{connection.password}"}},
        "login_selector": "token",
        "login_capture": {"refresh": "refresh"},
        "refresh_request": {"endpoint": "{refresh}", "json": {"p": "{connection.password}"}},
    }
    runner = FlowRunner(make_api(**CONNECTION, **login), make_response({"token": "t", "refresh": EVIL}))
    source = runner.api.settings.auth.token_source
    assert source is not None
    token = runner.run(request_token(runner.api, source, None))
    with pytest.raises(
        UnsafeValueError, match=r"token request: POST .*: not sent, since the connection doesn't list this host"
    ):
        runner.run(request_token(runner.api, source, token))
    assert len(runner.requests) == 1


SECRET = 'pa"ß+w/ord'


@pytest.mark.parametrize(
    "request_",
    [
        {"endpoint": "{url}", "query_params": {"k": SECRET}},
        {"endpoint": "{url}?k=pa%22%c3%9f%2bw%2ford"},
        {"endpoint": "{url}", "json": {"k": SECRET}},
        {"endpoint": "{url}", "xml": "<k>pa&quot;ß+w/ord</k>"},
        {"endpoint": "{url}", "data": {"k": SECRET}},
    ],
)
def test_no_secret_that_was_rendered_into_a_request_goes_to_another_host(request_: dict[str, Any]) -> None:
    runner = FlowRunner(make_api(secrets={"key": SECRET}))
    with pytest.raises(UnsafeValueError, match=r"not sent, since its URL or body contains a secret of the connection"):
        wait_for(runner, **request_)
    assert runner.requests == []
    trusting = FlowRunner(
        make_api(secrets={"key": SECRET}, trusted_hosts="evil.example.net"), make_response({"state": "done"})
    )
    assert wait_for(trusting, **request_).outcome == "success"


def test_a_redirect_takes_no_secret_to_another_host_and_a_token_of_the_apis_own_may_go() -> None:
    runner = FlowRunner(
        make_api(secrets={"key": SECRET}), make_response(status=307, location=f"{EVIL}?k=pa%22%C3%9F%2Bw/ord")
    )
    with pytest.raises(UnsafeValueError, match="contains a secret of the connection"):
        runner.run(send(runner.api, Request("GET", f"{BASE}/s")))
    signed = FlowRunner(make_api(secrets={"key": SECRET}), make_response({"state": "done"}))
    signed.run(send(signed.api, Request("GET", f"{EVIL}?token=theirs")))
    assert [request.url for request in signed.requests] == [f"{EVIL}?token=theirs"]
