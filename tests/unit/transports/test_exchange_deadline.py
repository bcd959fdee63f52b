"""No exchange lasts longer than it may, whatever goes on arriving."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, PollBatch, RunConcurrently
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait import poll_times
from airflow_provider_asyncapi.core.wait.batch_plan import Batch
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.transports import exchange_deadline
from tests.loopback import Server, reply
from tests.unit.eventually import wait_until
from tests.unit.transports.driving import Outcome, make_api, run, sending

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
#: What comes first, and what then comes again and again.
TRICKLES = {
    "head": (b"HTTP/1.1 200 OK\r\nx-pad: ", b"x"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
    "body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "chunk extension": (CHUNKED + b"1\r\nx\r\n1;", b"x"),
    "zeros before a chunk size": (CHUNKED + b"1\r\nx\r\n", b"0"),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"x: y\r\n"),
}
NO_DATA = ("chunk extension", "zeros before a chunk size", "trailers")


class Trickle:
    """Sends a beginning, and then something small again and again, for half a minute if nobody hangs up."""

    def __init__(self, beginning: bytes, more: bytes) -> None:
        self._beginning, self._more = beginning, more
        self.sent = 0

    def __call__(self, connection: Any, _asked: Any) -> bool:
        connection.sendall(self._beginning)
        with contextlib.suppress(OSError):
            while self.sent < 3000:
                connection.sendall(self._more)
                self.sent += 1
                time.sleep(0.01)
        return False


class Sink:
    def __init__(self) -> None:
        self.content = b""

    def begin(self, head: Response) -> None:
        pass

    def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> None:
        pass


def timed(driver: str, server: Server, flow: Flow[Any], **fields: Any) -> Outcome:
    """Run a flow by the real clock."""
    return run(driver, make_api(server.url, time.time, **fields), flow, steady=time.monotonic)


def run_trickles(
    driver: str, server: Server, trickles: dict[str, Trickle], send: Callable[[Request], Flow[Any]], **fields: Any
) -> dict[str, tuple[str, bool]]:
    """Request all trickles at the same time, since each takes its time; return the errors."""
    errors: dict[str, tuple[str, bool]] = {}

    def request(path: str) -> Flow[None]:
        try:
            yield from send(Request("GET", f"{server.url}/{path}"))
        except TransportError as error:
            errors[path] = str(error), error.sent

    def flow() -> Flow[None]:
        yield RunConcurrently([partial(request, path) for path in trickles], len(trickles), print)

    server.routes = {f"/{path}": trickle for path, trickle in trickles.items()}
    assert timed(driver, server, flow(), **fields).error is None
    assert all(trickle.sent < 2500 for trickle in trickles.values())
    return errors


def make_trickles(*names: str) -> dict[str, Trickle]:
    return {name.replace(" ", "-"): Trickle(*TRICKLES[name]) for name in names}


def test_an_answer_that_trickles_in_is_given_up(driver, serve, monkeypatch):
    # So that a busy machine that sends nothing for a while isn't taken for a server that is silent.
    monkeypatch.setattr(exchange_deadline, "MAX_READ_TIMEOUTS", 0.1)
    server, trickles = serve(), make_trickles(*TRICKLES)
    why = "aborted: the response wasn't complete within 0.5 s"
    assert run_trickles(driver, server, trickles, sending, read_timeout=5) == {
        path: (f"GET {server.url}/{path}: {why}", True) for path in trickles
    }


def test_an_answer_is_given_up_when_nobody_needs_it_any_more(driver, serve):
    server, trickles = serve(), make_trickles(*TRICKLES)
    errors = run_trickles(driver, server, trickles, partial(sending, until=time.time() + 0.3))
    why = "aborted: its response is no longer needed"
    assert errors == {path: (f"GET {server.url}/{path}: {why}", True) for path in trickles}


def test_nobody_waits_longer_for_a_connection_than_its_answer_is_needed(driver, serve):
    server = serve()
    server.routes["/x"] = server.hold
    request = Request("GET", f"{server.url}/x")
    errors: list[str] = []

    def one(seconds: float) -> Flow[None]:
        try:
            yield from sending(request, until=time.time() + seconds)
        except TransportError as error:
            errors.append(str(error))

    def flow() -> Flow[None]:
        yield RunConcurrently([lambda: one(0.5), lambda: one(0.2)], 2, print)

    timed(driver, server, flow(), connections_per_host=1)
    full = "couldn't connect: none of the connections became free in time; connections_per_host limits their number"
    over = "aborted: its response is no longer needed"
    assert errors == [f"GET {server.url}/x: {full}", f"GET {server.url}/x: {over}"]


def test_a_download_without_data_is_given_up(driver, serve):
    server, trickles = serve(), make_trickles(*NO_DATA)
    sinks: list[Sink] = []

    def download(request: Request) -> Flow[Response]:
        sinks.append(Sink())
        return sending(request, sink=sinks[-1])

    errors = run_trickles(driver, server, trickles, download, read_timeout=1)
    why = "aborted: no data of the body arrived for 1 s"
    assert errors == {path: (f"GET {server.url}/{path}: {why}", True) for path in trickles}
    assert [sink.content for sink in sinks] == [b"x"] * 3


def test_a_download_may_take_its_time(driver, serve, monkeypatch):
    monkeypatch.setattr(exchange_deadline, "MAX_READ_TIMEOUTS", 1)

    def slowly(connection: Any, asked: Any) -> bool:
        connection.sendall(CHUNKED)
        for _ in range(60):
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(0.02)
        connection.sendall(b"0\r\n\r\n")
        return True

    server = serve(slowly)
    sink = Sink()
    # It takes longer than an answer that is read into memory may.
    flow = sending(Request("GET", f"{server.url}/x"), sink=sink)
    assert timed(driver, server, flow, read_timeout=1).error is None
    assert sink.content == b"x" * 60


def test_the_time_that_a_sink_takes_is_not_the_servers(driver, serve):
    clock = [0.0]

    class Slow(Sink):
        def write(self, chunk: bytes) -> None:
            clock[0] += 1000
            super().write(chunk)

    server = serve(reply(b"x" * 600_000))
    sink = Slow()
    flow = sending(Request("GET", f"{server.url}/x"), sink=sink)
    assert run(driver, make_api(server.url), flow, steady=lambda: clock[0]).error is None
    assert len(sink.content) == 600_000


def test_what_nobody_wants_any_more_is_given_up_whatever_arrives(serve):
    """A thread can't be ended from outside: without this the worker's process would wait for it."""
    trickle = Trickle(*TRICKLES["chunk extension"])
    server = serve()
    server.routes |= {"/slow": trickle, "/broken": reply(b"", close=True)}
    begun = threading.Event()

    def slow() -> Flow[Any]:
        return sending(Request("GET", f"{server.url}/slow"))

    def broken() -> Flow[Any]:
        yield from sending(Request("GET", f"{server.url}/broken"))
        wait_until(lambda: trickle.sent)
        begun.set()
        raise RuntimeError

    def flow() -> Flow[None]:
        yield RunConcurrently([broken, slow], 2, print)

    with pytest.raises(RuntimeError):
        run("requests", make_api(server.url, time.time), flow())
    server.close()
    assert trickle.sent < 2500


def test_a_wait_ends_at_its_deadline_whatever_the_wire_does(driver, serve, monkeypatch):
    monkeypatch.setattr(poll_times, "LAST_POLL_SECONDS", 0.2)
    server = serve(Trickle(*TRICKLES["trailers"]))
    plan = WaitPlan.parse({"endpoint": "/s", "completion_key": "state", "completion_value": "done"})
    now = time.time()
    api = make_api(server.url, time.time)
    outcome = run(driver, api, wait(api, plan, WaitCheckpoint(JobHandle("7"), now, now + 0.3)), steady=time.monotonic)
    assert outcome.failure[0] == "DeadlineExceededError"
    assert "the last poll failed" in outcome.failure[1]


def test_a_login_is_given_up_when_nobody_needs_it_any_more(driver, serve):
    trickle = Trickle(*TRICKLES["body"])
    server = serve()
    server.routes |= {"/login": trickle, "/x": reply(b"")}
    login = {"auth": "login", "login_request": {"endpoint": "/login", "method": "POST"}, "login_selector": "token"}
    api = make_api(server.url, time.time, **login)
    flow = limit_time(send(api, Request("GET", f"{server.url}/x")), time.time() + 0.3)
    outcome = run(driver, api, flow, steady=time.monotonic)
    assert outcome.failure[0] == "TransportError"
    assert trickle.sent < 2500


def test_jobs_that_are_asked_for_together_hold_nobody_past_its_time(driver, serve):
    trickle = Trickle(*TRICKLES["body"])
    server = serve(trickle)
    batch = Batch.parse(
        {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}, singly=True
    )
    assert batch is not None

    def asking() -> Flow[Any]:
        return (yield PollBatch(batch, 7, 0.01, lambda _: None, until=time.time() + 0.3))

    outcome = timed(driver, server, asking())
    assert outcome.failure[0] == "TransportError"
    assert trickle.sent < 2500


def test_a_proxy_that_trickles_is_given_up_as_a_connection_is(driver, serve):
    trickle = Trickle(b"HTTP/1.1 200 OK\r\nx-pad: ", b"x")
    proxy = serve(trickle)
    api = make_api("https://api.example.com", time.time, proxy=proxy.url, connect_timeout=0.3)
    outcome = run(driver, api, sending(Request("GET", "https://api.example.com/x")), steady=time.monotonic)
    assert outcome.error == (
        "TransportError",
        "GET https://api.example.com/x: couldn't connect through the proxy: not possible within 0.3 s",
        False,
    )
    assert trickle.sent < 2500
