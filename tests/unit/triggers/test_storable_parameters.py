"""The parameters that Airflow stores with a trigger hold no secret."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.triggers.storable_parameters import check_storable
from tests.unit.triggers.waits import SPEC


def api_with(**extra: Any) -> Api:
    settings = ConnectionSettings.parse({"host": "https://api.example.com", **extra})
    return Api.from_settings(settings, clock=time.time, rng=lambda: 0.5, make_nonce=lambda: "n")


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"headers": {"X-Tenant": "k3y-of-tenant"}}, "headers"),
        ({"query_params": {"sig": "k3y-of-tenant"}}, "query_params"),
        ({"endpoint": "/jobs/{identifier}?sig=k3y-of-tenant"}, "endpoint"),
        ({"json": {"deep": [{"er": "is k3y-of-tenant"}]}}, "json"),
        ({"xml": "<a>k3y-of-tenant</a>"}, "xml"),
        ({"data": "a=k3y-of-tenant"}, "data"),
        ({"cancel": {"endpoint": "/x", "json": {"k": "k3y-of-tenant"}}}, "cancel"),
        # Named like a secret, though the connection doesn't know it.
        ({"headers": {"Authorization": "Bearer abc"}}, "headers: 'Authorization'"),
        ({"query_params": {"api_key": "abc"}}, "query_params: 'api_key'"),
        ({"json": {"auth": {"password": "abc"}}}, "json: 'password'"),
        ({"cancel": {"headers": {"X-Api-Key": "abc"}}}, "cancel.headers: 'X-Api-Key'"),
    ],
)
def test_a_secret_in_a_request_is_refused_by_name(spec: dict[str, Any], named: str) -> None:
    api = api_with(secrets={"tenant": "k3y-of-tenant"})
    with pytest.raises(ConfigurationError, match=named) as caught:
        check_storable({**SPEC, **spec}, api)
    assert "k3y-of-tenant" not in str(caught.value)
    assert "{connection." in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"headers": {"Authorization": "Bearer {connection.tenant}"}},
        {"headers": {"X-Job-Token": "{job_token}"}},
        {"json": {"password": "{connection.tenant}", "tokens": 5, "next_token": None}},
        {"completion_key": "$.tokens[?(@.token == '{identifier}')].state"},
        {
            "capture": {"login_selector": "data.token"},
            "json": {"query": "query($token: String!) { job(token: $token) }"},
        },
        {"retry_delays": {429: 60}},
    ],
)
def test_a_request_without_secrets_is_stored(spec: dict[str, Any]) -> None:
    check_storable({**SPEC, **spec}, api_with(secrets={"tenant": "k3y-of-tenant"}))


@pytest.mark.parametrize(
    "connection",
    [
        # Words that are part of others, in the connection's secrets and in its login.
        {"secrets": {"kind": "invoice"}},
        {"login": "invoices", "password": "invoice"},
        # What the connection itself shows.
        {"variables": {"kind": "invoices"}, "headers": {"X-Kind": "invoices"}},
    ],
)
def test_an_innocent_text_is_not_taken_for_a_secret(connection: dict[str, Any]) -> None:
    check_storable({**SPEC, "endpoint": "/invoices/{identifier}"}, api_with(**connection))


def test_a_word_that_airflow_masks_is_refused_only_where_it_stands_alone() -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("parcel")
    check_storable({**SPEC, "endpoint": "/parcels/{identifier}"}, api_with())
    with pytest.raises(ConfigurationError, match="endpoint"):
        check_storable({**SPEC, "endpoint": "/parcel/{identifier}"}, api_with())


def test_a_header_of_the_connection_whose_name_tells_of_a_secret_is_one() -> None:
    with pytest.raises(ConfigurationError, match="json"):
        check_storable({**SPEC, "json": {"note": "abc-123"}}, api_with(headers={"X-Api-Key": "abc-123"}))


def test_a_value_that_airflow_masks_is_refused_too() -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("s3cret-of-another-connection")
    with pytest.raises(ConfigurationError, match="json"):
        check_storable({**SPEC, "json": {"note": "s3cret-of-another-connection"}}, api_with())


def test_a_secret_in_a_batch_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"batch\.headers: 'X-Api-Key'"):
        check_storable({**SPEC, "batch": {"headers": {"X-Api-Key": "abc"}}}, api_with())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "NaN at"),
        ("x \ud83d", "half a character"),
        (2**70, "an integer beyond 64 bits; write it as a string"),
    ],
)
def test_a_sensors_parameters_that_airflow_cannot_store_are_refused_before_it_defers(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"the sensor's parameters.*{message}"):
        check_storable({**SPEC, "query_params": {"x": value}}, api_with())
