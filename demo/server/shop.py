"""
Play a shop whose list of orders grows, and which calls a webhook.

All is assumed (A). A second and a third order are paid after two and four times ``job_seconds``. A webhook is
registered by its URL, and called once, signed, with an order. No credentials.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from aiohttp import web

from demo.server.deliveries import Deliveries
from demo.server.web import JsonObject, RefusedError, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

WEBHOOK_KEY: Final = "shop-webhook-key"
WEBHOOK_HEADER: Final = "X-Shop-Signature"
#: So that nothing starts any more once all has been shown.
_MOST_ORDERS = 3


def refuse(status: int, message: str) -> RefusedError:
    """Wrap an error."""
    return RefusedError(status, {"message": message})


class Shop:
    """Answer for the shop."""

    def __init__(self, settings: Settings) -> None:
        self.deliveries = Deliveries(WEBHOOK_KEY, settings.callback_retry_seconds, header=WEBHOOK_HEADER)
        self._clock, self._seconds = settings.clock, settings.job_seconds
        self._since = settings.clock()
        self._webhooks: set[str] = set()
        self._webhook_ids = itertools.count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.get("/shop/orders", self.orders),
            web.post("/shop/webhooks", self.register),
            web.delete("/shop/webhooks/{id}", self.unregister),
        ]

    async def close(self) -> None:
        """Cancel the deliveries that are still under way."""
        await self.deliveries.close()

    async def orders(self, _request: web.Request) -> web.Response:
        """List the latest orders."""
        passed = int((self._clock() - self._since) // (2 * self._seconds))
        return web.json_response(
            {"orders": [self._order(number + 1) for number in range(min(passed + 1, _MOST_ORDERS))]}
        )

    async def register(self, request: web.Request) -> web.Response:
        """Register a webhook, and call it with an order."""
        url = (await read_json(request, refuse)).get("url")
        if not isinstance(url, str) or not url.startswith("http"):
            raise refuse(422, "url is missing.")
        name = str(next(self._webhook_ids))
        self._webhooks.add(name)
        order = self._order(int(name))
        self.deliveries.deliver(url, {"event": {"id": f"evt-{name}", "type": "order.paid", "order": order}}, 0.0)
        return web.json_response({"id": name}, status=201)

    async def unregister(self, request: web.Request) -> web.Response:
        """Forget a webhook."""
        name = request.match_info["id"]
        if name not in self._webhooks:
            raise refuse(404, "There is no such webhook.")
        self._webhooks.remove(name)
        return web.Response(status=204)

    def _order(self, number: int) -> JsonObject:
        return {"id": f"o-{number}", "state": "paid", "total": {"amount": 10 * number}}
