from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.connection.probe import probe
from airflow_provider_asyncapi.core.errors import AuthenticationError, JobNotFoundError, TransportError
from tests.unit.core.flow_runner import Script, answer, lost, make_api


def test_without_a_test_endpoint_any_answer_will_do() -> None:
    api = make_api()
    script = Script(api, answer(status=404))
    said = script.run(probe(api))
    assert "answered 404" in said
    assert "set test_endpoint" in said
    assert script.paths == ["GET "]


@pytest.mark.parametrize("status", [401, 403])
def test_but_refused_credentials_do_not(status: int) -> None:
    api = make_api(auth="bearer", password="t0ken-1")
    with pytest.raises(AuthenticationError):
        Script(api, answer(status=status)).run(probe(api))


def test_a_test_endpoint_has_to_answer_well() -> None:
    api = make_api(test_endpoint="/me")
    assert Script(api, answer({})).run(probe(api)) == f"GET {api.settings.base_url}/me answered 200."
    with pytest.raises(JobNotFoundError):
        Script(api, answer(status=404)).run(probe(api))


def test_a_login_comes_first() -> None:
    api = make_api(auth="oauth2", login="id-1", password="secret-1", oauth2_url="/token", test_endpoint="/me")
    script = Script(api, answer({"access_token": "t0ken-1"}), answer({}))
    assert script.run(probe(api)).startswith("The login returned a token. GET ")
    assert script.paths == ["POST /token", "GET /me"]
    assert script.header("Authorization") == "Bearer t0ken-1"


def test_no_answer_is_an_error() -> None:
    api = make_api()
    with pytest.raises(TransportError):
        Script(api, lost(sent=False)).run(probe(api))
