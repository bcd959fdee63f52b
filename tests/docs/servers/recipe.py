"""
What the servers of the recipes share: requests and responses, and their registration.

A server answers what its recipe describes, refuses all else, and remembers what it refused: a test fails on either.
A new one is a function decorated with its name, its first argument the state of the server, its second the request.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from lxml import etree

from tests.loopback import Asked, Behaviour, Server, encode

TOKEN = "the-token"


@dataclass
class Call:
    """A request as it came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def params(self) -> dict[str, str]:
        return dict(self.query)

    @property
    def json(self) -> Any:
        need(self.headers.get("content-type", "").startswith("application/json"), "the body has to be JSON")
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        need(self.headers.get("content-type") == "application/x-www-form-urlencoded", "the body has to be a form")
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def xml(self) -> etree._Element:
        need("xml" in self.headers.get("content-type", ""), "the body has to be XML")
        return etree.fromstring(self.body)

    @property
    def parts(self) -> dict[str, tuple[str | None, str, bytes]]:
        """The parts of a multipart form: name to file name, content type and content."""
        kind = self.headers.get("content-type", "")
        need(kind.startswith("multipart/form-data"), "the body has to be multipart/form-data")
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        return {
            str(part.get_param("name", header="content-disposition")): (
                part.get_filename(),
                part.get_content_type(),
                bytes(part.get_payload(decode=True) or b""),
            )
            for part in message.walk()
            if not part.is_multipart()
        }


@dataclass
class Reply:
    """An answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


class RefusedError(Exception):
    """The request isn't what the vendor would take."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def need(holds: object, message: str, status: int = 400) -> None:
    """Refuse the request where something doesn't hold."""
    if not holds:
        raise RefusedError(message, status)


def xml(text: str, status: int = 200) -> Reply:
    """Answer with XML."""
    return Reply(status, text, content_type="text/xml; charset=utf-8")


@dataclass
class State:
    """What a server remembers: anything it likes, and how often each thing was asked for."""

    url: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def nth(self, what: str) -> int:
        """Count, from 1."""
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what]


Handler = Callable[[State, Call], Reply]


@dataclass(frozen=True)
class Spec:
    """
    A server, and what its recipe has to come to.

    :param handler: answers requests.
    :param expected: what the DAG's last task returns; a manifest is compared by the content of its files.
    :param connection: what the connection has where the recipe shows none.
    :param counted: how often things have to have happened.
    :param states: of tasks that don't end as a success.
    :param calls_back: whether it calls back, so that Airflow's side of that is needed.
    :param files: the files that are in the bucket before, by their names.
    """

    handler: Handler
    expected: Any
    connection: Mapping[str, Any]
    counted: Mapping[str, int]
    states: Mapping[str, str]
    calls_back: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)


SERVERS: dict[str, Spec] = {}
BEARER = {"password": TOKEN, "extra": {"auth": "bearer"}}


def server(
    name: str,
    expected: Any,
    *,
    connection: Mapping[str, Any] = BEARER,
    counted: Mapping[str, int] | None = None,
    states: Mapping[str, str] | None = None,
    calls_back: bool = False,
    files: Mapping[str, bytes] | None = None,
) -> Callable[[Handler], Handler]:
    """Register a server; with the usual connection it wants its bearer token in each request."""

    def register(handler: Handler) -> Handler:
        def checked(state: State, call: Call) -> Reply:
            # What lies outside of the API, such as a signed link, wants no credentials, and gets none.
            if connection is BEARER and not call.path.startswith("/storage/"):
                need(call.headers.get("authorization") == f"Bearer {TOKEN}", "no valid token", 401)
            return handler(state, call)

        SERVERS[name] = Spec(checked, expected, connection, counted or {}, states or {}, calls_back, files or {})
        return handler

    return register


class RunningServer:
    """A server while a recipe is run against it."""

    def __init__(self, spec: Spec) -> None:
        self.refused: list[str] = []
        self.state = State()
        self._spec = spec
        self._lock = threading.Lock()
        self._server = Server(self._serve)
        self.state.url = self._server.url
        # Another name, and so another host to the client: links may lead there.
        self.state.seen["storage"] = f"http://localhost:{self._server.port}/storage"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self, asked: Asked) -> Behaviour:
        parts = urlsplit(asked.target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        call = Call(asked.method, unquote(parts.path), query, dict(asked.headers), asked.body)
        with self._lock:
            try:
                reply = self._spec.handler(self.state, call)
            except Exception as error:  # noqa: BLE001 - a bug of a server fails its test, too
                self.refused.append(f"{call}: {error!r}; body {call.body[:300]!r}, query {call.query}")
                reply = Reply(getattr(error, "status", 400), {"error": str(error)})
        body = reply.encoded()
        kind = {"Content-Type": reply.content_type} if body else {}
        return encode(reply.status, {**reply.headers, **kind}, body)


def progress(state: State, states: Iterable[Any], key: str = "poll") -> Any:
    """Return the state of a job that advances with each poll."""
    ordered = list(states)
    return ordered[min(state.nth(key), len(ordered)) - 1]


def zipped(members: Mapping[str, str]) -> bytes:
    """Make a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: Mapping[str, str]) -> bytes:
    """Make a tar archive, packed by gzip."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()


def basic(call: Call) -> str:
    """Return ``user:password`` of the request."""
    scheme, _, text = call.headers.get("authorization", "").partition(" ")
    return base64.b64decode(text).decode() if scheme == "Basic" else ""


def unknown(call: Call) -> RefusedError:
    """Refuse a path that there isn't."""
    return RefusedError(f"there is no {call}", 404)


def serve_plain_job(state: State, call: Call, **more: Any) -> Reply:
    """Be the job of all recipes that are about its result."""
    match str(call):
        case "POST /jobs":
            return Reply(201, {"id": 5})
        case "GET /jobs/5":
            return Reply(200, {"status": progress(state, ("working", "done")), **more})
    raise unknown(call)
