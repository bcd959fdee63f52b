"""The token endpoints of the clouds on loopback: the libraries of the clouds find them by a proxy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.loopback import Asked, Behaviour, Server, reply, tunnel_to


class Internet:
    """
    A proxy that leads to servers of a test, whatever hosts their names belong to.

    :param authority: signs the certificates of the hosts.
    """

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._servers: dict[str, Server] = {}
        self.proxy = Server(self._connect)

    def serve(self, host: str, respond: Callable[[Asked], Behaviour]) -> None:
        """Answer all requests to a host."""
        self._servers[host] = Server(respond, tls=self._authority.server_context(host))

    def _connect(self, asked: Asked) -> Behaviour:
        server = self._servers.get(asked.target.removesuffix(":443"))
        return tunnel_to(server.port) if server is not None and asked.method == "CONNECT" else reply(status=502)

    def close(self) -> None:
        for server in (self.proxy, *self._servers.values()):
            server.close()


@pytest.fixture
def internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    # What the machine says about itself is no part of a test.
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "MSI_", "IDENTITY_")):
            monkeypatch.delenv(name)
    authority = Authority(tmp_path, "authority")
    internet = Internet(authority)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", internet.proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.path)
    yield internet
    internet.close()
