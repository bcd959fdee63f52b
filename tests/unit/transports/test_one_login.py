"""A thousand waits on one connection log in once, and once more when the token expires."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.loopback import Asked, Behaviour, Server, reply
from tests.unit.transports.driving import AIOHTTP_WAYS, Clock, make_api, open_aiohttp_driver

pytestmark = pytest.mark.any_python

WAITS = 1000
LIFETIME = 600
KINDS: dict[str, dict[str, Any]] = {
    "oauth2": {"login": "id", "password": "secret", "oauth2_url": "/token"},
    "connection": {"credentials_conn_id": "other"},
    "aws_sigv4": {"credentials_conn_id": "other", "aws_region": "eu-west-1", "aws_service": "execute-api"},
}


class Vendor(Server):
    """Counts the logins, and the requests with each token."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.logins = 0
        self.requests: Counter[str] = Counter()

    def answer(self, asked: Asked) -> Behaviour:
        if asked.target == "/token":
            self.logins += 1
            return reply({"access_token": f"token-{self.logins}", "expires_in": LIFETIME})
        self.requests[asked.headers["authorization"].partition("/")[0]] += 1
        return reply({"status": "running"})


class CountingLender:
    """Lends a new token each time."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.count = clock, 0

    def lend(self, *, is_rejected: bool) -> Token:
        self.count += 1
        return Token(f"token-{self.count}", self.clock() + LIFETIME, {"secret_key": "secret"})


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", AIOHTTP_WAYS)
def test_a_thousand_waits_log_in_once_until_the_token_expires(way: str, kind: str, vendor: Vendor) -> None:
    clock = Clock()
    lender = CountingLender(clock)
    fields: dict[str, Any] = {"auth": kind, "connections_per_host": 8, **KINDS[kind]}
    api = dataclasses.replace(make_api(vendor.url, clock, **fields), lender=lender)

    async def poll_all(api: Api) -> None:
        driver = open_aiohttp_driver(way, api)
        try:
            for _ in range(2):
                polls = [send(api, Request("GET", f"{vendor.url}/jobs/{number}")) for number in range(WAITS)]
                responses = await asyncio.gather(*(driver.run(poll) for poll in polls))
                assert {response.status for response in responses} == {200}
                clock.now += LIFETIME
        finally:
            await driver.close()

    asyncio.run(poll_all(api))
    assert vendor.logins + lender.count == 2
    assert list(vendor.requests.values()) == [WAITS, WAITS]
