"""What each driver does beside sending: pools, tokens, pace, sinks, and ending in good order."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import logging
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.effects import (
    Flow,
    GetToken,
    Log,
    PollBatch,
    Polled,
    PollUntilChanged,
    RunBlocking,
    RunConcurrently,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    ContentError,
    ThrottledError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.compression import PIECE
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.http.downloads import Download
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse
from airflow_provider_asyncapi.transports import log_only, requests
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.loopback import chunked, hang_up, raw, reply, reset
from tests.unit.eventually import until, wait_until
from tests.unit.fake_files import MemoryDraft
from tests.unit.transports.driving import START, Clock, fetch, make_api, open_aiohttp_driver, run, run_all, sending

BROKE = "the connection broke before the response was complete"
LOGIN: dict[str, Any] = {
    "auth": "login",
    "login_request": {"endpoint": "/login", "method": "POST"},
    "login_selector": "token",
}


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.content = b""
        self.begun: list[int] = []
        self.ended = 0

    def begin(self, head: Response) -> None:
        self.begun.append(head.status)

    def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> None:
        self.ended += 1


class FullDisk(Memory):
    def write(self, chunk: bytes) -> None:
        raise OSError(28, "No space left on device")


def together(driver: str, api: Any, flows: list[Flow[Any]], **given: Any) -> list[Any]:
    """Run flows at the same time: on threads, or as tasks. Give what they returned, or raised."""

    def caught(work: Any) -> Any:
        try:
            return work()
        except AsyncApiError as error:
            return error

    if driver == "requests":
        client = RequestsDriver(api, **given)
        try:
            with ThreadPoolExecutor(len(flows)) as pool:
                return list(pool.map(lambda flow: caught(lambda: client.run(flow)), flows))
        finally:
            client.close()

    async def main() -> list[Any]:
        client = open_aiohttp_driver(driver, api, **given)
        try:
            return await asyncio.gather(*map(client.run, flows), return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(main())


def noted(begun: list[int], flow: Flow[Any]) -> Flow[Any]:
    """Note that a flow has begun."""
    begun.append(1)
    return (yield from flow)


# Pools


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


# The same for everybody: nothing is kept, nothing is taken from the machine


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


# Bodies


def test_the_limit_counts_what_was_unpacked(driver, serve):
    packed = gzip.compress(b"x" * 2000)
    server = serve(reply(packed, content_encoding="gzip"), reply(packed, content_encoding="gzip"))
    request = Request("GET", f"{server.url}/x")
    at, above = run_all(driver, make_api(server.url), [sending(request, limit=2000), sending(request, limit=1999)])
    assert len(at.result.body) == 2000
    assert above.failure[0] == "BodyTooLargeError"
    assert "more than 1999 bytes" in above.failure[1]


@pytest.mark.parametrize(
    ("head", "nothing"),
    [(b"", gzip.compress(b"") * 3000), (gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff" * 12_000)],
)
def test_a_coded_body_that_never_holds_anything_is_not_read_on(driver, serve, head, nothing):
    sent = 0

    def endless(connection: Any, _asked: Any) -> bool:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + head)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                connection.sendall(nothing)
                sent += len(nothing)
        return False

    server = serve(endless)
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), limit=1000)
    assert outcome.failure[0] == "BodyTooLargeError"
    assert "more than 1000 bytes" in outcome.failure[1]
    assert sent < 20_000_000, "what the machine buffers, and no more"


def test_a_sink_gets_the_body_of_a_good_answer_as_it_came(driver, serve):
    packed = gzip.compress(bytes(range(256)) * 20_000)
    server = serve(reply(packed, content_encoding="gzip"))
    sink = Memory()
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=sink, limit=10)
    assert sink.content == packed
    assert (outcome.result.body, outcome.result.streamed_bytes) == (b"", len(packed))
    assert (sink.begun, sink.ended) == ([200], 1)


def test_a_download_gets_a_bomb_in_small_pieces(driver, serve):
    server = serve(chunked(gzip.compress(bytes(60_000_000)), content_encoding="gzip"))
    sizes: list[int] = []

    class Sized(MemoryDraft):
        def write(self, data: bytes) -> None:
            sizes.append(len(data))

    fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=Download(Sized()))
    assert sum(sizes) == 60_000_000
    assert max(sizes) <= PIECE


def test_a_sink_does_not_get_an_error_page(driver, serve):
    server = serve(reply(b"no", 503))
    sink = Memory()
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=sink)
    assert (outcome.result.body, sink.content, sink.begun) == (b"no", b"", [])


def test_a_sink_is_told_when_another_answer_begins(driver, serve):
    server = serve(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), reply(b"defghi", 206))
    sink = Memory()
    request = Request("GET", f"{server.url}/x")

    def twice() -> Flow[Response]:
        try:
            yield Send(request, sink)
        except TransportError:
            assert (sink.content, sink.ended) == (b"abc", 0)
        response: Response = yield Send(request, sink)
        return response

    assert run(driver, make_api(server.url), twice()).result.streamed_bytes == 6
    assert (sink.content, sink.begun, sink.ended) == (b"abcdefghi", [200, 206], 1)


def test_what_goes_wrong_in_a_sink_is_no_fault_of_the_connection(driver, serve):
    server = serve(reply(b"abc"))
    with pytest.raises(OSError, match="No space left"):
        fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=FullDisk())


# Tokens


def test_a_token_is_got_once_for_all_who_wait(driver, serve):
    server = serve()
    begun: list[int] = []

    def log_in(connection: Any, asked: Any) -> bool:
        wait_until(lambda: len(begun) == 10)
        return reply({"token": "tok-one"})(connection, asked)

    server.routes |= {"/login": log_in, "/x": reply(b"")}
    api = make_api(server.url, **LOGIN)
    together(driver, api, [noted(begun, send(api, Request("GET", f"{server.url}/x"))) for _ in range(10)])
    asked = [request.target for request in server.asked]
    assert (asked.count("/login"), asked.count("/x")) == (1, 10)


def test_a_refused_token_is_renewed_once_for_all(driver, serve):
    server = serve()
    tokens = itertools.count(1)

    def log_in(connection: Any, asked: Any) -> bool:
        return reply({"token": f"tok-{next(tokens)}"})(connection, asked)

    def refuse_the_first(connection: Any, asked: Any) -> bool:
        return reply(b"", 401 if asked.headers["authorization"].endswith("-1") else 200)(connection, asked)

    server.routes |= {"/login": log_in, "/x": refuse_the_first}
    api = make_api(server.url, **LOGIN)
    answers = together(driver, api, [send(api, Request("GET", f"{server.url}/x")) for _ in range(10)])
    assert [answer.status for answer in answers] == [200] * 10
    assert next(tokens) == 3


def test_a_token_is_kept_until_it_is_due(driver, serve):
    server = serve()
    server.routes |= {"/login": reply({"token": "tok-one", "in": 100}), "/x": reply(b"")}
    clock = Clock()
    api = make_api(server.url, clock, **LOGIN, login_expiry="in")

    def thrice() -> Flow[None]:
        for pause in (80, 20, 1):
            yield from send(api, Request("GET", f"{server.url}/x"))
            yield Sleep(pause)

    run(driver, api, thrice())
    assert [asked.target for asked in server.asked] == ["/login", "/x", "/x", "/login", "/x"]


def test_a_login_that_fails_fails_in_the_flow_that_asked(driver, serve):
    server = serve(reply({"message": "no"}, 401), reply({"token": "tok-one"}))

    def flow() -> Flow[str]:
        try:
            yield GetToken()
        except AsyncApiError as error:
            kind = type(error).__name__
        yield Sleep(60)
        token = yield GetToken()
        return f"{kind}{token.value}"

    assert run(driver, make_api(server.url, **LOGIN), flow()).result == "AuthenticationErrortok-one"


def test_a_login_that_is_refused_is_refused_to_all_who_wait(driver, serve):
    server = serve()
    begun: list[int] = []

    def refuse(connection: Any, asked: Any) -> bool:
        wait_until(lambda: len(begun) == 10)
        return reply({"message": "wrong password"}, 401)(connection, asked)

    server.routes |= {"/login": refuse, "/x": reply(b"")}
    api = make_api(server.url, **LOGIN)
    answers = together(driver, api, [noted(begun, send(api, Request("GET", f"{server.url}/x"))) for _ in range(10)])
    assert {type(answer).__name__ for answer in answers} == {"AuthenticationError"}
    assert len({id(answer) for answer in answers}) == 10
    assert [asked.target for asked in server.asked] == ["/login"]


def test_a_flow_waits_for_the_login_of_another_only_as_long_as_it_has_time(driver, serve):
    server = serve()
    has_begun, is_over = threading.Event(), threading.Event()

    def log_in(connection: Any, asked: Any) -> Any:
        has_begun.set()
        is_over.wait(10)
        return reply({"token": "tok-one"})(connection, asked)

    server.routes["/login"] = log_in
    api = make_api(server.url, **LOGIN)

    def patient() -> Flow[str]:
        token: Token = yield GetToken()
        return token.value

    def late() -> Flow[str]:
        yield RunBlocking(has_begun.wait)
        try:
            yield GetToken(until=START)
        except TransportError as error:
            return f"{error}, sent: {error.sent}"
        finally:
            is_over.set()
        return "has waited"

    results: list[str] = []

    def both() -> Flow[None]:
        yield RunConcurrently([patient, late], 2, results.append)

    assert run(driver, api, both()).error is None
    assert results == ["tok-one", "the token request didn't end in time, sent: False"]


def test_a_pause_that_the_api_asks_for_blocks_all_requests_that_can_wait(driver, serve):
    server = serve(reply(b"", 429, retry_after="30"), reply(b"urgent"), reply(b"fine"))
    clock = Clock()
    request = Request("GET", f"{server.url}/x")

    def flow() -> Flow[list[Any]]:
        first = yield Send(request, can_wait=True)
        try:
            yield Send(request, can_wait=True)
        except ThrottledError as held:
            seconds = held.seconds
        urgent = yield Send(request)
        yield Sleep(30)
        return [first.status, seconds, urgent.body, (yield Send(request, can_wait=True)).body]

    assert run(driver, make_api(server.url, clock), flow()).result == [429, 30, b"urgent", b"fine"]


def test_a_pause_that_another_host_asks_for_blocks_no_request(driver, serve):
    server, other = serve(reply(b"")), serve(reply(b"", 503, retry_after="30"))
    flows = [sending(Request("GET", f"{url}/x"), can_wait=True) for url in (other.url, server.url)]
    assert [outcome.result.status for outcome in run_all(driver, make_api(server.url), flows)] == [503, 200]


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


# Pace


def test_requests_keep_the_pace(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=4)
    outcomes = run_all(driver, api, [sending(request) for _ in range(3)], steady=lambda: 7.0)
    # The clock stands still here, so each request waits for its own slot.
    assert [outcome.sleeps for outcome in outcomes] == [[], [0.25], [0.5]]


def test_a_slot_that_nobody_took_is_not_saved_up(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=1)
    now = iter([0.0, 100.0, 100.0])
    clock = Moment()

    def one() -> Flow[Response]:
        clock.now = next(now)
        response: Response = yield Send(request, Memory())
        return response

    outcomes = run_all(driver, api, [one() for _ in range(3)], steady=clock)
    assert [outcome.sleeps for outcome in outcomes] == [[], [], [1.0]]


def test_no_slot_is_waited_for_that_comes_too_late_and_none_is_lost(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=0.1)
    flows = [sending(request), sending(request, until=START + 9), sending(request, until=START + 11)]
    outcomes = run_all(driver, api, flows, steady=lambda: 7.0)
    assert [outcome.sleeps for outcome in outcomes] == [[], [], [10.0]]
    assert outcomes[1].error == (
        "TransportError", f"GET {server.url}/x: aborted: its response is no longer needed", False
    )  # fmt: skip


def test_nothing_is_sent_for_which_the_time_is_over_though_a_connection_is_open(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    outcomes = run_all(driver, make_api(server.url), [sending(request), sending(request, until=START - 5)])
    assert outcomes[1].error == (
        "TransportError", f"GET {server.url}/x: aborted: its response is no longer needed", False
    )  # fmt: skip
    assert len(server.asked) == 1


class Moment:
    """A clock that others set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_says_how_long_its_request_waited_for_its_slot(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=0.5)
    outcomes = run_all(driver, api, [sending(request) for _ in range(2)], steady=lambda: 7.0)
    assert [outcome.result.delay for outcome in outcomes] == [None, Delay(2.0, Reason.RATE)]


def test_an_answer_says_how_long_its_request_waited_for_a_connection(serve, monkeypatch, way):
    monkeypatch.setattr("airflow_provider_asyncapi.core.http.delays.ON_TIME", 1e-9)
    server = serve()
    server.routes["/x"] = reply(b"")
    api = make_api(server.url, connections_per_host=1)
    answers = together(way, api, [sending(Request("GET", f"{server.url}/x")) for _ in range(2)])
    first, second = (answer.delay for answer in answers)
    assert first is None
    assert second.reason is Reason.CONNECTIONS
    assert second.seconds > 0


@pytest.mark.parametrize("sleeps", ["the flow", "the driver", "a round"])
def test_an_answer_says_how_late_a_busy_event_loop_was(serve, sleeps, way):
    """The loop is held up for as long as the sleep, and then some."""
    server = serve()
    server.routes |= {"/x": reply(b"x"), "/jobs": jobs}
    api = make_api(server.url)
    request = Request("GET", f"{server.url}/x")
    told: list[Any] = []

    async def oversleep(seconds: float) -> None:
        later[0] += seconds + 2

    def flow() -> Flow[Any]:
        if sleeps == "a round":
            answers = yield PollBatch(make_batch(), 1, 1.0, lambda _: None)
            return answers.response_for(1).delay
        if sleeps == "the flow":
            yield Sleep(1.0)
            return (yield Send(request)).delay
        polled = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=1.0)
        left = [polled, None]
        return (yield PollUntilChanged(Send(request), lambda _: left.pop(0))).delay

    later = [0.0]

    async def main() -> Any:
        client = open_aiohttp_driver(way, api, sleep=oversleep)
        loop = asyncio.get_running_loop()
        client._loop = type("Late", (), {"time": lambda _: loop.time() + later[0]})()
        try:
            return await client.run(flow(), observe=told.append)
        finally:
            await client.close()

    delay = asyncio.run(main())
    assert delay.reason is Reason.EVENT_LOOP
    assert 1.9 < delay.seconds < 6


# Several at a time


def test_what_is_gathered_comes_in_order(driver, serve):
    server = serve()
    numbers = range(9)
    for number in numbers:
        server.routes[f"/{number}"] = reply({"n": number})
    api = make_api(server.url)

    taken: list[int] = []

    def gathering() -> Flow[None]:
        flows = (lambda n=n: send(api, Request("GET", f"{server.url}/{n}")) for n in numbers)
        yield RunConcurrently(flows, 3, lambda answer: taken.append(answer.json["n"]))

    assert run(driver, api, gathering()).error is None
    assert taken == list(numbers)


def test_who_is_slow_holds_up_those_behind(driver, serve):
    server = serve()
    begun: list[int] = []
    taken: list[int] = []
    held = threading.Event()

    def slow(connection: Any, asked: Any) -> bool:
        held.wait(10)
        return reply(b"")(connection, asked)

    server.routes |= {"/0": slow} | {f"/{number}": reply(b"") for number in range(1, 20)}
    api = make_api(server.url)

    def one(number: int) -> Flow[int]:
        begun.append(number)
        if number == 3:
            held.set()
        yield from send(api, Request("GET", f"{server.url}/{number}"))
        return number

    def gathering() -> Flow[None]:
        yield RunConcurrently((partial(one, number) for number in range(20)), 2, take)

    def take(number: int) -> None:
        if number == 0:
            assert max(begun) == 3
        taken.append(number)

    assert run(driver, api, gathering()).error is None
    assert taken == list(range(20))


def test_no_more_run_at_a_time_than_asked_for(driver, serve):
    server = serve()
    running, most, lock = 0, 0, threading.Lock()
    all_here = threading.Barrier(3)

    def count(connection: Any, asked: Any) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_here.wait(10)
        with lock:
            running -= 1
        return reply(b"")(connection, asked)

    server.routes["/x"] = count
    api = make_api(server.url)

    taken: list[Response] = []

    def gathering() -> Flow[None]:
        yield RunConcurrently([lambda: send(api, Request("GET", f"{server.url}/x"))] * 9, 3, taken.append)

    run(driver, api, gathering())
    assert len(taken) == 9
    assert most == 3


def test_one_that_fails_ends_those_that_have_not_begun(driver, serve):
    server = serve(reset)
    begun = []
    api = make_api(server.url)

    def one(number: int) -> Flow[None]:
        begun.append(number)
        yield from send(api, Request("GET", f"{server.url}/x"))

    def gathering() -> Flow[str]:
        try:
            yield RunConcurrently((partial(one, number) for number in range(50)), 1, log_only)
        except TransportError as error:
            return f"caught in the flow: {error}"
        return ""

    assert run(driver, api, gathering()).result.startswith("caught in the flow: GET")
    assert len(begun) < 5


def sleep_long(how: str, has_begun: threading.Event, ended: list[str], request: Request) -> Flow[Any]:
    """Sleep for hours: in the flow itself, in one that it runs concurrently, or before a request that has to wait."""

    def sleep() -> Flow[None]:
        has_begun.set()
        try:
            yield Sleep(36_000)
        finally:
            ended.append("sleep")

    if how == "in the flow":
        yield from sleep()
    elif how == "in a nested flow":
        yield RunConcurrently([sleep], 1, log_only)
    else:
        has_begun.set()
        try:
            for _ in range(2):
                yield Send(request)
        finally:
            ended.append("sleep")


SLEEPS = ("in the flow", "in a nested flow", "before a request")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("how", SLEEPS)
def test_one_that_fails_wakes_those_that_sleep(driver, serve, how):
    server = serve(reply(b""))
    request, has_begun, ended = Request("GET", f"{server.url}/x"), threading.Event(), list[str]()

    def failing() -> Flow[None]:
        yield RunBlocking(has_begun.wait)
        raise ContentError("broken")

    def both() -> Flow[None]:
        yield RunConcurrently([lambda: sleep_long(how, has_begun, ended, request), failing], 2, log_only)

    (error,) = together(driver, make_api(server.url, requests_per_second=0.001), [both()])
    assert (type(error), str(error), ended) == (ContentError, "broken", ["sleep"])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("how", SLEEPS)
def test_a_worker_that_is_killed_waits_for_no_thread_that_sleeps(serve, how):
    server = serve(reply(b""))
    request, has_begun, ended = Request("GET", f"{server.url}/x"), threading.Event(), list[str]()

    class Killed(BaseException):
        """Raised by Airflow's handler of the signal, between any two steps."""

    def kill(_: object) -> None:
        raise Killed

    def quick() -> Flow[None]:
        yield RunBlocking(has_begun.wait)

    def both() -> Flow[None]:
        yield RunConcurrently([quick, lambda: sleep_long(how, has_begun, ended, request)], 2, kill)

    with pytest.raises(Killed):
        together("requests", make_api(server.url, requests_per_second=0.001), [both()])
    assert ended == ["sleep"]


@pytest.mark.timeout(30)
def test_a_worker_that_is_killed_does_not_wait_for_a_thread_that_hangs(serve, monkeypatch):
    monkeypatch.setattr(requests, "_KILL_TIMEOUT", 0.0)
    has_begun, is_over, ended = threading.Event(), threading.Event(), list[str]()

    class Killed(BaseException):
        """Raised by Airflow's handler of the signal, between any two steps."""

    def kill(_: object) -> None:
        raise Killed

    def quick() -> Flow[None]:
        yield RunBlocking(has_begun.wait)

    def hang() -> Flow[None]:
        has_begun.set()
        try:
            yield RunBlocking(partial(is_over.wait, 10))
        finally:
            ended.append("hang")

    def both() -> Flow[None]:
        yield RunConcurrently([quick, hang], 2, kill)

    with contextlib.closing(RequestsDriver(make_api(serve().url))) as driver:
        with pytest.raises(Killed):
            driver.run(both())
        assert ended == []
        is_over.set()
        wait_until(lambda: ended)


def test_a_worker_polls_a_job_alone_and_logs_for_its_observer(serve):
    server = serve(reply({"token": "a"}), reply(b"", 401), reply({"token": "b"}), jobs)
    api = make_api(server.url, **LOGIN)
    outcome = run("requests", api, asking(7))
    assert outcome.result == "state of 7"
    assert [event.message for event in outcome.events if isinstance(event, Log)] == [
        f"GET {server.url}/jobs?… answered 401: renewing the token"
    ]


def test_a_pause_that_the_api_asks_for_blocks_the_poll_of_a_job_on_a_worker(serve):
    server = serve(reply(b"", 429, retry_after="30"))

    def flow() -> Flow[bool]:
        yield Send(Request("GET", f"{server.url}/x"))
        try:
            yield PollBatch(make_batch(), 1, 1.0, lambda _: None)
        except ThrottledError:
            return True
        return False

    assert run("requests", make_api(server.url), flow()).result
    assert len(server.asked) == 1


# Again and again


def repeating(request: Request, skip_if_unchanged: Callable[[Response], Polled | None], **given: Any) -> Flow[Response]:
    response: Response = yield PollUntilChanged(Send(request, is_repeatable=True, **given), skip_if_unchanged)
    return response


def test_a_request_is_sent_again_until_its_answer_is_news(driver, serve):
    server = serve(reply(b"old"), reply(b"old"), reply(b"new"))
    polled = [Polled(JobHandle(1), number, 0, changed=False, at=0.0, pause=number) for number in (7, 8)]
    left = list(polled)

    def skip_if_unchanged(response: Response) -> Polled | None:
        return left.pop(0) if response.body == b"old" else None

    outcome = run(driver, make_api(server.url), repeating(Request("GET", f"{server.url}/x"), skip_if_unchanged))
    assert outcome.result.body == b"new"
    assert (outcome.events, outcome.sleeps) == (polled, [7, 8])
    assert {asked.connection for asked in server.asked} == {1}


def test_what_goes_wrong_on_the_way_is_told_to_the_flow(driver, serve):
    server = serve(reply(b"old"), reset)
    polled = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=1)
    outcome = run(driver, make_api(server.url), repeating(Request("GET", f"{server.url}/x"), lambda _: polled))
    assert outcome.failure[0] == "TransportError"
    assert outcome.events == [polled]


def test_a_hold_that_another_was_told_of_is_heeded_between_two_sends(serve, way):
    server = serve(reply(b"old"), reply(b"", 503, retry_after="30"))
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url)

    async def main() -> None:
        client = open_aiohttp_driver(way, api)
        polled, seen = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=0.05), asyncio.Event()

        def skip_if_unchanged(_: Response) -> Polled:
            seen.set()
            return polled

        try:
            waiting = asyncio.create_task(client.run(repeating(request, skip_if_unchanged, can_wait=True)))
            await seen.wait()
            await client.run(sending(request))
            with pytest.raises(ThrottledError):
                await waiting
        finally:
            await client.close()

    asyncio.run(main())
    assert len(server.asked) == 2


# In rounds

BATCH = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}


def make_batch(**given: Any) -> Batch:
    batch = Batch.parse({**BATCH, **given}, singly=True)
    assert batch is not None
    return batch


def asking(
    identifier: str | int,
    *,
    interval: float = 0.3,
    skip_if_unchanged: Callable[[BatchResponse], Polled | None] = lambda _: None,
    **given: Any,
) -> Flow[Any]:
    batch = make_batch(**given)
    answers = yield PollBatch(batch, identifier, interval, skip_if_unchanged)
    return answers.response_for(identifier).json["state"]


def jobs(connection: Any, asked: Any) -> bool:
    (identifiers,) = parse_qs(asked.target.partition("?")[2])["ids"]
    found = [{"id": each, "state": f"state of {each}"} for each in identifiers.split(",")]
    return reply({"jobs": found})(connection, asked)


def rounds(server: Any, flows: Callable[[AiohttpDriver], Any]) -> list[str]:
    """Run something with a driver; give which jobs were asked for, request by request."""
    api = make_api(server.url)

    async def main() -> None:
        client = open_aiohttp_driver("fast path", api)
        try:
            await flows(client)
        finally:
            await client.close()
        await asyncio.sleep(0)
        assert client._batch_poller.is_idle

    asyncio.run(main())
    return [unquote(asked.target.partition("ids=")[2]) for asked in server.asked]


@pytest.fixture
def many(serve):
    server = serve()
    server.routes["/jobs"] = jobs
    return server


def test_alone_a_job_is_asked_for_alike(driver, many):
    many.routes["/jobs?ids=7"] = jobs
    assert run(driver, make_api(many.url), asking(7, interval=0.01)).result == "state of 7"


def test_those_who_ask_alike_share_a_request_and_each_is_told_its_own(many):
    async def scenario(client: AiohttpDriver) -> None:
        told = await asyncio.gather(*[client.run(asking(number)) for number in (1, 2, 3, 2)])
        assert told == [f"state of {number}" for number in (1, 2, 3, 2)]

    assert rounds(many, scenario) == ["1,2,3"]


def test_no_request_asks_for_more_than_fit(many):
    async def scenario(client: AiohttpDriver) -> None:
        await asyncio.gather(*[client.run(asking(number, size=2)) for number in range(5)])

    assert sorted(rounds(many, scenario)) == ["0,1", "2,3", "4"]


def test_those_who_ask_otherwise_do_not_share(many):
    async def scenario(client: AiohttpDriver) -> None:
        others = [asking(2, interval=0.4), asking(3, size=9)]
        await asyncio.gather(*map(client.run, [asking(1), *others]))

    assert sorted(rounds(many, scenario)) == ["1", "2", "3"]


def test_a_job_that_joins_is_in_the_next_round_and_none_is_asked_for_twice_in_an_interval(many):
    moments = []

    async def waiting(client: AiohttpDriver, number: int, times: int) -> None:
        for _ in range(times):
            await client.run(asking(number))
            moments.append(time.monotonic())
            await asyncio.sleep(0.3)

    async def scenario(client: AiohttpDriver) -> None:
        first = asyncio.create_task(waiting(client, 1, 3))
        await asyncio.sleep(0.15)
        await asyncio.gather(first, waiting(client, 2, 2))

    assert [sorted(asked) for asked in rounds(many, scenario)] == [["1"], [",", "1", "2"], [",", "1", "2"]]
    assert moments[-1] - moments[0] >= 0.6


def test_a_job_that_nobody_waits_for_any_more_is_not_asked_for(many):
    async def scenario(client: AiohttpDriver) -> None:
        waits = [asyncio.create_task(client.run(asking(number))) for number in (1, 2)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await waits[1]

    assert rounds(many, scenario) == ["2"]


def test_what_goes_wrong_is_told_to_each(many):
    many.routes["/jobs"] = reset

    async def scenario(client: AiohttpDriver) -> None:
        told = await asyncio.gather(*[client.run(asking(number)) for number in (1, 2)], return_exceptions=True)
        assert [type(error).__name__ for error in told] == ["TransportError"] * 2
        assert told[0] is not told[1]

    assert rounds(many, scenario) == ["1,2"]


def test_who_is_not_to_be_woken_is_asked_for_again_and_its_observer_is_told(many):
    polled = [Polled(JobHandle(1), number, 0, changed=False, at=0.0) for number in (1, 2)]
    left = list(polled)
    told: list[Any] = []

    async def scenario(client: AiohttpDriver) -> None:
        asked = asking(1, interval=0.02, skip_if_unchanged=lambda _: left.pop(0) if left else None)
        waits = [client.run(asked, observe=told.append), client.run(asking(2, interval=0.02))]
        assert await asyncio.gather(*waits) == ["state of 1", "state of 2"]

    assert rounds(many, scenario) == ["1,2", "1", "1"]
    assert told == polled


def test_who_is_not_to_be_woken_and_goes_is_not_asked_for_again(many):
    async def scenario(client: AiohttpDriver) -> None:
        seen = asyncio.Event()

        def skip_if_unchanged(_: BatchResponse) -> Polled:
            seen.set()
            return Polled(JobHandle(1), 1, 0, changed=False, at=0.0)

        wait = asyncio.create_task(client.run(asking(1, interval=0.02, skip_if_unchanged=skip_if_unchanged)))
        await seen.wait()
        wait.cancel()
        await until(lambda: client._batch_poller.is_idle)

    assert rounds(many, scenario) == ["1"]


def test_an_answer_that_one_cannot_judge_holds_up_nobody(many):
    def skip_if_unchanged(_: BatchResponse) -> None:
        raise ContentError("no such item")

    async def scenario(client: AiohttpDriver) -> None:
        waits = [client.run(asking(1, skip_if_unchanged=skip_if_unchanged)), client.run(asking(2))]
        told = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 10)
        assert isinstance(told[0], ContentError)

    assert rounds(many, scenario) == ["1,2"]


# Telling


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


# Ending


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
