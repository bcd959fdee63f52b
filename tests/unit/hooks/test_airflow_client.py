"""The clients of Airflow's own API server: whom they trust, and that triggers share one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, TransportError
from airflow_provider_asyncapi.core.jobs.slots import wait_for_slot
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.hooks.airflow_client import describe_api_server, make_tls_context, share_driver
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.certificates import Authority
from tests.loopback import Server, reply

GRANTED = reply({"granted": True, "limit": 2, "position": 0})


def get_slot_on_worker(url: str) -> None:
    airflow = describe_api_server(url)
    with closing(RequestsDriver(airflow, get_tls_context=make_tls_context)) as driver:
        driver.run(wait_for_slot(airflow, "ti-1"))


def get_slot_in_triggerer(url: str) -> None:
    async def main() -> None:
        airflow = describe_api_server(url)
        async with share_driver(airflow) as driver:
            await driver.run(wait_for_slot(airflow, "ti-1"))

    asyncio.run(main())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("airflow"), "airflow")


@pytest.fixture
def start(authority: Authority) -> Iterator[Callable[..., Server]]:
    """Start an API server that speaks TLS with a certificate that no public authority has signed."""
    servers: list[Server] = []

    def start(**given: Any) -> Server:
        servers.append(Server(tls=authority.server_context(**given)))
        servers[-1].respond_with(GRANTED)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=[get_slot_on_worker, get_slot_in_triggerer])
def get_slot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    # The first error is final.
    monkeypatch.setattr("airflow_provider_asyncapi.core.jobs.slots._RETRY_SCHEDULE", PollSchedule(max_errors=1))
    return request.param


@pytest.mark.parametrize("option", ["ssl_cert", "ssl_ca_file"])
def test_the_certificates_that_airflows_own_tasks_trust_are_trusted(
    get_slot: Any, start: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__API__{option.upper()}", authority.path)
    server = start()
    get_slot(server.url)
    assert [asked.target for asked in server.asked] == ["/asyncapi/slots/ti-1"]


def test_no_other_certificate_is_trusted(get_slot: Any, start: Any) -> None:
    server = start()
    with pytest.raises(AsyncApiError, match="the server's certificate isn't trusted") as error:
        get_slot(server.url)
    assert isinstance(error.value.__cause__, TransportError)
    assert server.asked == []


def test_an_api_server_that_wants_a_certificate_gets_that_of_airflows_tasks(
    get_slot: Any, start: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority.issue("task")
    monkeypatch.setenv("AIRFLOW__API__SSL_CERT", authority.path)
    monkeypatch.setenv("AIRFLOW__API__CLIENT_SSL_CERT", certificate)
    monkeypatch.setenv("AIRFLOW__API__CLIENT_SSL_KEY", key)
    server = start(clients=authority)
    get_slot(server.url)
    assert len(server.asked) == 1


def test_a_certificate_that_cannot_be_read_is_a_mistake_of_the_configuration(
    get_slot: Any, start: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__API__SSL_CERT", str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigurationError, match=r"No such file or directory; check the options ssl_cert, .* \[api\]"):
        get_slot(start().url)


def test_the_triggers_of_an_event_loop_share_a_driver_until_the_last_one_has_left() -> None:
    async def main() -> None:
        airflow, another = describe_api_server("http://127.0.0.1:1"), describe_api_server("http://127.0.0.1:2")
        async with share_driver(another) as other:
            async with share_driver(airflow) as first:
                async with share_driver(airflow) as second:
                    assert second is first
                async with share_driver(airflow) as third:
                    assert third is first
            async with share_driver(airflow) as later:
                assert later is not first
            assert other is not first

    asyncio.run(main())


def test_two_triggers_that_begin_at_the_same_time_open_one_driver() -> None:
    async def enter(all_here: asyncio.Barrier) -> Any:
        async with share_driver(describe_api_server("http://127.0.0.1:1")) as driver:
            await all_here.wait()
            return driver

    async def main() -> set[Any]:
        all_here = asyncio.Barrier(5)
        return set(await asyncio.gather(*[enter(all_here) for _ in range(5)]))

    assert len(asyncio.run(main())) == 1
