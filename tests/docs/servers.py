"""
One small API for each recipe of the documentation, on loopback, as strict as the strictest vendor.

A server answers what its recipe describes, refuses all else, and remembers what it refused: a test fails on either.
A new one is a function decorated with its name, its first argument the state of the server, its second the request.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import json
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.cookies import SimpleCookie
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from lxml import etree

from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed, AsyncApiTimeout
from tests.loopback import Asked, Behaviour, Server, encode

TOKEN = "the-token"
KNOWN_ARN = "arn:aws:states:eu-west-1:123:execution:nightly:5b0c"


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
    """

    handler: Handler
    expected: Any
    connection: Mapping[str, Any]
    counted: Mapping[str, int]
    states: Mapping[str, str]
    calls_back: bool = False


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
) -> Callable[[Handler], Handler]:
    """Register a server; with the usual connection it wants its bearer token in each request."""

    def register(handler: Handler) -> Handler:
        def checked(state: State, call: Call) -> Reply:
            # What lies outside of the API, such as a signed link, wants no credentials, and gets none.
            if connection is BEARER and not call.path.startswith("/storage/"):
                need(call.headers.get("authorization") == f"Bearer {TOKEN}", "no valid token", 401)
            return handler(state, call)

        SERVERS[name] = Spec(checked, expected, connection, counted or {}, states or {}, calls_back)
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


# --- submitting


@server("location", [{"id": 1}, {"id": 2}])
def location(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/exports":
            need(call.json == {"table": "orders"}, "which table?")
            return Reply(202, headers={"Location": "/v1/operations/77", "Retry-After": "2"})
        case "GET /v1/operations/77":
            done = progress(state, (False, False, True))
            body = {"status": "succeeded", "resultUrl": "/v1/exports/77/rows"}
            return Reply(200, body if done else {"status": "running", "percent": 40}, {"Retry-After": "2"})
        case "GET /v1/exports/77/rows":
            return Reply(200, [{"id": 1}, {"id": 2}])
    raise unknown(call)


@server("http_202", {"total": 99})
def http_202(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/reports":
            need(call.json == {"year": 2026}, "which year?")
            return Reply(202, headers={"Location": "/v1/queue/5"})
        case "GET /v1/queue/5":
            if progress(state, (False, True)):
                return Reply(303, headers={"Location": "/v1/reports/5"})
            return Reply(202, headers={"Retry-After": "1"})
        case "GET /v1/reports/5":
            return Reply(200, {"total": 99})
    raise unknown(call)


@server("http_202_same_place", {"total": 99})
def http_202_same_place(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/reports":
            return Reply(202, headers={"Location": f"{state.url}/v1/reports/5"})
        case "GET /v1/reports/5":
            return Reply(200, {"total": 99}) if progress(state, (False, True)) else Reply(202)
    raise unknown(call)


@server("form", ["a", "b"])
def form(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /cgi/run":
            need(call.form.keys() == {"tool", "db"} and call.form["tool"] == "blast", "which tool?")
            need(call.body.count(b"db=") == 2, "which databases?")
            return Reply(200, {"job": {"id": 42}})
        case "GET /cgi/status":
            need(call.params == {"id": "42"}, "which job?")
            return Reply(200, {"job": {"state": progress(state, ("QUEUED", "RUNNING", "FINISHED"))}})
        case "GET /cgi/result":
            need(call.params == {"id": "42"}, "which job?")
            return Reply(200, {"hits": ["a", "b"]})
    raise unknown(call)


@server("multipart", "what was said")
def multipart(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v2/transcripts":
            name, kind, content = call.parts["file"]
            need((name, kind) == ("orders.csv", "text/csv"), "which file?")
            need(content == b"id,amount\n1,20", "the file is broken")
            need(call.parts["language"][2] == b"en", "which language?")
            return Reply(201, {"id": "t-1"})
        case "GET /v2/transcripts/t-1":
            return Reply(200, {"status": progress(state, ("processing", "ready"))})
        case "GET /v2/transcripts/t-1/text":
            return Reply(200, "what was said", content_type="text/plain")
    raise unknown(call)


@server("two_step", [1, 2, 3], counted={"start": 1})
def two_step(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            need(call.json == {"name": "nightly"}, "which job?")
            return Reply(201, {"id": 7, "state": "NEW"})
        case "POST /jobs/7/start":
            need(call.json == {"mode": "full"}, "which mode?")
            state.nth("start")
            return Reply(202)
        case "GET /jobs/7":
            need("start" in state.counts, "nobody has started it", 409)
            return Reply(200, {"id": 7, "state": progress(state, ("QUEUED", "RUNNING", "DONE"))})
        case "GET /jobs/7/output":
            return Reply(200, {"rows": [1, 2, 3]})
    raise unknown(call)


@server("jsonrpc", [{"n": 1}])
def jsonrpc(state: State, call: Call) -> Reply:
    need(str(call) == "POST /rpc", "there is only POST /rpc", 404)
    request = call.json
    need(request.keys() == {"jsonrpc", "id", "method", "params"} and request["jsonrpc"] == "2.0", "not JSON-RPC 2.0")
    match request["method"], request["params"]:
        case "report.create", {"year": 2026}:
            result: Any = {"job": 9}
        case "job.get", {"job": 9}:
            result = {"state": progress(state, ("queued", "running", "done"))}
        case "job.result", {"job": 9}:
            result = {"rows": [{"n": 1}]}
        case _:
            raise RefusedError(f"invalid params: {request}")
    return Reply(200, {"jsonrpc": "2.0", "id": request["id"], "result": result})


@server("graphql", [{"id": 1}])
def graphql(state: State, call: Call) -> Reply:
    need(str(call) == "POST /graphql", "there is only POST /graphql", 404)
    query, variables = call.json["query"], call.json["variables"]
    need(query.count("{") == query.count("}"), "syntax error")
    match variables:
        case {"input": {"table": "orders"}}:
            need("startExport(input: $input) { id userErrors { message } }" in query, "syntax error")
            return Reply(200, {"data": {"startExport": {"id": "RXhwb3J0OjE=", "userErrors": []}}})
        case {"id": "RXhwb3J0OjE="} if "{ state }" in query:
            return Reply(200, {"data": {"export": {"state": progress(state, ("QUEUED", "RUNNING", "COMPLETED"))}}})
        case {"id": "RXhwb3J0OjE="} if "{ rows { id } }" in query:
            return Reply(200, {"data": {"export": {"rows": [{"id": 1}]}}})
    raise RefusedError(f"invalid variables {variables}")


@server("soap", "99")
def soap(state: State, call: Call) -> Reply:
    need(str(call) == "POST /soap", "there is only POST /soap", 404)
    need(call.headers.get("content-type") == "text/xml; charset=utf-8", "SOAP 1.1 is text/xml", 415)
    names = {"s": "http://schemas.xmlsoap.org/soap/envelope/", "v": "urn:vendor"}
    (request,) = call.xml.xpath("/s:Envelope/s:Body/*", namespaces=names)
    action = etree.QName(request).localname
    need(call.headers.get("soapaction") == action, "the SOAPAction is wrong")
    match action, "".join(request.itertext()).strip():
        case "CreateReport", "2026":
            inner = "<JobId>R-5</JobId>"
        case "GetStatus", "R-5":
            inner = f"<State>{progress(state, ('Queued', 'Running', 'Finished'))}</State>"
        case "GetReport", "R-5":
            inner = '<Rows><row total="99"/></Rows>'
        case other:
            raise RefusedError(f"no such operation: {other}")
    inner = inner.replace("</", "</@").replace("<", "<v:").replace("<v:/@", "</v:")
    return xml(
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:v="urn:vendor">'
        f"<soapenv:Body><v:{action}Response>{inner}</v:{action}Response></soapenv:Body></soapenv:Envelope>"
    )


@server("uws", [{"name": "Sirius"}, {"name": "Vega"}], counted={"run": 1, "delete": 1})
def uws(state: State, call: Call) -> Reply:
    job = f"{state.url}/tap/async/1"
    match str(call):
        case "POST /tap/async":
            need(call.form == {"QUERY": "SELECT * FROM stars", "LANG": "ADQL", "FORMAT": "csv"}, "which query?")
            return Reply(303, headers={"Location": job})
        case "POST /tap/async/1/phase":
            need(call.form == {"PHASE": "RUN"}, "which phase?")
            state.nth("run")
            return Reply(303, headers={"Location": job})
        case "GET /tap/async/1":
            # The start is redirected here too.
            phase = progress(state, ("QUEUED", "EXECUTING", "EXECUTING", "COMPLETED"))
            return xml(
                '<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
                f"<uws:phase>{phase}</uws:phase><uws:results>"
                f'<uws:result id="result" xlink:href="{job}/results/result"/></uws:results></uws:job>'
            )
        case "GET /tap/async/1/results/result":
            return Reply(200, "name\nSirius\nVega\n", content_type="application/octet-stream")
        case "DELETE /tap/async/1":
            state.nth("delete")
            return Reply(303, headers={"Location": f"{state.url}/tap/async"})
        case "GET /tap/async":
            return xml('<uws:jobs xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0"/>')
    raise unknown(call)


@server("idempotency", "b-1", counted={"submit": 2})
def idempotency(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /payments/batches":
            need(call.json == {"day": "2026-01-31"}, "which day?")
            key = call.headers.get("idempotency-key")
            need(key, "no Idempotency-Key")
            need(state.seen.setdefault("key", key) == key, "that is another key")
            # The first answer is lost in a gateway.
            return Reply(502, "bad gateway") if state.nth("submit") == 1 else Reply(201, {"id": "b-1"})
        case "GET /payments/batches/b-1":
            return Reply(200, {"status": progress(state, ("open", "settled"))})
    raise unknown(call)


@server("lookup", "e-4", counted={"submit": 1})
def lookup(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            state.seen["reference"] = call.json["reference"]
            state.nth("submit")
            # The job is made, and its answer is lost in a gateway.
            return Reply(504, "gateway timeout")
        case "GET /exports":
            need(dict(call.query)["reference"] == state.seen["reference"], "another reference")
            return Reply(200, {"exports": [{"id": "e-4"}] if state.nth("look-up") > 1 else []})
        case "GET /exports/e-4":
            return Reply(200, {"state": progress(state, ("running", "done"))})
    raise unknown(call)


@server("fast", [[1]], counted={"submit": 1})
def fast(state: State, call: Call) -> Reply:
    need(str(call) == "POST /query", "a fast query isn't asked for again", 404)
    state.nth("submit")
    return Reply(200, {"rows": [[1]]})


@server("slow", [[1]])
def slow(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /query":
            return Reply(202, {"ticket": "q-8"})
        case "GET /query/q-8":
            done = progress(state, (False, True))
            return Reply(200, {"state": "FINISHED", "rows": [[1]]} if done else {"state": "RUNNING"})
    raise unknown(call)


# --- waiting


@server("status_list", "all went well\n")
def status_list(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            need(call.json == {"kind": "sync"}, "which kind?")
            return Reply(201, {"id": 7})
        case "GET /jobs":
            mine = progress(state, (None, "active", "ok"))
            jobs = [{"id": 6, "state": "error"}] + ([{"id": 7, "state": mine}] if mine else [])
            return Reply(200, {"jobs": jobs})
        case "GET /jobs/7/log":
            return Reply(200, "all went well\n", content_type="application/octet-stream")
    raise unknown(call)


@server("several_lists", "7")
def several_lists(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /queue":
            return Reply(201, {"id": "7"})
        case "GET /queue":
            where = progress(state, ("waiting", "active", "finished"))
            lists: dict[str, list[Any]] = {"waiting": [], "active": [], "finished": [{"id": "6", "exit": 1}]}
            lists[where].append({"id": "7", "exit": 0} if where == "finished" else "7")
            return Reply(200, lists)
    raise unknown(call)


@server("post_status", "a1")
def post_status(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /api/submit":
            return Reply(200, {"id": "a1"})
        case "POST /api/status":
            need(call.json == {"ids": ["a1"]}, "which jobs?")
            return Reply(200, {"statuses": [{"id": "a1", "value": progress(state, ("WAIT", "OK"))}]})
    raise unknown(call)


@server("status_header", 9)
def status_header(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /files":
            return Reply(201, {"id": 9})
        case "HEAD /files/9":
            return Reply(200, headers={"X-Job-State": progress(state, ("converting", "ready"))})
    raise unknown(call)


@server("http_status_only", {"picture": "…"})
def http_status_only(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /render":
            return Reply(202, {"id": "9"})
        case "GET /results/9":
            status = progress(state, (404, 404, 200))
            return Reply(status, {"picture": "…"} if status == 200 else "not here", content_type="application/json")
    raise unknown(call)


@server("json_in_string", "a,b\n")
def json_in_string(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /executions":
            return Reply(201, {"id": 3})
        case "GET /executions/3":
            phase = progress(state, ("working", "done"))
            return Reply(200, {"output": json.dumps({"phase": phase, "file": "a.csv"})})
        case "GET /files/a.csv":
            return Reply(200, "a,b\n", content_type="text/csv")
    raise unknown(call)


@server("bool_status", {"rows": 3})
def bool_status(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /load":
            return Reply(200, {"name": "operations/4"})
        case "GET /operations/4":
            done = progress(state, (False, True))
            return Reply(200, {"done": True, "response": {"rows": 3}} if done else {"done": False})
    raise unknown(call)


@server("refresh", "c-1")
def refresh(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /connectors/orders/sync":
            return Reply(200, {"id": "c-1", "succeeded_at": "2026-01-30T02:00:00Z"})
        case "GET /connectors/c-1":
            return Reply(200, {"succeeded_at": progress(state, ("2026-01-30T02:00:00Z", "2026-01-31T02:00:00Z"))})
    raise unknown(call)


@server("parts", 2)
def parts(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /batches":
            return Reply(201, {"id": 2})
        case "GET /batches/2":
            states = ["DONE", progress(state, ("RUNNING", "DONE"))]
            summary = {"done": states.count("DONE"), "total": 2}
            return Reply(200, {"parts": [{"state": each} for each in states], "summary": summary})
    raise unknown(call)


@server("errors_200", "t-3", counted={"submit": 2})
def errors_200(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /orders/export":
            full = state.nth("submit") == 1
            return Reply(200, {"ok": False, "code": "QUEUE_FULL"} if full else {"ok": True, "task": "t-3"})
        case "GET /tasks/t-3":
            return Reply(200, {"ok": True, "status": progress(state, ("working", "completed")), "failedRows": 0})
    raise unknown(call)


@server("visible_after", "r-1")
def visible_after(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-1"})
        case "GET /runs/r-1":
            found = progress(state, (None, None, "busy", "ok"))
            return Reply(404, {"message": "no such run"}) if found is None else Reply(200, {"state": found})
    raise unknown(call)


@server("no_data", 5, states={"export.fetch": "skipped"})
def no_data(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "EMPTY"))})
    raise unknown(call)


@server("cancel", AsyncApiTimeout, counted={"cancel": 1, "poll": 3})
def cancel(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            return Reply(201, {"id": 1})
        case "GET /jobs/1":
            if "cancel" in state.counts:
                return Reply(200, {"state": "cancelled"})
            return Reply(200, {"state": progress(state, ("running",))})
        case "DELETE /jobs/1":
            state.nth("cancel")
            return Reply(202)
    raise unknown(call)


# --- fetching


@server("presigned", {"exports/2026-01-31.csv": "id,amount\n1,20\n"})
def presigned(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
        case "GET /exports/5/link":
            return Reply(200, {"url": f"{state.seen['storage']}/5.csv?X-Amz-Signature=abc%2Fd%3D"})
        case "GET /storage/5.csv":
            need("authorization" not in call.headers, "only one auth mechanism allowed")
            need(call.params == {"X-Amz-Signature": "abc/d="}, "the signature doesn't match", 403)
            return Reply(200, "id,amount\n1,20\n", content_type="text/csv")
    raise unknown(call)


@server("url_list", {"exports/2026-01-31/part-0.csv": "0\n", "exports/2026-01-31/part-1.csv": "1\n"})
def url_list(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            files = [f"{state.seen['storage']}/part-{number}.csv" for number in range(2)]
            return Reply(200, {"status": "READY", "files": files} if state.nth("poll") > 1 else {"status": "BUSY"})
        case "GET /storage/part-0.csv":
            return Reply(200, "0\n", content_type="text/csv")
        case "GET /storage/part-1.csv":
            return Reply(200, "1\n", content_type="text/csv")
    raise unknown(call)


@server("linked_result", [{"id": 1}])
def linked_result(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            links = [{"rel": "self", "href": "/exports/5"}, {"rel": "result", "href": "/exports/5/rows"}]
            return Reply(200, {"status": progress(state, ("BUSY", "READY")), "links": links})
        case "GET /exports/5/rows":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


def _plain_job(state: State, call: Call, **more: Any) -> Reply:
    """Be the job of all recipes that are about its result."""
    match str(call):
        case "POST /jobs":
            return Reply(201, {"id": 5})
        case "GET /jobs/5":
            return Reply(200, {"status": progress(state, ("working", "done")), **more})
    raise unknown(call)


@server("numbered_pages", [{"id": number} for number in range(5)])
def numbered_pages(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        page = int(call.params["page"])
        need(1 <= page <= 3, "no such page")
        return Reply(200, {"rows": [{"id": number} for number in range(5)[2 * page - 2 : 2 * page]]})
    return _plain_job(state, call, pages=3)


@server("next_link", [1, 2, 3])
def next_link(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows" and "after" in call.params:
        need(call.params == {"size": "2", "after": "2"}, "which page?")
        return Reply(200, [3], {"Link": '</jobs/5/rows?size=2>; rel="first"'})
    if call.path == "/jobs/5/rows":
        need(call.params == {"size": "2"}, "which size?")
        return Reply(200, [1, 2], {"Link": '</jobs/5/rows?size=2&after=2>; rel="next"'})
    return _plain_job(state, call)


@server("cursor", {"rows/2026-01-31.ndjson": "1\n2\n3\n"})
def cursor(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        need(call.params in ({}, {"cursor": "c2"}), "which cursor?")
        return Reply(200, {"rows": [3], "next": None} if call.params else {"rows": [1, 2], "next": "c2"})
    return _plain_job(state, call)


@server("odata", [{"id": 1}, {"id": 2}, {"id": 3}])
def odata(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        if call.params == {"$skiptoken": "2"}:
            return Reply(200, {"value": [{"id": 3}]})
        need(call.params == {"$count": "true"}, "which count?")
        first = {"@odata.count": 3, "value": [{"id": 1}, {"id": 2}]}
        return Reply(200, {**first, "@odata.nextLink": f"{state.url}/jobs/5/rows?$skiptoken=2"})
    return _plain_job(state, call)


@server("null_cursor", [{"Id": "1"}, {"Id": "2"}])
def null_cursor(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs/query":
            return Reply(200, {"id": 5, "state": "UploadComplete"})
        case "GET /jobs/query/5":
            return Reply(200, {"state": progress(state, ("InProgress", "JobComplete"))})
        case "GET /jobs/query/5/results":
            is_last = call.params == {"locator": "MTAwMDAw", "maxRecords": "50000"}
            need(is_last or call.params == {"maxRecords": "50000"}, "which page?")
            locator = "null" if is_last else "MTAwMDAw"
            return Reply(200, f'"Id"\n"{2 if is_last else 1}"\n', {"Sforce-Locator": locator}, content_type="text/csv")
    raise unknown(call)


@server("offset", [1, 2, 3])
def offset(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        need(call.params in ({"offset": "0", "limit": "2"}, {"offset": "2", "limit": "2"}), "which rows?")
        return Reply(200, [3] if call.params["offset"] == "2" else [1, 2])
    return _plain_job(state, call)


def _export(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
    raise unknown(call)


@server("csv", [{"id": "1", "name": "a,b"}, {"id": "2", "name": "c"}])
def csv(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        need(call.headers.get("accept") == "text/csv", "not acceptable", 406)
        return Reply(200, 'id,name\r\n1,"a,b"\r\n2,c\r\n', content_type="text/csv; charset=utf-8")
    return _export(state, call)


@server("xml_rows", [{"@id": "1", "customer": "Ann", "item": ["pen", "ink"]}])
def xml_rows(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return xml(
            '<orders>\n<order id="1"><customer>Ann</customer><item>pen</item><item>ink</item></order>\n</orders>'
        )
    return _export(state, call)


@server("ndjson", [1, 2])
def ndjson(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return Reply(200, '{"id": 1}\n{"id": 2}\n', content_type="application/x-ndjson")
    return _export(state, call)


@server("large_json", {"exports/2026-01-31/result.ndjson": '{"id": 1, "deleted": false}\n'})
def large_json(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return Reply(200, {"meta": {}, "rows": [{"id": 1, "deleted": False}, {"id": 2, "deleted": True}]})
    return _export(state, call)


@server("tar", {"exports/2026-01-31/a.csv": "1\n", "exports/2026-01-31/sub/b.csv": "2\n"})
def tar(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.tar.gz":
        return Reply(200, tarred({"a.csv": "1\n", "sub/b.csv": "2\n"}), content_type="application/gzip")
    return _export(state, call)


@server("gzip", {"exports/2026-01-31/rows.csv": "1\n"})
def gzip_(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.csv.gz":
        return Reply(200, gzip.compress(b"1\n"), content_type="application/gzip")
    return _export(state, call)


@server("checksum", {"exports/2026-01-31.csv": "a,b\n"})
def checksum(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /files/5.csv":
            # A proxy on the way spoils the first answer.
            return Reply(200, b"a,b\n" if state.nth("file") > 1 else b"a;b\n", content_type="text/csv")
        case "GET /exports/5":
            stated = {"url": "/files/5.csv", "sha256": hashlib.sha256(b"a,b\n").hexdigest()}
            return Reply(200, {"status": progress(state, ("BUSY", "READY")), "file": stated})
    return _export(state, call)


@server("zip", {"exports/2026-01-31/a.csv": "1\n", "exports/2026-01-31/sub/b.csv": "2\n"})
def zip_(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/archive":
        need(call.headers.get("accept") == "application/zip", "not acceptable", 406)
        return Reply(200, zipped({"a.csv": "1\n", "sub/b.csv": "2\n"}), content_type="application/zip")
    return _export(state, call)


@server("file", {"exports/orders of today.parquet": "PAR1"})
def file(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.parquet":
        named = {"Content-Disposition": 'attachment; filename="orders of today.parquet"'}
        return Reply(200, b"PAR1", named, content_type="application/vnd.apache.parquet")
    return _export(state, call)


@server("partial", [{"line": 1, "result": "ok"}, {"line": 2, "result": "rejected"}])
def partial(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /imports":
            return Reply(201, {"id": 5})
        case "GET /imports/5":
            return Reply(200, {"status": progress(state, ("busy", "done"))})
        case "GET /imports/5/report":
            return Reply(200, {"rows": [{"line": 1, "result": "ok"}, {"line": 2, "result": "rejected"}]})
    raise unknown(call)


@server("cleanup", [1], counted={"delete": 1})
def cleanup(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /exports/5/rows":
            return Reply(200, [1])
        case "DELETE /exports/5":
            state.nth("delete")
            return Reply(204)
    return _export(state, call)


# --- the connection


@server("api_key_query", 5, connection={})
def api_key_query(state: State, call: Call) -> Reply:
    need(call.query == [("key", TOKEN)], "no key", 401)
    need("authorization" not in call.headers, "what is that for?")
    return _plain_job(state, call)


@server("oauth2", 5, connection={})
def oauth2(state: State, call: Call) -> Reply:
    if str(call) == "POST /oauth/token":
        need(basic(call) == "my-client:my-client-secret", "no such client", 401)
        expected = {"grant_type": "client_credentials", "scope": "jobs.write jobs.read"}
        need(call.form == {**expected, "audience": "https://api.example.com"}, "invalid_request")
        return Reply(200, {"access_token": "from-oauth", "token_type": "Bearer", "expires_in": 3600})
    need(call.headers.get("authorization") == "Bearer from-oauth", "invalid_token", 401)
    return _plain_job(state, call)


@server("login", 5, connection={}, counted={"refresh": 1})
def login(state: State, call: Call) -> Reply:
    tokens = state.seen.setdefault("tokens", [])
    match str(call):
        case "POST /session":
            need(call.json == {"user": "robot", "password": "s3cret-word"}, "who?", 403)
        case "POST /session/refresh":
            need(call.json == {"token": f"refresh-{len(tokens)}"}, "which token?", 403)
            state.nth("refresh")
        case _:
            if call.method == "GET" and state.nth("request") == 2:
                # The vendor ends all sessions at once now and then, before they expire.
                return Reply(419, {"message": "session expired"})
            need(call.headers.get("x-session") == tokens[-1], "no session", 401)
            return _plain_job(state, call)
    tokens.append(f"session-{len(tokens) + 1}")
    session = {"token": tokens[-1], "expiresIn": 600, "refreshToken": f"refresh-{len(tokens)}"}
    return Reply(200, {"session": session})


@server("secret_in_body", "s-1", connection={})
def secret_in_body(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /acme/jobs":
            need(call.json == {"auth": {"key": "account-key-1"}, "kind": "sync"}, "no key", 401)
            return Reply(201, {"id": "s-1"})
        case "POST /acme/status":
            need(call.json == {"auth": {"key": "account-key-1"}, "id": "s-1"}, "no key", 401)
            return Reply(200, {"status": progress(state, ("working", "done"))})
    raise unknown(call)


# --- many jobs, and those of others


def _many(state: State, call: Call) -> Reply:
    jobs = state.seen.setdefault("jobs", [])
    match call.method, call.path.split("/")[1:]:
        case "POST", ["jobs"]:
            jobs.append(call.json["table"])
            return Reply(201, {"id": f"J-{len(jobs)}", "shard": f"s{len(jobs)}"})
        case "GET", ["jobs", job]:
            return Reply(200, {"status": progress(state, ("working", "done"), job)})
        case "GET", ["jobs", "J-1" | "J-2" as job, "rows"]:
            return Reply(200, [jobs[int(job[-1]) - 1]])
        case "GET", ["shards", shard, job, "rows"]:
            need(shard[-1] == job[-1], "no such job there", 404)
            return Reply(200, [jobs[int(job[-1]) - 1]])
    raise unknown(call)


server("mapped", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)
server("mapped_in_one_task", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)
server("mapped_group", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)


@server("several_jobs", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})
def several_jobs(state: State, call: Call) -> Reply:
    if str(call) == "POST /exports":
        state.seen["jobs"] = call.json["tables"]
        return Reply(202, {"jobs": [{"id": f"J-{number}"} for number in (1, 2)]})
    return _many(state, call)


@server("batch", ["J-1", "J-2"], counted={"J-1": 3, "J-2": 3})
def batch(state: State, call: Call) -> Reply:
    if str(call) == "GET /jobs":
        need(set(call.params) == {"ids"}, "which jobs?")
        status = {job: progress(state, (None, "working", "done"), job) for job in call.params["ids"].split(",")}
        return Reply(200, {"jobs": [{"id": job, "status": mine} for job, mine in status.items() if mine]})
    return _many(state, call)


@server("foreign_job", [1])
def foreign_job(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /jobs/J-1":
            return Reply(200, {"status": progress(state, ("working", "done"))})
        case "GET /jobs/J-1/rows":
            return Reply(200, [1])
    raise unknown(call)


@server("five_minutes", [{"id": 1}])
def five_minutes(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/exports":
            need(call.json == {"table": "orders"}, "which table?")
            return Reply(201, {"export": {"id": "e-7"}})
        case "GET /v1/exports/e-7":
            job = {"id": "e-7", "state": progress(state, ("QUEUED", "RUNNING", "FINISHED")), "percent": 40}
            return Reply(200, {"export": job})
        case "GET /v1/exports/e-7/rows":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


@server("json_in_query", "q-1")
def json_in_query(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /search":
            need(json.loads(call.params["filter"]) == {"state": "open", "size": {"gt": 5}}, "which items?")
            return Reply(202, {"id": "q-1"})
        case "GET /jobs":
            need(json.loads(call.params["where"]) == [{"field": "id", "is": "q-1"}], "which job?")
            return Reply(200, {"jobs": [{"state": progress(state, ("busy", "done"))}]})
    raise unknown(call)


@server("exists_already", "e-3")
def exists_already(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(409, {"message": "there is one already", "existing": {"id": "e-3"}})
        case "GET /exports/e-3":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
    raise unknown(call)


@server("known_key", KNOWN_ARN, counted={"submit": 2})
def known_key(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /executions":
            key = call.json["name"]
            if state.nth("submit") == 1:
                state.seen["key"] = key
                return Reply(504)
            need(key == state.seen["key"], "there would be a second job")
            message = f"Execution Already Exists: '{KNOWN_ARN}'"
            return Reply(400, {"__type": "ExecutionAlreadyExists", "message": message})
        case "POST /status":
            need(call.json == {"executionArn": KNOWN_ARN}, "no such execution")
            return Reply(200, {"status": progress(state, ("RUNNING", "SUCCEEDED"))})
    raise unknown(call)


@server("status_details", [{"id": 1}], counted={"result": 2, "poll": 3})
def status_details(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-1"})
        case "GET /runs/r-1":
            return Reply(200, {"state": progress(state, ("RUNNING", "FINISHED"))})
        case "GET /runs/r-1/result":
            if state.nth("result") == 1:
                return Reply(503)
            return Reply(200, {"ok": True, "file": "/files/f-1"})
        case "GET /files/f-1":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


@server("failure_details", AsyncApiJobFailed, counted={"error": 1, "log": 1})
def failure_details(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-2"})
        case "GET /runs/r-2":
            return Reply(200, progress(state, ({"state": "RUNNING"}, {"state": "FAILED", "errorId": "e-9"})))
        case "GET /errors/e-9":
            state.nth("error")
            return Reply(200, {"log": "/logs/77.txt"})
        case "GET /logs/77.txt":
            state.nth("log")
            return Reply(200, "Traceback\nKeyError: 'x'", content_type="text/plain")
    raise unknown(call)


@server("graphql_pages", [1, 2, 3], counted={"page": 2})
def graphql_pages(state: State, call: Call) -> Reply:
    if call.path != "/graphql":
        return _plain_job(state, call)
    variables = call.json["variables"]
    need(variables in ({"id": 5, "after": None}, {"id": 5, "after": "c2"}), "which page?")
    state.nth("page")
    last = variables["after"] is not None
    info = {"hasNextPage": not last, "endCursor": "c3" if last else "c2"}
    return Reply(200, {"data": {"rows": {"nodes": [3] if last else [1, 2], "pageInfo": info}}})


@server("cookie", 5, connection={})
def cookie(state: State, call: Call) -> Reply:
    if str(call) == "POST /login":
        need(call.form == {"user": "robot", "password": "s3cret-word"}, "who?", 403)
        return Reply(204, headers={"Set-Cookie": "sid=abc123; Path=/; HttpOnly"})
    need(SimpleCookie(call.headers.get("cookie", ""))["sid"].value == "abc123", "who?", 401)
    return _plain_job(state, call)


def _call_back(url: str, body: bytes, key: str) -> int:
    """Call back, signed with a key; give the code of the answer."""
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Signature-256": f"sha256={signature}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@server("calls_back", [1, 2, 3], counted={"called": 1}, calls_back=True)
def calls_back(state: State, call: Call) -> Reply:
    need(str(call) == "POST /exports", "a job that calls back isn't asked for")
    need(call.json["table"] == "orders", "which table?")
    body = json.dumps({"id": "e-5", "state": "done", "rows": [1, 2, 3]}).encode()
    # Some jobs are over before the answer to the submit is read.
    need(_call_back(call.json["notify"], body, "another key") == 404, "Airflow takes what somebody else has signed")
    need(_call_back(call.json["notify"], body, "s3cret-key") == 200, "Airflow doesn't take the callback")
    state.nth("called")
    return Reply(202, {"id": "e-5"})
