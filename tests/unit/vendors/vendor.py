"""
Pretended vendors: what an API takes, refuses and returns, as a table, served on loopback.

A vendor is a :class:`Vendor` in a file of its own: its routes with the fields and headers that they take, the states
that a job goes through in each scenario, and what a profile makes of them. Anything that isn't in the table is refused
as the vendor refuses it, and recorded.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.loopback import Asked, Behaviour, Server, encode

#: The scenario in which a job succeeds.
SUCCESS = "success"


class RefusedError(Exception):
    """A request that the vendor refuses."""

    def __init__(self, status: int, message: str, body: Any = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.body = status, message, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class Call:
    """A request, and the parts of its path that the route names."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        # Some vendors have JSON types of their own, which they check.
        if not re.match(r"application/(\S+\+)?json\b", self.headers.get("content-type", "")):
            raise RefusedError(415, "Content-Type has to be application/json")
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        if self.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise RefusedError(415, "Content-Type has to be application/x-www-form-urlencoded")
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def parts(self) -> dict[str, bytes]:
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            raise RefusedError(415, "Content-Type has to be multipart/form-data")
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        parts = [part for part in message.walk() if not part.is_multipart()]
        return {
            str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True) or b"")
            for part in parts
        }

    def fields(self, kind: str) -> Mapping[str, Any]:
        """Return the fields of a body of a kind: ``json``, ``form`` or ``parts``."""
        found: Any = getattr(self, kind)
        if not isinstance(found, Mapping):
            raise RefusedError(400, "the body has to be an object")
        return found


@dataclass(frozen=True)
class Answer:
    """A response other than 200 with JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> Behaviour:
        content, kind = b"", {}
        if isinstance(self.body, bytes):
            content, kind = self.body, {"content-type": "application/octet-stream"}
        elif isinstance(self.body, str):
            content, kind = self.body.encode(), {"content-type": "text/plain"}
        elif self.body is not None:
            content, kind = json.dumps(self.body).encode(), {"content-type": "application/json"}
        return encode(self.status, {**kind, **self.headers}, content)


@dataclass
class Job:
    """
    A job at the vendor.

    :param states: the states that the polls see, one after the other; the last one stays.
    :param facts: what the vendor remembers of its request.
    """

    id: str
    states: Sequence[str]
    facts: Mapping[str, Any]
    polls: int = 0

    @property
    def state(self) -> str:
        return self.states[min(self.polls, len(self.states) - 1)]

    @property
    def is_over(self) -> bool:
        return self.polls >= len(self.states) - 1

    def poll(self) -> str:
        """Return the state for a poll; the next poll sees the next one."""
        state = self.state
        self.polls += 1
        return state


Handler = Callable[["VendorServer", Call], Any]


@dataclass(frozen=True)
class Route:
    """
    A request that the vendor takes.

    :param request: the method and the path, whose parts may be names: ``GET /v1/jobs/{id}``.
    :param answer: returns the body of a 200, or an :class:`Answer`.
    :param required: the fields that the body has to have.
    :param optional: further fields that it may have; a body with another field is refused. None allows any.
    :param body: the kind of the body, if there is one: ``json``, ``form``, ``parts``, or ``bytes`` that have no fields.
    :param query: the query parameters that are known; others are refused.
    :param is_public: whether the request needs no credentials, and is refused with them, as at a signed URL.
    :param has_own_auth: whether the request has other credentials, which the handler checks, as one for a token.
    """

    request: str
    answer: Handler
    required: Collection[str] = ()
    optional: Collection[str] | None = ()
    body: str = "json"
    query: Collection[str] = ()
    is_public: bool = False
    has_own_auth: bool = False

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        """Return the parts of a path that the route names; None if the request is another one."""
        expected, template = self.request.split(" ", 1)
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
        found = re.fullmatch(pattern, path) if method == expected else None
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


@dataclass(frozen=True)
class Vendor:
    """
    A vendor, and what the profile of its API makes of it.

    :param profile: the name of the profile.
    :param page: the page in ``docs/profiles`` with the connection and the DAG.
    :param routes: the requests that it takes.
    :param check_auth: raises :class:`RefusedError` if a request has no valid credentials.
    :param error: makes the body of an error of a status code and a message.
    :param states: the states of a job by scenario; :data:`SUCCESS` is one.
    :param submit: the arguments that a DAG has to set for the submit.
    :param files: files in the bucket of the page that the submit sends: their names and contents.
    :param expected: the result of the fetch.
    :param status: the arguments that a DAG has to set for the wait.
    :param fetch: the arguments that a DAG has to set for the fetch; None if there is nothing to fetch.
    :param scenario: the scenario in which there is the result.
    :param results: further scenarios that have a result, and the result.
    :param failures: scenarios in which the job fails, and what the error says.
    :param partial: scenarios in which some of the job's records have failed.
    :param no_data: scenarios in which the job has no data.
    :param skipped: scenarios in which the job succeeds, and the fetch is skipped, since there is nothing to fetch.
    :param rejected: a change of ``submit`` that the vendor refuses, and what the error says.
    :param cancelled: the states after a cancel; empty if the API has no cancel.
    :param headers: the headers that each request has to have.
    :param connection: makes the connection, if the one on the page lacks a key that has to be valid.
    :param hosts: the addresses in the connection that the server stands for, beside that of ``host``.
    :param variables: the variables of the connection whose addresses the server stands for, and their paths there.
    :param rate_limit: the headers of a 429, and the seconds after which the request has to be repeated.
    :param logs_in: whether the connection gets a token, and gets another one after it has expired.
    :param has_base_path: whether the routes contain the path of the connection's address.
    :param busy: the number of submits that are refused since the vendor is busy, before one is taken.
    :param is_written: whether the result is files in a folder; ``expected`` is then their content by name.
    :param progress: a progress that a poll shows.
    :param repair: the request that resumes a job of "failed", with its query if its path has others; empty if none.
    """

    profile: str
    page: str
    routes: Sequence[Route]
    check_auth: Callable[[VendorServer, Call], None]
    error: Callable[[int, str], Any]
    states: Mapping[str, Sequence[str]]
    submit: Mapping[str, Any]
    expected: Any
    files: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    fetch: Mapping[str, Any] | None = field(default_factory=dict)
    scenario: str = SUCCESS
    results: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    partial: Collection[str] = ()
    no_data: Collection[str] = ()
    skipped: Collection[str] = ()
    rejected: tuple[Mapping[str, Any], str] | None = None
    cancelled: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    connection: Callable[[VendorServer], dict[str, Any]] | None = None
    hosts: Collection[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    rate_limit: tuple[Mapping[str, str], float] | None = None
    logs_in: bool = False
    has_base_path: bool = False
    busy: int = 0
    is_written: bool = False
    progress: float | None = None
    repair: str = ""

    def __str__(self) -> str:
        return self.profile


class VendorServer:
    """
    A server of a vendor.

    :param vendor: the table.
    :param scenario: the scenario of the jobs that are submitted; by default the one with the result.
    """

    def __init__(self, vendor: Vendor, scenario: str | None = None) -> None:
        self.vendor, self.scenario = vendor, scenario or vendor.scenario
        self.jobs: dict[str, Job] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[Call] = []
        #: The requests that were refused, and why.
        self.refused: list[str] = []
        #: The number of further requests that are answered with 429.
        self.limited = 0
        #: The tokens that were handed out; only the last one is valid.
        self.tokens: list[str] = []
        #: Whether the key was revoked, and whether the version of the API was withdrawn.
        self.is_revoked = self.is_withdrawn = False
        self.busy = vendor.busy
        self._lock = threading.Lock()
        self._server = Server(self._serve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def signed_url(self) -> str:
        """The address of the store with the vendor's files, which is another host."""
        return f"http://localhost:{self._server.port}"

    def new_job(self, number_format: str = "job-{}", **facts: Any) -> Job:
        """Create a job of the scenario."""
        job = Job(number_format.format(len(self.jobs) + 1), self.vendor.states[self.scenario], facts)
        self.jobs[job.id] = job
        return job

    def find_job(self, call: Call, name: str = "id") -> Job:
        """Return the job whose identifier is in the path."""
        if call.names[name] not in self.jobs:
            raise RefusedError(404, f"no job {call.names[name]!r}")
        return self.jobs[call.names[name]]

    def cancel(self, job: Job) -> Job:
        """Cancel a job; refuse it if the job has ended."""
        if job.is_over:
            raise RefusedError(409, f"job {job.id} has ended: {job.state}")
        job.states, job.polls = self.vendor.cancelled, 0
        return job

    def resume(self, job: Job) -> Job:
        """Resume a job that has failed, which succeeds then; refuse it if the job has not ended."""
        if not job.is_over:
            raise RefusedError(409, f"job {job.id} has not ended: {job.state}")
        job.states, job.polls = self.vendor.states[SUCCESS], 0
        return job

    def new_token(self) -> str:
        """Hand out a token; earlier ones expire."""
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return self.tokens[-1]

    def calls_to(self, request: str) -> list[Call]:
        """Return the requests with a method and a path, whose parts may be names as in a route."""
        route = Route(request, lambda *_: None)
        return [call for call in self.calls if route.match(call.method, call.path) is not None]

    def _serve(self, asked: Asked) -> Behaviour:
        with self._lock:
            try:
                return self._answer(asked).encode()
            except RefusedError as error:
                self.refused.append(f"{asked.method} {asked.target}: {error.status} {error.message}")
                body = self.vendor.error(error.status, error.message) if error.body is None else error.body
                return Answer(body, error.status, error.headers).encode()

    def _answer(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        call = Call(asked.method, parts.path, query, asked.headers, asked.body)
        self.calls.append(call)
        if self.is_withdrawn:
            raise RefusedError(410, "this version of the API was withdrawn")
        for route in self.vendor.routes:
            if (names := route.match(asked.method, parts.path)) is not None:
                call = Call(asked.method, parts.path, query, asked.headers, asked.body, names)
                self._check(route, call)
                answer = route.answer(self, call)
                return answer if isinstance(answer, Answer) else Answer(answer)
        raise RefusedError(404, f"unknown request {asked.method} {parts.path}")

    def _check(self, route: Route, call: Call) -> None:
        """Refuse what the vendor refuses of a request."""
        if not (route.is_public or route.has_own_auth):
            self._check_headers(call)
        elif route.is_public and "authorization" in call.headers:
            raise RefusedError(400, "only one auth mechanism allowed")
        if unknown := call.query.keys() - set(route.query):
            raise RefusedError(400, f"unknown query parameter {min(unknown)!r}")
        if route.body == "bytes" or not (route.required or call.body):
            return
        given = call.fields(route.body)
        if missing := set(route.required) - given.keys():
            raise RefusedError(400, f"{min(missing)}: field required")
        if route.optional is not None and (extra := given.keys() - {*route.required, *route.optional}):
            raise RefusedError(400, f"{min(extra)}: extra inputs are not permitted")

    def _check_headers(self, call: Call) -> None:
        self.vendor.check_auth(self, call)
        for name, value in self.vendor.headers.items():
            if call.headers.get(name) != value:
                raise RefusedError(400, f"{name}: header is required")
        if self.limited:
            self.limited -= 1
            headers, _ = self.vendor.rate_limit or ({}, 0)
            raise RefusedError(429, "rate limit exceeded", **headers)


def key_in(header: str, value: str, status: int = 401, message: str = "invalid API key") -> Callable[..., None]:
    """Return the check of a key in a header."""

    def check(server: VendorServer, call: Call) -> None:
        if server.is_revoked or call.headers.get(header) != value:
            raise RefusedError(status, message)

    return check


def last_token(status: int = 401, message: str = "the access token has expired") -> Callable[..., None]:
    """Return the check of a bearer token that the vendor has handed out."""

    def check(server: VendorServer, call: Call) -> None:
        if not server.tokens or call.headers.get("authorization") != f"Bearer {server.tokens[-1]}":
            raise RefusedError(status, message)

    return check


def on_poll(describe: Callable[[VendorServer, Job], Any], name: str = "id") -> Handler:
    """Return the handler of a status request: it describes the job, and the next poll sees its next state."""

    def answer(server: VendorServer, call: Call) -> Any:
        job = server.find_job(call, name)
        described = describe(server, job)
        job.poll()
        return described

    return answer


def on_cancel(describe: Callable[[VendorServer, Job], Any], name: str = "id") -> Handler:
    """Return the handler of a request that cancels a job, and describes it then."""
    return lambda server, call: describe(server, server.cancel(server.find_job(call, name)))


def lines(*rows: Any) -> bytes:
    """Return rows as NDJSON."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
