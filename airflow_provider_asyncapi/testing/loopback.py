"""The server on loopback that tests run against."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

#: What the HTTP server writes itself.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """
    A request as received.

    :param method: the method.
    :param target: the path with its query.
    :param headers: the headers, names in lower case.
    :param body: the body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target}"

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


#: A status code, headers, and a body.
Answer = tuple[int, Mapping[str, str], bytes]


class LoopbackServer:
    """
    A server on loopback, as a context manager; a subclass answers the requests.

    :ivar requests: the requests so far.
    """

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The URL, for the host of a connection."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def make_connection(self, **fields: Any) -> str:
        """
        Return a connection to this server as JSON, for ``AIRFLOW_CONN_…``.

        :param fields: further fields of the connection, such as ``password`` and ``extra``.
        """
        return json.dumps({"conn_type": "asyncapi", "host": self.url, **fields})

    def receive(self, request: ReceivedRequest) -> Answer:
        """Record a request, and return its response; one request at a time."""
        with self._lock:
            self.requests.append(request)
            return self.answer(request)

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return the response to a request."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    owner: LoopbackServer
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._read_body(headers)
        status, answered, content = self.server.owner.receive(ReceivedRequest(self.command, self.path, headers, body))
        self.send_response_only(status)
        for name, value in answered.items():
            if name.lower() not in _FRAMING:
                self.send_header(name, value)
        has_body = status >= 200 and status not in (204, 304)  # noqa: PLR2004 - RFC 9110, section 6.4.1
        if has_body:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(content)

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)
