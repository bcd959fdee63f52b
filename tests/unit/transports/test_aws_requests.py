"""Requests signed for AWS, against a server that verifies what came over the wire with botocore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_files import build_request
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from tests.aws_server import ACCESS_KEY, REGION, SECRET_KEY, SESSION_TOKEN, AwsApi
from tests.loopback import reply
from tests.unit.fake_files import MemoryFiles
from tests.unit.transports.driving import Clock, make_api, run, run_all

AWS: dict[str, Any] = {
    "auth": "aws_sigv4",
    "login": ACCESS_KEY,
    "password": SECRET_KEY,
    "aws_region": REGION,
    "aws_service": "execute-api",
}


@pytest.fixture
def server() -> Iterator[AwsApi]:
    server = AwsApi(lambda _: reply({"id": 7}), Clock())
    yield server
    server.close()


@pytest.mark.parametrize("service", ["execute-api", "s3"])
@pytest.mark.parametrize(
    "target",
    [
        "",
        "/prod/jobs",
        "/jobs?b=2&a=1&a=0&empty=&bare",
        "/jobs?from=2024-01-01T00:00:00+00:00&path=/x/y&tilde=~&star=*&quote='",
        "/jobs?escaped=%2f%7e%41&plus=%2B&space=a+b%20c",
        "/jobs?name=Zoë&emoji=☕",
        "/jobs/Zoë with spaces/%2F/a=b,c;d",
        "/functions/arn:aws:lambda:eu-west-1:1:function:f/invocations",
    ],
)
def test_a_request_is_signed_as_it_is_sent(driver: str, server: AwsApi, service: str, target: str) -> None:
    server.service = service
    api = make_api(server.url, **{**AWS, "aws_service": service})
    outcome = run(driver, api, send(api, Request("GET", server.url + target)))
    assert (outcome.error, server.refused) == (None, [])
    assert outcome.result.json == {"id": 7}


@pytest.mark.parametrize("service", ["execute-api", "s3"])
def test_bodies_and_headers_are_signed(driver: str, server: AwsApi, service: str) -> None:
    server.service = service
    headers = {"X-Amz-Target": "Jobs_2024.Start", "x-amz-meta-note": "  two   spaces "}
    api = make_api(server.url, **{**AWS, "aws_service": service}, headers=headers)
    template = RequestTemplate.parse({"endpoint": "/jobs", "json": {"name": "Zoë"}}, "submit")
    request = api.render_request(template, api.scope)
    outcome = run(driver, api, send(api, request))
    assert (outcome.error, server.refused) == (None, [])
    assert server.asked[0].body == '{"name":"Zoë"}'.encode()
    assert "content-type;host;" in server.asked[0].headers["authorization"]


@pytest.mark.parametrize("service", ["execute-api", "s3"])
def test_a_file_is_sent_with_its_hash_and_to_s3_without(driver: str, server: AwsApi, service: str) -> None:
    server.service = service
    files = MemoryFiles(rows_csv=b"a,b\n1,2\n")
    api = make_api(server.url, **{**AWS, "aws_service": service})
    given = {"endpoint": "/files", "method": "PUT", "body": {"path": "rows.csv"}}
    template = RequestTemplate.parse(given, "submit", sends_files=True)
    request = run(driver, api, build_request(api, template, api.scope, {"": files.inspect("rows.csv")})).result
    assert isinstance(request.body, FileBody)
    outcome = run(driver, api, send(api, request))
    assert (outcome.error, server.refused) == (None, [])
    assert server.asked[0].body == b"a,b\n1,2\n"
    # S3 accepts a file whose hash isn't signed, so it is read once.
    assert len(files.opened) == (1 if service == "s3" else 2)


def test_temporary_credentials_send_their_session_token(driver: str, server: AwsApi) -> None:
    server.session_token = SESSION_TOKEN
    api = make_api(server.url, **AWS, aws_session_token=SESSION_TOKEN)
    assert run(driver, api, send(api, Request("GET", f"{server.url}/jobs"))).result.status == 200


def test_each_poll_has_a_signature_of_its_own(driver: str, server: AwsApi) -> None:
    clock = Clock()
    server.clock = clock
    api = make_api(server.url, clock, **AWS)

    def poll() -> Any:
        response = yield from send(api, Request("GET", f"{server.url}/jobs/7"))
        # Later than the server accepts an old signature, and on another day.
        clock.now += 86_400
        return response

    outcomes = run_all(driver, api, [poll() for _ in range(3)])
    assert [outcome.result.status for outcome in outcomes] == [200] * 3
    assert len({asked.headers["authorization"] for asked in server.asked}) == 3
