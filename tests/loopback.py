"""A server that behaves as a test sets, correctly or not, and records its requests."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Given the socket and the request; false once the connection isn't to be used any more.
Behaviour = Callable[[socket.socket, "Asked"], bool]
#: Responses that may have no content-length (RFC 9110, section 8.6).
_WITHOUT_LENGTH = {204}
_OF_THE_HOP = {"host", "connection", "keep-alive", "proxy-connection"}


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int = field(compare=False)


def reply(body: Any = b"", status: int = 200, *, close: bool = False, **headers: str) -> Behaviour:
    """Answer properly; `content_type="x"` makes the header `content-type`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-length": str(len(content)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    if close:
        fields["connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return raw(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content, then_close=close)


def encode(status: int, headers: Mapping[str, str], content: bytes) -> Behaviour:
    """Answer with headers as they are given, and the length of what there is."""
    length = {} if status in _WITHOUT_LENGTH else {"content-length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**headers, **length}.items())
    return raw(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + content, then_close=False)


def raw(data: bytes, *, then_close: bool = True) -> Behaviour:
    def behave(connection: socket.socket, asked: Asked) -> bool:
        head, separator, body = data.partition(b"\r\n\r\n")
        connection.sendall(head + separator + (b"" if asked.method == "HEAD" else body))
        return not then_close

    return behave


def chunked(*chunks: bytes, end: bool = True, **headers: str) -> Behaviour:
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + (b"0\r\n\r\n" if end else b"")
    return raw(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{fields}\r\n".encode() + body, then_close=not end)


def reset(connection: socket.socket, _asked: Asked | None = None) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang_up(_connection: socket.socket, _asked: Asked) -> bool:
    return False


class Server:
    """
    Serves one behaviour after another, on as many connections as clients make.

    :param respond: returns the behaviour for a request, in place of a script; called from several threads at once.
    :param tls: what to speak TLS with.
    """

    def __init__(
        self, respond: Callable[[Asked], Behaviour] | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.tls = tls
        self._respond = respond or self._follow_script
        #: Behaviours by path that serve any number of requests, before the script is looked at.
        self.routes: dict[str, Behaviour] = {}
        self.script: list[Behaviour] = []
        self.asked: list[Asked] = []
        self.connections = 0
        #: Set to end all that is left to wait for.
        self.released = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def hold(self, _connection: socket.socket, _asked: Asked) -> bool:
        """Send nothing until the test is over."""
        self.released.wait(30)
        return False

    def respond_with(self, *script: Behaviour) -> None:
        self.script = list(script)
        self.asked = []

    def close(self) -> None:
        self.released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        plain = connection
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection.makefile("rb") as stream:
                while (asked := _read(stream, number)) is not None:
                    with self._lock:
                        self.asked.append(asked)
                    behaviour = self.routes.get(asked.target.partition("?")[0]) or self._respond(asked)
                    if not behaviour(connection, asked):
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(plain)
            connection.close()

    def _follow_script(self, _asked: Asked) -> Behaviour:
        with self._lock:
            return self.script.pop(0) if self.script else hang_up


def _read(stream: Any, number: int) -> Asked | None:
    line = stream.readline().decode("latin-1")
    if not line.strip():
        return None
    method, target, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while field_line := stream.readline().decode("latin-1").strip():
        name, _, value = field_line.partition(":")
        assert name.lower() not in headers, f"{name} was sent twice"
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    shown = {name: value for name, value in sorted(headers.items()) if name not in _OF_THE_HOP}
    if method == "OPTIONS" and not body:
        # Optional here (RFC 9110, section 8.6), and the one thing that the libraries don't agree about.
        shown.pop("content-length", None)
    return Asked(method, target, shown, body, number)


def tunnel_to(port: int) -> Behaviour:
    """Be a proxy that connects, wherever it is asked to connect to."""

    def behave(connection: socket.socket, asked: Asked) -> bool:
        with socket.create_connection(("127.0.0.1", port)) as behind:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(behind, connection), daemon=True)
            back.start()
            _pump(connection, behind)
            back.join(10)
        return False

    return behave


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
