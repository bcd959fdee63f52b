"""Host names: looked up within connect_timeout, and on threads that nobody else uses."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.transports import aiohttp_resolver
from airflow_provider_asyncapi.transports.aiohttp_resolver import Resolver
from airflow_provider_asyncapi.transports.dns import find_addresses
from airflow_provider_asyncapi.transports.error_translation import SlowLookUpError
from tests.loopback import reply
from tests.unit.eventually import until
from tests.unit.transports.driving import fetch, make_api, open_aiohttp_driver, sending

pytestmark = pytest.mark.timeout(30)


class NameServer:
    """Knows all names that end in .test, and says nothing of those that begin with mute."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()
        self.addresses: list[tuple[str, int]] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002 - the name in Python
        if not host.endswith(".test") or flags & socket.AI_NUMERICHOST:
            return self._real(host, port, family, type, proto, flags)
        self.asked.append(host)
        if host.startswith("mute"):
            self.released.wait(30)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = self.addresses or [("127.0.0.1", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


@pytest.fixture
def names(monkeypatch):
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.released.set()
    # So that the next test counts its own.
    for thread in look_ups():
        thread.join(10)


def look_ups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "asyncapi-look-up"]


def test_a_mute_name_server_takes_no_more_time_than_connecting_may(driver, names):
    api = make_api("http://mute.test", connect_timeout=0.2)
    outcome = fetch(driver, api, Request("GET", "http://mute.test/x"))
    why = "couldn't connect: the host's name wasn't resolved within 0.2 s"
    assert outcome.error == ("TransportError", f"GET http://mute.test/x: {why}", False)


def test_a_name_that_is_not_known_is_said_to_be_so(driver, names):
    outcome = fetch(driver, make_api("http://unknown.test"), Request("GET", "http://unknown.test/x"))
    assert outcome.failure[1].endswith("couldn't connect: the host's name can't be resolved")


def test_a_name_that_can_be_none_is_not_known():
    with pytest.raises(socket.gaierror):
        find_addresses("a" * 64 + ".test", 80)


def test_the_next_address_is_tried_if_one_takes_no_connection(driver, serve, names):
    server = serve(reply(b"x"))
    names.addresses = [("127.0.0.1", 9), ("127.0.0.1", server.port)]
    url = f"http://two.test:{server.port}"
    assert fetch(driver, make_api(url), Request("GET", f"{url}/x")).result.body == b"x"


def test_no_address_is_tried_after_the_time_for_connecting(serve, names, monkeypatch):
    names.addresses = [("127.0.0.1", 9)] * 3
    moments = iter([0.0, 1.0, 1.0])
    monkeypatch.setattr("airflow_provider_asyncapi.transports.requests.time.monotonic", lambda: next(moments, 6.0))
    outcome = fetch("requests", make_api("http://two.test"), Request("GET", "http://two.test/x"))
    assert outcome.failure[1].endswith("couldn't connect: not possible within 5 s")


def test_the_threads_of_the_event_loop_are_left_to_others(names, way):
    """With a mute name server, anybody else's thread call has to go on."""

    async def main() -> None:
        api = make_api("http://mute.test", connect_timeout=100)
        client = open_aiohttp_driver(way, api)
        waits = [
            asyncio.create_task(client.run(sending(Request("GET", f"http://mute{number}.test/"))))
            for number in range(50)
        ]
        await until(lambda: len(names.asked) == 8)
        assert await asyncio.to_thread(lambda: "answered") == "answered"
        assert len(names.asked) == len(look_ups()) == 8
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize(("kept_for", "asked"), [(10.0, 1), (0.0, 2)])
def test_those_who_need_the_same_name_share_a_look_up_and_its_answer_for_a_while(names, monkeypatch, kept_for, asked):
    monkeypatch.setattr(aiohttp_resolver, "_CACHE_SECONDS", kept_for)

    async def main() -> None:
        looking = Resolver(10)
        found = await asyncio.gather(*[looking.resolve("one.test", 80) for _ in range(5)])
        assert {each[0]["host"] for each in found} == {"127.0.0.1"}
        await looking.resolve("one.test", 80)

    asyncio.run(main())
    assert names.asked == ["one.test"] * asked


def test_whoever_gives_up_waiting_leaves_the_answer_to_the_next(names):
    async def main() -> None:
        looking = Resolver(0.05)
        with pytest.raises(SlowLookUpError):
            await looking.resolve("mute.test", 80)
        names.released.set()
        await until(lambda: looking._cache)
        await looking.resolve("mute.test", 80)
        assert names.asked == ["mute.test"]

    asyncio.run(main())


def test_the_end_of_the_loop_waits_for_no_look_up(names):
    async def main() -> None:
        looking = Resolver(0.05)
        with pytest.raises(SlowLookUpError):
            await looking.resolve("mute.test", 80)
        await looking.close()

    asyncio.run(main())
    assert len(look_ups()) == 1
    names.released.set()


def test_a_link_local_address_keeps_its_zone(monkeypatch):
    where = ("fe80::1", 80, 0, 1)
    answer = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", where)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    monkeypatch.setattr(socket, "getnameinfo", lambda *_: ("fe80::1%lo", "80"))
    (found,) = asyncio.run(resolve_once("zone.test"))
    assert (found["host"], found["port"]) == ("fe80::1%lo", 80)


async def resolve_once(host: str) -> Any:
    return await Resolver(10).resolve(host, 80)


def test_nothing_is_kept_of_the_hosts_that_redirects_lead_to(serve, names, monkeypatch):
    """Each redirect may name another host: their number is the server's choice."""
    server = serve()
    server.routes["/x"] = reply(b"")
    monkeypatch.setattr(aiohttp_resolver, "_MAX_CACHED", 10)

    def hop(connection: Any, asked: Any) -> bool:
        number = int(asked.target.rpartition("/")[2])
        target = "/x" if number % 9 == 0 else f"/hop/{number + 1}"
        # One that is closed at once, as after an error.
        return reply(b"", 302, close=True, location=f"http://n{number}.test:{server.port}{target}")(connection, asked)

    for number in range(90):
        server.routes[f"/hop/{number}"] = hop
    api = make_api(server.url)

    async def main() -> None:
        client: Any = open_aiohttp_driver("fast path", api)
        for number in range(1, 82, 9):
            response = await client.run(send(api, Request("GET", f"{server.url}/hop/{number}")))
            assert response.status == 200
        assert len(set(names.asked)) == 81
        client._client._pool._idle_timeout = 0
        client._client._pool._sweep()
        assert not client._client._pool._servers
        assert len(client._client._connector.resolver._cache) == 10
        await client.close()

    asyncio.run(main())
