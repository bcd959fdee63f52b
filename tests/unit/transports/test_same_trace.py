"""All drivers hold the same conversations: what the server sees, what is logged and what comes of it are the same."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, RunConcurrently
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.cancel import cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.retries import send_with_retries
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.loopback import Behaviour, Server, chunked, hang_up, raw, reply, reset
from tests.unit.transports.driving import DRIVERS, START, Clock, make_api, run, trace

LOGIN = {
    "auth": "login",
    "login": "ann",
    "password": "planted-pw",
    "login_request": {"endpoint": "/login", "method": "POST"},
    "login_selector": "token",
}
RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})


def submitting(**given: Any) -> Callable[[Api], Flow[Any]]:
    plan = SubmitPlan.parse({"endpoint": "/jobs", "json": {"gstin": "ä€"}, "identifier": "id", **given})
    return lambda api: submit(api, plan, Submission("key-1"))


def waiting(deadline: float | None = None, **given: Any) -> Callable[[Api], Flow[Any]]:
    fields = {
        "endpoint": "/jobs/{identifier}",
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": "failed",
    }
    plan = WaitPlan.parse({**fields, "poke_interval": 10, "max_consecutive_errors": 3, **given})
    until = None if deadline is None else START + deadline
    return lambda api: wait(api, plan, WaitCheckpoint(JobHandle("7", submitted_at=START), START, until))


def asking(
    method: str = "GET", path: str = "/x", headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None
) -> Any:
    return lambda api: send(api, Request(method, api.settings.base_url + path, headers, body))


def persisting(method: str = "GET") -> Callable[[Api], Flow[Any]]:
    return lambda api: send_with_retries(
        api, Request(method, api.settings.base_url + "/x"), PollSchedule(interval=1, max_errors=3)
    )


def cancelling(**given: Any) -> Callable[[Api], Flow[Any]]:
    step = RequestStep.parse({"endpoint": "/jobs/{identifier}", **given}, "cancel", method="DELETE")
    return lambda api: cancel(api, step, JobHandle("7"), "why")


@dataclass(frozen=True)
class Talk:
    """One conversation: what is run, what the server does, and the connection."""

    flow: Callable[[Api], Flow[Any]]
    script: list[Behaviour]
    fields: dict[str, Any] = field(default_factory=dict)
    #: How the error's class is called, if it ends with one.
    error: str | None = None
    requests: int | None = None


def silent(connection: socket.socket, asked: Any) -> bool:
    """Send nothing for longer than the client waits."""
    connection.settimeout(5)
    connection.recv(1)
    return False


def silent_in_the_body(connection: socket.socket, asked: Any) -> bool:
    connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"status"')
    return silent(connection, asked)


QUICK = {"read_timeout": 0.2}
TRUNCATED = raw(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"status": "done"}')
HALF_CHUNKED = chunked(b'{"status": "done"}', end=False)
BOMB = reply(gzip.compress(b"0" * 50_000_000), content_encoding="gzip", close=True)
CUT_GZIP = reply(gzip.compress(b'{"status": "done"}')[:-9], content_encoding="gzip")


def with_a_user(api: Api) -> Flow[Any]:
    return send(api, Request("GET", api.settings.base_url.replace("://", "://u:planted@")))


def gathering(api: Api) -> Flow[Any]:
    request = Request("GET", f"{api.settings.base_url}/same")
    statuses: list[int] = []
    yield RunConcurrently([lambda: send(api, request)] * 6, 2, lambda response: statuses.append(response.status))
    return statuses


TALKS: dict[str, Talk] = {
    "submit": Talk(submitting(), [reply({"id": 7}, 201)]),
    "submit, every part of a request": Talk(
        submitting(
            query_params={"q": "a b&ü", "r": ["1", "2"]}, headers={"X-Key": "{idempotency_key}", "User-Agent": "own"}
        ),
        [reply({"id": "a/b"})],
        {"auth": "basic", "login": "ann", "password": "planted", "headers": {"X-Tenant": "t"}},
    ),
    "submit, a form": Talk(submitting(json=None, data={"a": "1 2", "b": "ü"}), [reply({"id": 7})]),
    "submit, a file": Talk(submitting(json=None, files={"f": "content"}), [reply({"id": 7})]),
    "submit, no body": Talk(submitting(json=None), [reply({"id": 7})]),
    "submit, an empty body": Talk(submitting(json=None, data=""), [reply({"id": 7})]),
    "submit, a Location": Talk(submitting(identifier="header:Location"), [reply(b"", 201, location="/jobs/ä")]),
    "submit, no identifier": Talk(submitting(), [reply({"token": "planted"})], error="MissingValueError"),
    "submit, refused": Talk(submitting(), [reply({"detail": "no"}, 400)], error="RequestRejectedError"),
    "submit, busy": Talk(submitting(), [reply(b"", 429, retry_after="4"), reply({"id": 7})]),
    "submit, reset": Talk(submitting(), [reset], error="AmbiguousSubmitError", requests=1),
    "submit, hung up": Talk(submitting(), [hang_up], error="AmbiguousSubmitError", requests=1),
    "submit, silence": Talk(submitting(), [silent], QUICK, error="AmbiguousSubmitError", requests=1),
    "submit, answer cut off": Talk(submitting(), [TRUNCATED], error="AmbiguousSubmitError", requests=1),
    "submit, no HTTP": Talk(
        submitting(), [raw(b"SSH-2.0-OpenSSH_9\r\n\r\n")], error="AmbiguousSubmitError", requests=1
    ),
    "submit, reset, with a key": Talk(
        submitting(headers={"K": "{idempotency_key}"}), [reset, hang_up, reply({"id": 7})]
    ),
    "submit and start": Talk(submitting(start={"endpoint": "/jobs/{identifier}/start"}), [reply({"id": 7}), reply({})]),
    "login and submit": Talk(submitting(), [reply({"token": "tok-one"}), reply({"id": 7})], LOGIN),
    "login, renewed": Talk(
        submitting(),
        [reply({"token": "tok-one"}), reply({}, 401), reply({"token": "tok-two"}), reply({"id": 7})],
        LOGIN,
    ),
    "login, refused": Talk(submitting(), [reply({"m": "planted-pw"}, 401)], LOGIN, error="AuthenticationError"),
    "login, lost": Talk(submitting(), [reset, reply({"token": "tok-one"}), reply({"id": 7})], LOGIN),
    "wait": Talk(waiting(), [RUNNING, RUNNING, DONE]),
    "wait, errors": Talk(waiting(), [reply(b"", 503), reset, RUNNING, hang_up, reply(b"<html>"), DONE]),
    "wait, too many errors": Talk(waiting(), [reset, hang_up, TRUNCATED], error="UnavailableError", requests=3),
    "wait, silence": Talk(waiting(), [silent, silent_in_the_body, DONE], QUICK),
    "wait, cut off": Talk(waiting(), [TRUNCATED, HALF_CHUNKED, DONE]),
    "wait, chunked": Talk(waiting(), [chunked(b'{"status":', b' "done"}')]),
    "wait, until the connection ends": Talk(waiting(), [raw(b'HTTP/1.0 200 OK\r\n\r\n{"status": "done"}')]),
    "wait, packed": Talk(
        waiting(),
        [
            reply(gzip.compress(b'{"status": "a"}'), content_encoding="gzip"),
            reply(zlib.compress(b'{"status": "b"}'), content_encoding="deflate"),
            reply(zlib.compress(b'{"status": "c"}')[2:-4], content_encoding="deflate"),
            reply(gzip.compress(b'{"status": ') + gzip.compress(b'"d"}') + bytes(9), content_encoding="x-gzip"),
            reply(b'{"status": "e"}', content_encoding="identity"),
            chunked(
                gzip.compress(b'{"status": "done"}')[:9],
                gzip.compress(b'{"status": "done"}')[9:],
                content_encoding="GZIP",
            ),
        ],
    ),
    "wait, badly packed": Talk(waiting(), [reply(b"nonsense", content_encoding="gzip"), CUT_GZIP, DONE]),
    "wait, packed as nobody asked": Talk(
        waiting(), [reply(b"x", content_encoding="br", close=True)], error="UnavailableError"
    ),
    "wait, an error packed as nobody asked": Talk(waiting(), [reply(b"x", 503, content_encoding="br"), DONE]),
    "wait, not packed although it says so": Talk(
        waiting(),
        [reply({"status": "a"}, content_encoding="UTF-8"), reply({"status": "done"}, content_encoding="none")],
    ),
    "wait, packed and empty": Talk(waiting(), [reply(b"", content_encoding="gzip"), DONE]),
    "wait, a bomb": Talk(waiting(), [BOMB], error="UnavailableError"),
    "wait, too large": Talk(waiting(), [reply(b" " * (1024 * 1024 + 1))] * 9, error="BodyTooLargeError"),
    "wait, redirected": Talk(waiting(), [reply(b"", 302, location="/else?a=%2f%7e b"), DONE]),
    "submit, answered early": Talk(
        submitting(),
        [
            raw(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Wait: 5\r\n\r\n"
                b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n"
                b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"id": 7}',
                then_close=False,
            ),
        ],
    ),
    "submit, switching protocols unasked": Talk(
        submitting(), [raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")], error="RequestRejectedError"
    ),
    "wait, redirected in a circle": Talk(waiting(), [reply(b"", 302, location="/jobs/7")], error="RedirectError"),
    "wait, deadline": Talk(
        waiting(25, cancel={"endpoint": "/jobs/7", "method": "DELETE"}),
        [RUNNING] * 4 + [reset] * 3,
        error="DeadlineExceededError",
    ),
    "wait, failed": Talk(waiting(), [reply({"status": "failed", "message": "no"})], error="JobFailedError"),
    "wait, a long head": Talk(waiting(), [reply({"status": "done"}, x_long="y" * 30_000)]),
    "wait, odd letters in the head": Talk(
        waiting(capture={"a": "header:X-A", "b": "header:X-B"}),
        [
            raw(
                b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa4\r\nX-B: \xe4\r\nX-A: 2\r\n"
                b'content-length: 18\r\n\r\n{"status": "done"}',
                then_close=False,
            )
        ],
    ),
    "wait, no content": Talk(waiting(), [raw(b"HTTP/1.1 204 No Content\r\n\r\n", then_close=False), DONE]),
    "cancel": Talk(cancelling(), [reply(b"", 204)]),
    "cancel, refused": Talk(cancelling(method="POST"), [reply({"detail": "too late"}, 409)]),
    "cancel, lost": Talk(cancelling(method="POST"), [reset, hang_up, reset]),
    "HEAD": Talk(asking("HEAD"), [reply(b"123")]),
    "OPTIONS": Talk(asking("OPTIONS"), [reply(b"")]),
    "PUT": Talk(asking("PUT", body=b"\x00\xff"), [reply(b"")]),
    "PATCH": Talk(asking("PATCH", body=b"{}"), [reply(b"")]),
    "DELETE": Talk(asking("DELETE"), [reply(b"")]),
    "one header twice": Talk(asking(headers=(("Accept", "a"), ("accept", "b"))), [reply(b"")]),
    "a user in the URL": Talk(with_a_user, [], error="UnsafeValueError"),
    "no host": Talk(lambda api: send(api, Request("GET", "http://a b/")), [], error="UnsafeValueError"),
    "not HTTP at all": Talk(
        persisting(), [raw(b"\x00\x01\x02"), raw(b"HTTP/1.1 twohundred OK\r\n\r\n"), hang_up], error="UnavailableError"
    ),
    "several at a time": Talk(gathering, [reply(b"", close=True)] * 6),
}


def held(server: Server, talk: Talk, driver: str) -> Any:
    server.respond_with(*talk.script)
    api = make_api(server.url, Clock(), **talk.fields)
    outcome = run(driver, api, talk.flow(api))
    return {"asked": server.asked, **trace(outcome)}


@pytest.mark.parametrize("name", TALKS)
def test_all_drivers_hold_the_same_conversation(name, serve):
    talk = TALKS[name]
    server = serve()
    first, *others = (held(server, talk, driver) for driver in DRIVERS)
    assert others == [first] * 2
    assert (first["error"] or [None])[0] == talk.error
    if talk.error is None:
        assert not server.script, "the conversation was longer than that"
    if talk.requests is not None:
        assert len(first["asked"]) == talk.requests
    assert "planted" not in f"{first['error']} {first['logs']}"
    assert not any("cookie" in asked.headers for asked in first["asked"])


@pytest.mark.parametrize(
    "location", ["http://[::1]x/", "http://[x]/", "http://[:::]/", "http://%41/x", "http://a%2fb/x", "http://h:x/"]
)
def test_a_redirect_to_what_is_no_host_is_the_same_error_with_all_drivers(location, serve):
    server = serve()
    server.routes["/x"] = reply(b"", 302, location=location)
    outcomes = []
    for driver in DRIVERS:
        api = make_api(server.url)
        outcomes.append(run(driver, api, send(api, Request("GET", f"{server.url}/x"))))
    first, *others = outcomes
    assert [other.error for other in others] == [first.error] * 2
    assert first.failure[0] in ("RedirectError", "UnsafeValueError")


PATHS = [
    "", "/", "/a%2fb", "/a%2Fb", "/%7e", "/~", "/a b", "/a+b", "/100%", "/%zz", "/ä", "/a;b=c,d", "/a:b@c", "/a/../b",
    "/./a", "/a//b", "/[x]", "/{x}", "/a|b", "/a\\b", '/"', "/<>", "/^`", "/a?", "/a?b=c&d", "/a?b=[1]&c={}",
    "/a?b=c?d/e", "/a?b=%20+%2B", "/a?u=http://h/%3Fx", "/a?b=ü", "/a?sig=ab%2Bc%3D%3d", "/a?b='c'\"d\"",
    "/(a)*!$&'", "/a#frag", "/%41%2e%2E",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_all_drivers_ask_for_the_same_address(path, serve):
    server = serve()
    talk = Talk(asking(path=path), [reply(b"")])
    first, *others = (held(server, talk, driver) for driver in DRIVERS)
    assert others == [first] * 2
    assert len(first["asked"]) == 1


def test_a_url_is_sent_byte_for_byte_save_what_can_not_be_sent(driver, serve):
    server = serve(reply(b""))
    api = make_api(server.url)
    run(driver, api, send(api, Request("GET", f"{server.url}/a%2fb c%?sig=x%2B%3d+[1]&t=~")))
    assert server.asked[0].target == "/a%2fb%20c%?sig=x%2B%3d+[1]&t=~"


# Where no connection comes about


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("http://127.0.0.1:{port}", "couldn't connect: Connection refused"),
        ("http://nowhere.invalid", "couldn't connect: the host's name can't be resolved"),
    ],
)
def test_what_could_not_be_sent_is_known_not_to_be_sent(host, said):
    url = host.format(port=free_port())
    api = make_api(url)
    outcomes = [trace(run(driver, api, asking("POST")(api))) for driver in DRIVERS]
    assert outcomes == [outcomes[0]] * 3
    assert outcomes[0]["error"] == ("TransportError", f"POST {url}/x: {said}", False)


def never(_listener: socket.socket) -> None:
    """Let the kernel take the connection, and say nothing."""


def hung_up(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.close()


def was_reset(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(65536)
    reset(connection)
    connection.close()


def no_tls(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.close()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (never, "not possible within 0.2 s"),
        (hung_up, "the TLS handshake failed (does the server speak TLS? the address says https)"),
        (was_reset, "Connection reset by peer"),
        (no_tls, "the TLS handshake failed (does the server speak TLS? the address says https)"),
    ],
)
def test_what_goes_wrong_in_the_handshake_was_not_sent(server, said):
    def attempt(driver: str) -> Any:
        thread = threading.Thread(target=server, args=(listener,))
        thread.start()
        try:
            return trace(run(driver, api, asking("POST")(api)))
        finally:
            thread.join(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        api = make_api(url, connect_timeout=0.2)
        first, *others = map(attempt, DRIVERS)
    assert others == [first] * 2
    assert first["error"] == ("TransportError", f"POST {url}/x: couldn't connect: {said}", False)
