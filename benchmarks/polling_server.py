"""
A server with constant responses that counts its requests: ``python -m benchmarks.polling_server LATENCY [CERT KEY]``.

It prints its port. LATENCY is the time until each response, in seconds. With a certificate and its key it uses TLS.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import uvloop

#: HttpSensorTrigger continues to wait only after a 404.
_NOT_YET = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_JOB = {"id": "j-1", "task": {"status": "running", "step": "export", "progress": 40}, "links": {"self": "/v1/jobs/j-1"}}


def _ok(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


_RUNNING = _ok({"data": _JOB})


class Server(asyncio.Protocol):
    """One connection. Requests have no body; their path decides the response."""

    latency = 0.0
    connections = 0
    requests = 0
    #: Number of polled jobs, without the first of each request.
    jobs = 0
    #: The requested paths since the last reset.
    paths: ClassVar[set[bytes]] = set()

    def connection_made(self, transport: Any) -> None:
        """Count the connection."""
        self._transport = transport
        self._waiting = b""
        Server.connections += 1

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete."""
        *heads, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        for head in heads:
            path = head[4 : head.index(b" ", 4)]
            if path == b"/counts":
                self._transport.write(_ok([Server.requests, Server.jobs, Server.connections]))
                continue
            if path in {b"/paths", b"/forget"}:
                self._transport.write(_ok(len(Server.paths)))
                if path == b"/forget":
                    Server.paths.clear()
                continue
            Server.requests += 1
            Server.paths.add(path)
            if path.startswith(b"/http/"):
                self._answer(_NOT_YET)
            elif path.startswith(b"/v1/batch?"):
                (joined,) = parse_qs(urlsplit(path.decode()).query)["ids"]
                identifiers = joined.split(",")
                Server.jobs += len(identifiers) - 1
                self._answer(_ok({"jobs": [{**_JOB, "id": each} for each in identifiers]}))
            else:
                self._answer(_RUNNING)

    def _answer(self, data: bytes) -> None:
        if Server.latency:
            asyncio.get_running_loop().call_later(Server.latency, self._transport.write, data)
        else:
            self._transport.write(data)


async def main(certificate: list[str]) -> None:
    """Serve until killed."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=8192, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    Server.latency = float(sys.argv[1])
    uvloop.run(main(sys.argv[2:]))
