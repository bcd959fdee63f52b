"""The header `traceparent` goes to the API and trusted hosts, if the connection sends it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Log, PollUntilChanged, RunConcurrently, Send
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.trace_context import add_traceparent
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_response

VALUE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OWN = "00-11111111111111111111111111111111-2222222222222222-01"


def send(url: str, *headers: tuple[str, str]) -> Flow[Response]:
    response: Response = yield Send(Request("GET", url, headers=headers))
    return response


def find_header(url: str = f"{BASE}/jobs", *headers: tuple[str, str], **fields: Any) -> str | None:
    """Return the header of a request, as the API receives it."""
    api = make_api(**fields)
    runner = FlowRunner(api, make_response())
    runner.run(add_traceparent(api, send(url, *headers), VALUE))
    return runner.header("traceparent")


def test_the_header_is_sent_only_if_the_connection_says_so() -> None:
    assert find_header(send_trace_context=True) == VALUE
    assert find_header() is None


@pytest.mark.parametrize(
    ("url", "fields", "is_sent"),
    [
        ("https://files.example.com/7", {}, False),
        ("https://files.example.com/7", {"trusted_hosts": "files.example.com"}, True),
        ("http://api.example.com/v1", {}, False),
    ],
)
def test_another_host_gets_the_header_only_if_it_is_trusted(url: str, fields: dict[str, Any], is_sent: bool) -> None:
    assert (find_header(url, send_trace_context=True, **fields) is not None) == is_sent


def test_a_header_of_the_task_stays() -> None:
    assert find_header(f"{BASE}/jobs", ("TraceParent", OWN), send_trace_context=True) == OWN


def test_each_poll_sends_the_same_request_object() -> None:
    """Drivers prepare a request once, and recognize it by its identity."""
    api = make_api(send_trace_context=True)
    sent: list[Request] = []

    def poll() -> Flow[None]:
        request = Request("GET", f"{BASE}/jobs/7")
        for _ in range(2):
            yield PollUntilChanged(Send(request), lambda _: None)

    def answer(request: Request) -> Response:
        sent.append(request)
        return make_response()

    FlowRunner(api, answer, forever=True).run(add_traceparent(api, poll(), VALUE))
    assert sent[0] is sent[1]
    assert ("traceparent", VALUE) in sent[0].headers


def test_concurrent_requests_have_the_header_too_and_other_effects_pass() -> None:
    api = make_api(send_trace_context=True)
    runner = FlowRunner(api, make_response(), forever=True)

    def download() -> Flow[None]:
        yield Log(20, "two files")
        flows = [partial(send, f"{BASE}/files/{number}") for number in range(2)]
        yield RunConcurrently(flows, 2, lambda _: None)

    runner.run(add_traceparent(api, download(), VALUE))
    assert [runner.header("traceparent", index) for index in (0, 1)] == [VALUE, VALUE]
    assert runner.log_text == "two files"
