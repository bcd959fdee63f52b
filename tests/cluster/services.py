"""What a cluster stands on: Postgres and Redis, on free ports of the loopback interface, with nothing to lose."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from demo.airflow.configuration import environment, free_port
from demo.airflow.processes import Processes

#: Where Debian keeps what isn't meant to be run by hand.
_POSTGRES_FOLDERS = Path("/usr/lib/postgresql")
#: Postgres refuses to run as root.
_UNPRIVILEGED = ("postgres", "nobody")
_START_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Services:
    """Where they listen."""

    postgres_port: int
    redis_port: int

    def postgres_url(self, driver: str) -> str:
        return f"postgresql+{driver}://airflow@127.0.0.1:{self.postgres_port}/postgres"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"


@contextmanager
def running_services() -> Iterator[Services]:
    """Start both, and stop them at the end."""
    services = Services(free_port(), free_port())
    # Not below pytest's folder, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="asyncapi-cluster-"))
    home.chmod(0o755)
    data = home / "postgres"
    data.mkdir(0o700)
    become: tuple[str, ...] = ()
    if os.getuid() == 0:
        user = _unprivileged_user()
        shutil.chown(data, user.pw_uid, user.pw_gid)
        become = (_found("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    processes = Processes(home, environment(home))
    try:
        init = (_postgres("initdb"), "--no-sync", "--auth=trust", "--username=airflow", "--encoding=UTF8", f"-D{data}")
        processes.run("initdb", (*become, *init), _START_TIMEOUT)
        settings = {
            "port": services.postgres_port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 300,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        processes.start("postgres", (*become, _postgres("postgres"), f"-D{data}", *options))
        redis = ("--bind", "127.0.0.1", "--port", str(services.redis_port), "--save", "", "--appendonly", "no")
        processes.start("redis", (_found("redis-server"), *redis))
        # Postgres listens before it takes connections.
        database = f"host=127.0.0.1 port={services.postgres_port} user=airflow dbname=postgres"
        _wait_for(partial(psycopg2.connect, database), processes)
        _wait_for(partial(socket.create_connection, ("127.0.0.1", services.redis_port), 1), processes)
        yield services
    finally:
        processes.stop()
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged_user() -> pwd.struct_passwd:
    users = {user.pw_name: user for user in pwd.getpwall()}
    return next(users[name] for name in _UNPRIVILEGED if name in users)


def _postgres(name: str) -> str:
    folders = [str(folder / "bin") for folder in sorted(_POSTGRES_FOLDERS.glob("*"), reverse=True)]
    return _found(name, os.pathsep.join([*folders, os.environ["PATH"]]))


def _found(name: str, path: str | None = None) -> str:
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} isn't installed; scripts/cluster-services installs it"
    return found


def _wait_for(connect: Callable[[], Any], processes: Processes) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        processes.check()
        try:
            connect().close()
        except (OSError, psycopg2.OperationalError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
