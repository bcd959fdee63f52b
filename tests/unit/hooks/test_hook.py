from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, Connection
from airflow.sdk._shared import secrets_masker

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.connections.form import UI_FIELD_BEHAVIOUR
from airflow_provider_asyncapi.connections.reading import name_connection, read_connection
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from tests.unit.fake_airflow import ApiServer, Supervisor, reply


def settings(**given: Any) -> Any:
    extra = given.pop("extra", None)
    text = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    connection = Connection(
        **{"conn_id": "c", "conn_type": "asyncapi", "host": "https://a.example", **given}, extra=text
    )
    return read_connection(connection).settings


@pytest.mark.parametrize(
    ("given", "headers", "params"),
    [
        ({}, {}, {}),
        ({"extra": {"auth": "none"}}, {}, {}),
        ({"login": "u", "password": "p"}, {"Authorization": "Basic " + base64.b64encode(b"u:p").decode()}, {}),
        ({"password": "t", "extra": {"auth": "bearer"}}, {"Authorization": "Bearer t"}, {}),
        ({"password": "k", "extra": {"auth": "api_key"}}, {"X-API-Key": "k"}, {}),
        (
            {"password": "k", "extra": {"auth": "api_key", "key_name": "key", "key_in": "query"}},
            {},
            {"key": "k"},
        ),
        (
            {"login": "id", "password": "s", "extra": {"auth": "oauth2", "oauth2_url": "/token", "scope": "a b"}},
            {"Authorization": "Bearer {token}"},
            {},
        ),
        (
            {
                "extra": {
                    "auth": "login",
                    "login_request": {"endpoint": "/login"},
                    "login_selector": "t",
                    "login_header": "X-T",
                }
            },
            {"X-T": "{token}"},
            {},
        ),
    ],
)
def test_each_kind_of_authentication_is_read_from_the_connection(
    given: dict[str, Any], headers: dict[str, str], params: dict[str, str]
) -> None:
    auth = settings(**given).auth
    assert (auth.headers, auth.params) == (headers, params)


def test_what_the_form_stores_as_text_is_read() -> None:
    read = settings(
        port=0,
        extra={
            "headers": '{"X-Org": "42"}',
            "variables": '{"account": "a"}',
            "connect_timeout": "2.5",
            "read_timeout": "",
            "connections_per_host": "3",
            "requests_per_second": None,
            "verify": "false",
            "trusted_hosts": "files.example, cdn.example:8443",
            "proxy": "http://user:pass@proxy.example:3128",
            "profile": "",
            "test_endpoint": "",
        },
    )
    assert read.base_url == "https://a.example"
    assert read.headers == {"X-Org": "42"}
    assert read.variables["connection.account"] == "a"
    assert (read.connect_timeout, read.read_timeout, read.connections_per_host) == (2.5, 60.0, 3)
    assert (read.requests_per_second, read.verify, read.profile) == (None, False, None)
    assert read.trusted_hosts == {"files.example", "cdn.example:8443"}


def test_a_profile_on_the_connection_says_how_to_log_in() -> None:
    read = settings(login="me@example.com", password="pass-word", extra={"profile": "vayana"})
    assert read.profile == "vayana"
    assert read.auth.token_source is not None
    assert read.auth.headers == {"X-FLYNN-N-USER-TOKEN": "{token}"}


def test_what_the_connection_says_goes_before_its_profile() -> None:
    read = settings(login="me", password="pass-word", extra={"profile": "vayana", "login_header": "X-Other"})
    assert read.auth.headers == {"X-Other": "{token}"}


def test_a_connection_that_logs_in_otherwise_than_its_profile_leaves_out_what_that_login_needs() -> None:
    read = settings(password="the-token", extra={"profile": "vayana", "auth": "bearer"})
    assert read.auth.headers == {"Authorization": "Bearer the-token"}
    assert read.auth.token_source is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": None}, "host is empty"),
        ({"extra": "{not json"}, "extra isn't JSON"),
        ({"extra": "[1]"}, "extra has to be a JSON object"),
        ({"extra": {"header": {}}}, "unknown key 'header'"),
        ({"extra": {"auth": "bearer"}}, "needs password"),
        ({"extra": {"profile": "no_such"}}, "no_such"),
        ({"extra": {"auth": "digest"}}, "digest"),
        ({"host": "https://a.example", "port": 70000}, "port"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_with_its_name(connect: Any, given: dict[str, Any], said: str) -> None:
    connect("billing", **given)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=said) as caught:
        _ = AsyncApiHook("billing").api
    assert str(caught.value).startswith("connection 'billing': ")


def test_no_secret_of_a_broken_extra_is_shown(connect: Any) -> None:
    connect(extra='{"headers": {"X-Key": "hunter2hunter2"}')
    with pytest.raises(exceptions.AsyncApiConfigurationError) as caught:
        _ = AsyncApiHook().api
    shown = [str(caught.value)]
    cause: BaseException | None = caught.value
    while cause is not None:
        shown.append(repr(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    assert "hunter2" not in "".join(shown)


def test_a_connection_that_is_missing_is_what_airflow_says_it_is(supervisor: Supervisor) -> None:
    with pytest.raises(AirflowException, match="no_such"):
        _ = AsyncApiHook("no_such").api


def test_an_error_keeps_its_kind_when_it_is_named() -> None:
    assert str(name_connection(ConfigurationError("host is empty"), "c")) == "connection 'c': host is empty"


def test_one_hook_looks_up_the_connection_and_opens_a_session_once(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to("GET /a", reply({}))
    hook = AsyncApiHook()
    for _ in range(3):
        hook.run(send(hook.api, Request("GET", f"{api.url}/a")))
    assert hook.get_conn() is hook.get_conn()
    hook.close()
    assert len(supervisor.of_kind("GetConnection")) == 1


def test_closing_a_hook_that_was_not_used_does_nothing() -> None:
    AsyncApiHook().close()


def test_an_error_of_a_flow_is_one_that_airflow_understands(api: ApiServer, connection: None) -> None:
    api.respond_to("GET /a", reply(status=302, location="ftp://x/y"))
    hook = AsyncApiHook()
    with pytest.raises(exceptions.AsyncApiRejected, match="Location"):
        hook.run(send(hook.api, Request("GET", f"{api.url}/a")))
    hook.close()


def test_a_certificate_that_is_not_there_is_a_named_error(connect: Any) -> None:
    connect("tls", extra={"ca_cert": "/no/such.pem"})
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="connection 'tls': ca_cert"):
        AsyncApiHook("tls").get_conn()


def test_secrets_are_masked_in_the_tasks_log(connect: Any) -> None:
    connect(
        password="the-p4ssword-1",
        extra={
            "auth": "bearer",
            "secrets": {"key": "own-secret-1"},
            "secret_headers": {"X-Session": "session-secret-1"},
            "proxy": "http://u:proxy-pass-1@127.0.0.1:1",
            "headers": {"Accept-Language": "innocent-header"},
        },
    )
    _ = AsyncApiHook().api
    planted = "the-p4ssword-1 own-secret-1 session-secret-1 innocent-header"
    assert secrets_masker.redact(planted) == "*** *** *** innocent-header"


class TestTheButton:
    def test_a_good_connection(self, api: ApiServer, connect: Any) -> None:
        connect(password="t0ken-1", extra={"auth": "bearer", "test_endpoint": "/me"})
        api.respond_to("GET /me", reply({"user": "me"}))
        works, said = AsyncApiHook().test_connection()
        assert works, said
        assert "/me answered 200" in said

    def test_a_login_is_tried(self, api: ApiServer, connect: Any) -> None:
        connect(login="id-1", password="secret-1", extra={"auth": "oauth2", "oauth2_url": "/token"})
        api.respond_to("POST /token", reply({"access_token": "t0ken-1", "expires_in": 60}))
        api.respond_to("GET /", reply({}))
        works, said = AsyncApiHook().test_connection()
        assert works, said
        assert said.startswith("The token request returned a token.")
        assert "set test_endpoint" in said

    def test_refused_credentials(self, api: ApiServer, connect: Any) -> None:
        connect(password="t0ken-1", extra={"auth": "bearer"})
        api.respond_to("GET /", reply({"message": "token t0ken-1 has expired"}, 401))
        works, said = AsyncApiHook().test_connection()
        assert not works
        assert "401" in said
        assert "t0ken-1" not in said

    def test_a_refused_login(self, api: ApiServer, connect: Any) -> None:
        connect(login="id-1", password="secret-1", extra={"auth": "oauth2", "oauth2_url": "/token"})
        api.respond_to("POST /token", reply({"error": "invalid_client"}, 401))
        works, said = AsyncApiHook().test_connection()
        assert not works
        assert "invalid_client" in said

    def test_a_server_that_is_not_there(self, connect: Any) -> None:
        connect(host="http://127.0.0.1:9")
        works, said = AsyncApiHook().test_connection()
        assert not works
        assert "couldn't connect" in said

    def test_an_unfinished_connection(self, connect: Any) -> None:
        connect(host=None)
        assert AsyncApiHook().test_connection() == (
            False,
            "connection: host is empty; set it to the API's address, such as https://api.example.com/v1",
        )

    def test_any_answer_of_the_host_will_do_without_a_test_endpoint(self, api: ApiServer, connection: None) -> None:
        api.respond_to("GET /", reply(status=404))
        works, said = AsyncApiHook().test_connection()
        assert works, said

    def test_a_test_endpoint_has_to_answer_well(self, api: ApiServer, connect: Any) -> None:
        connect(extra={"test_endpoint": "/nope"})
        works, said = AsyncApiHook().test_connection()
        assert not works
        assert "404" in said


def test_the_form_says_that_airflows_test_button_needs_the_port() -> None:
    """Airflow 3.3 sends port 0 for an empty field, and its API refuses that before it asks us."""
    assert "Test button" in UI_FIELD_BEHAVIOUR["relabeling"]["port"]
    # With the port in both places, as the form then has it.
    read = ConnectionSettings.parse({"host": "https://api.example.com:8443/v1", "port": 8443})
    assert read.base_url == "https://api.example.com:8443/v1"


def test_a_connection_that_does_not_exist_is_an_error_that_names_the_parameter(connection):
    with pytest.raises(AirflowNotFoundException, match="asyncapi_conn_id: there is no connection 'mien';"):
        _ = AsyncApiHook("mien").api


def test_the_url_of_a_webhook_names_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", "https://airflow.example.com/base/")
    url = AsyncApiHook("vendor").webhook_url
    assert url == "https://airflow.example.com/base/asyncapi/callbacks/connections/vendor/events"


def test_without_the_address_of_airflow_there_is_no_url_of_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", "airflow.example.com")
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="callback_base_url"):
        _ = AsyncApiHook("vendor").webhook_url
