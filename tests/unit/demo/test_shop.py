import pytest

from demo.server.deliveries import signature
from demo.server.shop import WEBHOOK_HEADER, WEBHOOK_KEY
from tests.unit.eventually import wait_until


def test_the_list_grows_to_three_orders(call, clock):
    counts = []
    for _ in range(4):
        counts.append(len(call("GET", "/shop/orders").json()["orders"]))
        clock.advance(12)
    assert counts == [1, 2, 3, 3]


@pytest.fixture
def options():
    return {"callback_retry_seconds": ()}


def test_a_registered_webhook_is_called_signed(call, server):
    received = []
    from tests.loopback import Server, encode

    def take(asked):
        received.append(asked)
        return encode(200, {}, b"")

    listener = Server(take)
    try:
        name = call("POST", "/shop/webhooks", json={"url": f"{listener.url}/hook"}).json()["id"]
        wait_until(lambda: received)
    finally:
        listener.close()
    (asked,) = received
    assert asked.headers[WEBHOOK_HEADER.lower()] == signature(WEBHOOK_KEY, asked.body)
    assert call("DELETE", f"/shop/webhooks/{name}").status_code == 204


def test_only_a_registered_webhook_can_be_deleted(call):
    assert call("DELETE", "/shop/webhooks/9").status_code == 404
    assert call("POST", "/shop/webhooks", json={}).status_code == 422
