from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.connection.probe import probe
from airflow_provider_asyncapi.core.errors import AuthenticationError, JobNotFoundError, TransportError
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response


def test_without_a_test_endpoint_any_answer_will_do() -> None:
    api = make_api()
    runner = FlowRunner(api, make_response(status=404))
    said = runner.run(probe(api))
    assert "answered 404" in said
    assert "set test_endpoint" in said
    assert runner.paths == ["GET "]


@pytest.mark.parametrize("status", [401, 403])
def test_but_refused_credentials_do_not(status: int) -> None:
    api = make_api(auth="bearer", password="t0ken-1")
    with pytest.raises(AuthenticationError):
        FlowRunner(api, make_response(status=status)).run(probe(api))


def test_a_test_endpoint_has_to_answer_well() -> None:
    api = make_api(test_endpoint="/me")
    assert FlowRunner(api, make_response({})).run(probe(api)) == f"GET {api.settings.base_url}/me answered 200."
    with pytest.raises(JobNotFoundError):
        FlowRunner(api, make_response(status=404)).run(probe(api))


def test_a_login_comes_first() -> None:
    api = make_api(auth="oauth2", login="id-1", password="secret-1", oauth2_url="/token", test_endpoint="/me")
    runner = FlowRunner(api, make_response({"access_token": "t0ken-1"}), make_response({}))
    assert runner.run(probe(api)).startswith("The token request returned a token. GET ")
    assert runner.paths == ["POST /token", "GET /me"]
    assert runner.header("Authorization") == "Bearer t0ken-1"


def test_a_refresh_token_that_can_be_used_once_is_not_used() -> None:
    fields: dict[str, Any] = {"auth": "oauth2_refresh", "login": "id-1", "oauth2_url": "/token"}
    api = make_api(**fields, refresh_token="r3fresh-1", test_endpoint="/me")
    runner = FlowRunner(api, make_response(status=401))
    message = runner.run(probe(runner.api))
    assert "/me answered 401 without credentials. The refresh token wasn't tested" in message
    assert runner.paths == ["GET /me"]
    assert runner.header("Authorization") is None


def test_no_answer_is_an_error() -> None:
    api = make_api()
    with pytest.raises(TransportError):
        FlowRunner(api, make_lost_error(sent=False)).run(probe(api))
