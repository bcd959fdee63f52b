"""The processes of one user on one host share tokens, and nobody else sees or plants one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import multiprocessing
import os
import stat
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_asyncapi.connections.reading import read_connection
from airflow_provider_asyncapi.connections.tokens import HostTokenStore
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.http.messages import Headers, Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.clients import SharedClient
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, reply

CREDENTIALS = b'{"login": "ann", "password": "pw-planted"}'
TOKEN = Token("token-planted", 1_700_000_000.123, {"refresh": "refresh-planted", "n": 7})
LOGIN = {
    "auth": "login",
    "login_request": {"endpoint": "/login", "json": {"password": "{connection.password}"}},
    "login_selector": "token",
}
PROCESSES = 8


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(temp: Path) -> Path:
    return temp / f"airflow-provider-asyncapi-{os.geteuid()}"


def the_file(folder: Path) -> Path:
    (file,) = (path for path in folder.iterdir() if path.suffix != ".lock")
    return file


# What is kept


def test_another_process_finds_what_was_written():
    assert HostTokenStore(CREDENTIALS).read() is None
    HostTokenStore(CREDENTIALS).write(Token("before"))
    HostTokenStore(CREDENTIALS).write(TOKEN)
    assert HostTokenStore(CREDENTIALS).read() == TOKEN


def test_other_credentials_find_nothing(folder):
    HostTokenStore(CREDENTIALS).write(TOKEN)
    other = HostTokenStore(CREDENTIALS + b" ")
    assert other.read() is None
    other.write(Token("other"))
    assert HostTokenStore(CREDENTIALS).read() == TOKEN
    assert len(list(folder.iterdir())) == 2


def test_one_at_a_time_has_the_right_to_log_in():
    first = HostTokenStore(CREDENTIALS).lock()
    assert first is not None
    assert HostTokenStore(CREDENTIALS).lock() is None
    other = HostTokenStore(b"other").lock()
    assert other is not None
    other.close()
    first.close()
    second = HostTokenStore(CREDENTIALS).lock()
    assert second is not None
    second.close()


# Who may see it


def test_the_folder_and_its_files_are_for_this_user_alone(folder):
    tokens = HostTokenStore(CREDENTIALS)
    lock = tokens.lock()
    assert lock is not None
    lock.close()
    tokens.write(TOKEN)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600, 0o600]


def test_neither_names_nor_files_tell_anything_without_the_credentials(folder):
    HostTokenStore(CREDENTIALS).write(TOKEN)
    file = the_file(folder)
    content = file.read_bytes()
    for secret in (b"token-planted", b"refresh-planted", b"pw-planted"):
        assert secret not in content
        assert secret not in base64.urlsafe_b64decode(content)
    quick = {getattr(hashlib, kind)(CREDENTIALS).hexdigest() for kind in ("md5", "sha1", "sha256")}
    assert not any(file.name in digest for digest in quick)


# What isn't ours


@pytest.fixture
def complaints(caplog) -> Any:
    caplog.set_level(logging.DEBUG, logger=HostTokenStore.__module__)
    return lambda: [record for record in caplog.records if "aren't shared" in record.getMessage()]


def spoiled(content: bytes) -> list[bytes]:
    sealed = bytearray(base64.urlsafe_b64decode(content))
    sealed[len(sealed) // 2] ^= 1
    return [b"", b"{}", b"\xff" * 300, content[:-8], base64.urlsafe_b64encode(bytes(sealed))]


@pytest.mark.parametrize("how", range(5), ids=["empty", "JSON", "noise", "cut off", "one bit"])
def test_a_damaged_file_is_no_token_and_is_replaced(how, folder, complaints):
    HostTokenStore(CREDENTIALS).write(TOKEN)
    file = the_file(folder)
    file.write_bytes(spoiled(file.read_bytes())[how])
    tokens = HostTokenStore(CREDENTIALS)
    assert (tokens.read(), tokens.read()) == (None, None)
    assert [record.levelname for record in complaints()] == ["DEBUG"]
    tokens.write(TOKEN)
    assert tokens.read() == TOKEN


def test_a_token_of_another_connection_under_our_name_is_none_of_ours(folder):
    HostTokenStore(CREDENTIALS).write(TOKEN)
    ours = the_file(folder)
    ours.rename(folder / "kept.lock")
    HostTokenStore(b"other").write(Token("foreign"))
    the_file(folder).rename(ours)
    assert HostTokenStore(CREDENTIALS).read() is None


def refuses(tokens: HostTokenStore) -> None:
    """See that a store keeps nothing, and lets everybody log in."""
    first, second = tokens.lock(), tokens.lock()
    assert first is not None
    assert second is not None
    first.close()
    second.close()
    tokens.write(TOKEN)
    assert tokens.read() is None


def test_a_link_in_place_of_the_folder_is_refused(folder, temp, complaints):
    elsewhere = temp / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    refuses(HostTokenStore(CREDENTIALS))
    assert list(elsewhere.iterdir()) == []
    assert len(complaints()) == 1


def test_a_folder_that_others_may_enter_is_refused(folder, complaints):
    folder.mkdir()
    folder.chmod(0o750)
    refuses(HostTokenStore(CREDENTIALS))
    assert list(folder.iterdir()) == []
    assert "not a folder of this user alone" in complaints()[0].getMessage()


def test_a_folder_of_someone_else_is_refused(folder, monkeypatch, complaints):
    folder.mkdir(mode=0o700)
    someone = os.geteuid() + 1
    folder.rename(folder.with_name(f"airflow-provider-asyncapi-{someone}"))
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    refuses(HostTokenStore(CREDENTIALS))
    assert "not a folder of this user alone" in complaints()[0].getMessage()


def test_a_link_in_place_of_a_file_is_neither_read_nor_followed(folder, temp):
    tokens = HostTokenStore(CREDENTIALS)
    tokens.write(TOKEN)
    file = the_file(folder)
    file.rename(temp / "moved")
    file.symlink_to(temp / "moved")
    assert tokens.read() is None
    tokens.write(Token("new"))
    assert not file.is_symlink()
    assert tokens.read() == Token("new")


def test_without_a_disk_that_can_be_written_there_is_no_store_and_one_line(temp, monkeypatch, complaints):
    (temp / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(temp / "file"))
    refuses(HostTokenStore(CREDENTIALS))
    assert len(complaints()) == 1


# In use


def log_in_and_ask(conn_json: str, start: Any, answers: Any) -> None:
    """Be the process of a task."""
    api = read_connection(Connection.from_json(conn_json), mask=False)
    start.wait(timeout=40)
    with closing(RequestsDriver(api)) as driver:
        answers.put(driver.run(send(api, Request("GET", f"{api.settings.base_url}/x"))).status)


def in_processes(conn_json: str) -> list[int]:
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=log_in_and_ask, args=(conn_json, start, answers), daemon=True) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        return [answers.get(timeout=50) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()


class Vendor(ApiServer):
    """Takes the newest token only, and some time for a login."""

    logins = 0
    revoked = 0

    def respond(self, method: str, path: str, headers: Headers, body: bytes) -> Any:
        with self._lock:
            if path == "/login":
                self.logins += 1
                token = self.logins
        if path == "/login":
            time.sleep(0.5)
            return reply({"token": f"t-{token}"})
        given = headers.get("Authorization", "")
        return reply({}, 200 if given == f"Bearer t-{self.logins}" and self.logins > self.revoked else 401)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_herd_of_processes_logs_in_once_and_once_more_when_its_token_is_refused():
    with Vendor() as vendor:
        conn = json.dumps({"conn_type": "asyncapi", "host": vendor.url, "password": "pw", "extra": LOGIN})
        assert in_processes(conn) == [200] * PROCESSES
        assert vendor.logins == 1
        vendor.revoked = 1
        assert in_processes(conn) == [200] * PROCESSES
        assert vendor.logins == 2


def ask_once(api: ApiServer) -> int:
    hook = AsyncApiHook()
    try:
        return hook.run(send(hook.api, Request("GET", f"{api.url}/x"))).status
    finally:
        hook.close()


async def ask_in_the_triggerer(api: ApiServer) -> int:
    async with SharedClient("asyncapi_default") as (settings, driver):
        return (await driver.run(send(settings, Request("GET", f"{api.url}/x")))).status


@pytest.mark.parametrize(
    ("extra", "logins"), [({}, 1), ({"login_cache": "host"}, 1), ({"login_cache": "process"}, 3)], ids=str
)
def test_workers_and_the_triggerer_share_a_login_unless_the_connection_says_otherwise(
    extra, logins, api, connect, folder
):
    connect(password="pw", extra={**LOGIN, **extra})
    api.respond_to("POST /login", reply({"token": "t-1"}))
    api.respond_to("GET /x", reply({}))
    assert [ask_once(api), asyncio.run(ask_in_the_triggerer(api)), ask_once(api)] == [200] * 3
    assert api.count("POST /login") == logins
    assert folder.exists() is (logins == 1)


def test_a_wait_that_is_cancelled_while_it_logs_in_lets_others_log_in(connect):
    async def cancelled(vendor: Vendor) -> None:
        waiting = asyncio.create_task(ask_in_the_triggerer(vendor))
        await until(lambda: vendor.logins)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    with Vendor() as vendor:
        connect(host=vendor.url, password="pw", extra=LOGIN)
        asyncio.run(cancelled(vendor))
        assert ask_once(vendor) == 200
        assert vendor.logins == 2


def test_oauth2_shares_its_token_too(api, connect):
    connect(login="id", password="secret", extra={"auth": "oauth2", "oauth2_url": "/token"})
    api.respond_to("POST /token", reply({"access_token": "t-1", "expires_in": 3600}))
    api.respond_to("GET /x", reply({}))
    assert [ask_once(api), ask_once(api)] == [200, 200]
    assert api.count("POST /token") == 1


def test_an_expired_token_is_renewed(api, connect):
    connect(password="pw", extra={**LOGIN, "login_expiry": "in"})
    api.respond_to("POST /login", reply({"token": "t-1", "in": 0}), reply({"token": "t-2", "in": 3600}))
    api.respond_to("GET /x", reply({}))
    assert [ask_once(api) for _ in range(3)] == [200] * 3
    assert api.count("POST /login") == 2
    assert [each.headers.get("Authorization") for each in api.requests if each.path == "/x"] == [
        "Bearer t-1",
        "Bearer t-2",
        "Bearer t-2",
    ]


def test_kinds_that_fetch_no_token_write_nothing(api, connect, folder):
    connect(login="ann", password="pw")
    api.respond_to("GET /x", reply({}))
    assert ask_once(api) == 200
    assert not folder.exists()


def test_the_test_button_logs_in_whatever_is_stored(api, connect):
    connect(password="pw", extra=LOGIN)
    api.respond_to("POST /login", reply({"token": "t-1"}), reply({"message": "locked"}, 401))
    api.respond_to("GET /x", reply({}))
    assert ask_once(api) == 200
    works, said = AsyncApiHook().test_connection()
    assert not works
    assert "locked" in said


def test_login_cache_is_one_of_two(connect):
    connect(password="pw", extra={**LOGIN, "login_cache": "disk"})
    works, said = AsyncApiHook().test_connection()
    assert not works
    assert said == "connection: login_cache has to be 'host' or 'process', not 'disk'"
