"""The demo server calls back as the vendor says it does."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.http.messages import Headers
from demo.connections import connections
from demo.server import DemoServer
from demo.server.deliveries import RETRY_SECONDS, signature
from tests.loopback import Asked, Behaviour, Server, reply
from tests.unit.eventually import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AUTH = {"Authorization": "User user-secret, Element element-secret", "Elements-Async-Request": "True"}


class Receiver:
    """Take callbacks, and answer them with these codes, the last one for ever."""

    def __init__(self) -> None:
        self.codes = [200]
        self.calls: list[tuple[Headers, bytes]] = []
        self.server = Server(self._take)
        self.url = f"{self.server.url}/hook"

    def _take(self, asked: Asked) -> Behaviour:
        self.calls.append((Headers(asked.headers.items()), asked.body))
        return reply(b"", self.codes.pop(0) if len(self.codes) > 1 else self.codes[0], close=True)

    def until(self, count: int) -> None:
        wait_until(lambda: len(self.calls) >= count)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.close()


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer(job_seconds=0, rate_limit_every=0, callback_retry_seconds=[0.0] * 3) as server:
        yield server


def dispatch(call: Callable[..., Any], receiver: Receiver) -> int:
    headers = {**AUTH, "Elements-Async-Callback-Url": receiver.url}
    return int(call("GET", "/hubs/crm/contacts", headers=headers).json()["eventId"])


def test_the_signature_is_the_one_that_the_vendor_documents() -> None:
    body = b"<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>"
    assert signature("MySecretEventSignatureKey", body) == "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="


def test_it_tries_again_after_4_to_the_power_of_x_seconds() -> None:
    assert RETRY_SECONDS == (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)


def test_a_callback_has_the_result_and_is_genuine_to_the_connection_of_the_demo(
    receiver: Receiver, call: Callable[..., Any], server: DemoServer
) -> None:
    event = dispatch(call, receiver)
    receiver.until(1)
    headers, body = receiver.calls[0]
    connection = connections(server.url)["cloud_elements"]
    settings = ConnectionSettings.parse({"host": server.url, **connection["extra"]}).callback
    settings.verify(headers, body, time.time())
    document = json.loads(body)
    assert (document["eventId"], len(document["response"]["events"])) == (event, 6)
    assert headers["content-type"] == "application/json"


def test_a_callback_that_nobody_takes_is_repeated_byte_for_byte_until_somebody_does(
    receiver: Receiver, call: Callable[..., Any], server: DemoServer
) -> None:
    receiver.codes = [404, 500, 204]
    dispatch(call, receiver)
    attempts = server.cloud_elements.deliveries.attempts
    wait_until(lambda: len(attempts) == 3)
    assert len({body for _, body in receiver.calls}) == 1
    assert [attempt.status for attempt in server.cloud_elements.deliveries.attempts] == [404, 500, 204]


def test_after_the_last_try_it_gives_up(receiver: Receiver, call: Callable[..., Any], server: DemoServer) -> None:
    receiver.codes = [503]
    dispatch(call, receiver)
    attempts = server.cloud_elements.deliveries.attempts
    wait_until(lambda: len(attempts) == 4)
    assert [attempt.status for attempt in server.cloud_elements.deliveries.attempts] == [503] * 4


def test_a_receiver_that_is_not_there_is_tried_again_too(call: Callable[..., Any], server: DemoServer) -> None:
    headers = {**AUTH, "Elements-Async-Callback-Url": "http://127.0.0.1:9/hook"}
    call("GET", "/hubs/crm/contacts", headers=headers)
    wait_until(lambda: len(server.cloud_elements.deliveries.attempts) == 4)
    assert [attempt.status for attempt in server.cloud_elements.deliveries.attempts] == [0] * 4
