"""What each driver does beside sending: pools, what no library may add or keep, logs, and ending in good order."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import traceback
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import (
    Flow,
    Log,
    Polled,
    RunConcurrently,
    Send,
)
from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.transports import log_only
from tests.loopback import hang_up, raw, reply, reset
from tests.unit.transports.driving import fetch, make_api, open_aiohttp_driver, run, run_all, sending
from tests.unit.transports.flows import LOGIN, FullDisk, Memory, together

BROKE = "the connection broke before the response was complete"


def test_the_time_to_the_first_byte_ends_with_the_head(driver, serve):
    """The server moves the clock by 3 s before its response, and the receiver of the body by 5 s more."""
    now = [100.0]

    def respond_after_3_seconds(connection, asked):
        now[0] += 3
        return reply(b"x")(connection, asked)

    class SlowSink(Memory):
        def begin(self, head: Response) -> None:
            now[0] += 5

    server = serve(respond_after_3_seconds)
    seconds: list[float] = []
    flow = sending(Request("GET", f"{server.url}/x"), sink=SlowSink())
    (response,) = together(
        driver, make_api(server.url), [flow], steady=lambda: now[0], record_first_byte=seconds.append
    )
    assert response.streamed_bytes == 1
    assert seconds == [3.0]


def test_a_request_without_a_response_has_no_time_to_the_first_byte(driver, serve):
    server = serve(hang_up)
    seconds: list[float] = []
    request = Request("POST", f"{server.url}/x")
    (error,) = together(
        driver, make_api(server.url), [sending(request, is_repeatable=False)], record_first_byte=seconds.append
    )
    assert isinstance(error, TransportError)
    assert seconds == []


def test_connections_are_used_again(driver, serve):
    server = serve(*[reply(b"x")] * 3)
    request = Request("GET", f"{server.url}/x")
    run_all(driver, make_api(server.url), [sending(request) for _ in range(3)])
    assert {asked.connection for asked in server.asked} == {1}


@pytest.mark.timeout(20)
def test_there_are_never_more_connections_than_the_connection_allows(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"x")
    request = Request("GET", f"{server.url}/x")
    answers = together(driver, make_api(server.url, connections_per_host=2), [sending(request) for _ in range(12)])
    assert [answer.status for answer in answers] == [200] * 12
    assert server.connections <= 2


def test_by_default_no_request_waits_for_the_connection_of_another(driver, serve):
    server, all_here = serve(), threading.Barrier(40)

    def meet(connection: Any, asked: Any) -> bool:
        all_here.wait(30)
        return reply(b"x")(connection, asked)

    server.routes["/x"] = meet
    request = Request("GET", f"{server.url}/x")
    answers = together(driver, make_api(server.url, read_timeout=30), [sending(request) for _ in range(40)])
    assert [answer.status for answer in answers] == [200] * 40


def test_an_answer_that_is_refused_does_not_spoil_the_next(driver, serve):
    server = serve(reply(b"x" * 5000), reply(b"fine"))
    request = Request("GET", f"{server.url}/x")
    refused, fine = run_all(driver, make_api(server.url), [sending(request, limit=10), sending(request)])
    assert refused.failure[0] == "BodyTooLargeError"
    assert fine.result.body == b"fine"


def test_a_connection_that_broke_does_not_spoil_the_next(driver, serve):
    server = serve(reply(b"fine"), reset, reply(b"fine"))
    request = Request("POST", f"{server.url}/x")
    outcomes = run_all(driver, make_api(server.url), [sending(request, is_repeatable=False) for _ in range(3)])
    assert [outcome.error and outcome.failure[2] for outcome in outcomes] == [None, True, None]


def test_cookies_are_not_kept(driver, serve):
    server = serve(reply(b"", set_cookie="session=planted; Path=/"), reply(b""))
    request = Request("GET", f"{server.url}/x")
    first, _ = run_all(driver, make_api(server.url), [sending(request), sending(request)])
    assert first.result.headers["set-cookie"].startswith("session=planted")
    assert "cookie" not in server.asked[1].headers


def test_a_cookie_of_the_author_is_sent(driver, serve):
    server = serve(reply(b""))
    fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x", (("Cookie", "a=b"),)))
    assert server.asked[0].headers["cookie"] == "a=b"


def test_no_library_writes_a_query_into_the_log(driver, serve, caplog):
    server = serve(reply(b""))
    with caplog.at_level(logging.DEBUG):
        fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x?k=planted"))
    assert server.asked[0].target == "/x?k=planted"
    assert "planted" not in caplog.text
    assert ("GET /x HTTP/1.1" in caplog.text) is (driver == "requests")


def test_the_libraries_log_for_others_as_they_always_do():
    assert logging.getLogger("urllib3.connectionpool").filters == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("how", [hang_up, reset])
def test_where_the_server_has_hung_up_on_a_used_connection_a_new_one_is_used(driver, serve, how, method):
    server = serve(reply(b"0"), how, reply(b"2"))
    flows = [sending(Request(method, f"{server.url}/{number}")) for number in range(2)]
    outcomes = run_all(driver, make_api(server.url), flows)
    assert [outcome.result.body for outcome in outcomes] == [b"0", b"2"]
    assert [(asked.target, asked.connection) for asked in server.asked] == [("/0", 1), ("/1", 1), ("/1", 2)]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("how", [hang_up, reset])
def test_but_nothing_is_sent_twice_that_would_be_done_twice(driver, serve, how, method):
    server = serve(reply(b"0"), how, reply(b"2"))
    flows = [sending(Request(method, f"{server.url}/{number}"), is_repeatable=False) for number in range(2)]
    _, outcome = run_all(driver, make_api(server.url), flows)
    assert outcome.error == ("TransportError", f"{method} {server.url}/1: {BROKE}", True)
    assert [asked.target for asked in server.asked] == ["/0", "/1"]


@pytest.mark.parametrize("connections", [1, 10])
def test_it_is_sent_over_a_connection_on_which_nobody_can_have_hung_up(driver, serve, connections):
    server = serve(reply(), reply(), reply())
    flows = [sending(Request("GET", server.url), is_repeatable=is_repeatable) for is_repeatable in (True, False, True)]
    run_all(driver, make_api(server.url, connections_per_host=connections), flows)
    assert [asked.connection for asked in server.asked] == [1, 2, 2]


@pytest.mark.parametrize("broken", [[hang_up], [reply(), raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")]])
def test_nor_is_anything_else_that_breaks_sent_again(driver, serve, broken):
    server = serve(*broken, reply())
    outcomes = run_all(driver, make_api(server.url), [sending(Request("GET", server.url)) for _ in broken])
    assert BROKE in outcomes[-1].failure[1]
    assert len(server.asked) == len(broken)


@pytest.mark.parametrize("through", ["nothing", "a closed port", "a proxy that says no"])
def test_the_trace_of_a_failure_holds_no_query_and_no_password(driver, serve, through):
    proxies = {
        "nothing": lambda: None,
        "a closed port": lambda: "http://ann:pw-planted@127.0.0.1:9",
        "a proxy that says no": lambda: serve(*[reply(b"", 407)] * 2).url.replace("//", "//ann:pw-planted@"),
    }
    api = make_api("https://api.example.com", proxy=proxies[through]())
    (error,) = together(driver, api, [sending(Request("GET", "https://127.0.0.1:9/x?k=planted"))])
    assert isinstance(error, TransportError)
    assert "planted" not in "".join(traceback.format_exception(error))


def test_the_netrc_is_not_read(driver, serve, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password planted\ndefault login ann password planted")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve(reply(b""))
    fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"))
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("location", ["http:\\\\HOST/x", "/\\HOST/x", "http:/HOST/x", "///HOST/x", "/\t/HOST/x"])
def test_a_location_that_leads_browsers_elsewhere_is_an_error_and_no_path(driver, serve, location):
    server = serve(reply(b"", 302, location=location.replace("HOST", "127.0.0.1:1")), reply(b"followed"))
    api = make_api(server.url)
    outcome = run(driver, api, send(api, Request("GET", f"{server.url}/x")))
    assert outcome.error is not None
    assert outcome.failure[0] == "RedirectError"
    assert "a Location that isn't followed, because it " in outcome.failure[1]
    assert len(server.asked) == 1


def test_no_redirect_is_followed_by_the_library(driver, serve):
    server = serve(reply(b"", 302, location="/else"))
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"))
    assert outcome.result.status == 302
    assert len(server.asked) == 1


def test_nothing_is_sent_that_the_core_did_not_say(driver, serve):
    server = serve(reply(b""))
    fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x", (("X-Mine", "1"),)))
    assert server.asked[0].headers == {
        "accept-encoding": "gzip, deflate",
        "user-agent": "airflow-provider-asyncapi",
        "x-mine": "1",
    }


@pytest.mark.parametrize("why", [ConfigurationError("the connection is gone"), KeyError("changed")])
def test_a_driver_that_is_retired_sends_nothing_any_more(serve, why, way):
    server = serve(reply(b"x"))
    api = make_api(server.url)

    async def main() -> None:
        client = open_aiohttp_driver(way, api)
        client.retire(why)
        with pytest.raises(type(why)) as caught:
            await client.run(sending(Request("GET", f"{server.url}/x")))
        # Each flow gets an error of its own, for tracebacks are added to it.
        assert caught.value is not why
        await client.close()

    asyncio.run(main())
    assert not server.asked


def test_lines_and_polls_are_told_in_order(driver):
    polled = Polled(JobHandle("7"), 1, 0, changed=True, at=0)
    api = make_api("http://127.0.0.1")

    def flow() -> Flow[None]:
        yield Log(logging.INFO, "one")
        yield polled
        yield Log(logging.WARNING, "two")

    assert run(driver, api, flow()).events == [Log(logging.INFO, "one"), polled, Log(logging.WARNING, "two")]


def test_by_default_lines_are_logged(caplog):
    with caplog.at_level(logging.INFO):
        log_only(Log(logging.INFO, "100 % done"))
        log_only(Polled(JobHandle("7"), 1, 0, changed=True, at=0))
    assert caplog.messages == ["100 % done"]


def closing_flow(ended: list[str], api: Any, url: str) -> Flow[None]:
    try:
        yield from send(api, Request("GET", url))
    finally:
        ended.append("closed")


def test_a_flow_is_closed_when_its_driver_is_interrupted(driver, serve):
    server = serve(reply(b"abc"))
    ended: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield Send(Request("GET", f"{server.url}/x"), FullDisk())
        finally:
            ended.append("closed")

    with pytest.raises(OSError, match="No space left"):
        run(driver, make_api(server.url), flow())
    assert ended == ["closed"]


@pytest.mark.parametrize("what", ["send", "gather", "login"])
def test_a_task_that_is_cancelled_leaves_nothing_behind(serve, what, way):
    server = serve()
    here = threading.Event()

    def held(connection: Any, asked: Any) -> Any:
        here.set()
        return server.hold(connection, asked)

    server.routes |= {"/x": held, "/login": held}
    api = make_api(server.url, **(LOGIN if what == "login" else {}))
    ended: list[str] = []

    def gathering() -> Flow[Any]:
        yield RunConcurrently([lambda: closing_flow(ended, api, f"{server.url}/x")] * 4, 2, ended.append)

    async def main() -> int:
        client = open_aiohttp_driver(way, api)
        try:
            flow = gathering() if what == "gather" else closing_flow(ended, api, f"{server.url}/x")
            task = asyncio.create_task(client.run(flow))
            assert await asyncio.to_thread(here.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return len(asyncio.all_tasks()) - 1
        finally:
            await client.close()

    assert asyncio.run(main()) == 0
    assert ended == ["closed"] * (2 if what == "gather" else 1)


def test_whoever_is_cancelled_while_logging_in_does_not_take_the_others_along(serve, way):
    server = serve()
    here = threading.Event()
    logins = itertools.count()

    def login(connection: Any, asked: Any) -> Any:
        if next(logins) == 0:
            here.set()
            return server.hold(connection, asked)
        return reply({"token": "tok-two"})(connection, asked)

    server.routes |= {"/login": login, "/x": reply(b"")}
    api = make_api(server.url, **LOGIN)

    async def main() -> int:
        client = open_aiohttp_driver(way, api)
        try:
            request = Request("GET", f"{server.url}/x")
            first = asyncio.create_task(client.run(send(api, request)))
            assert await asyncio.to_thread(here.wait, 10)
            second = asyncio.create_task(client.run(send(api, request)))
            await asyncio.sleep(0)
            first.cancel()
            return (await second).status
        finally:
            await client.close()

    assert asyncio.run(main()) == 200
