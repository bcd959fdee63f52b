"""Start DAGs when an API lists something new."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Unpack

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_asyncapi.airflow_private.event_state import load_event_state, store_event_state
from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.core.effects import Log, Notification
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.events.flow import find_new_items
from airflow_provider_asyncapi.core.events.plan import DEFAULT_INTERVAL, EventPlan, event_parameters
from airflow_provider_asyncapi.core.events.seen_items import SeenItems, make_digest
from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets
from airflow_provider_asyncapi.hooks.calls import check_parameter_names
from airflow_provider_asyncapi.hooks.parameters import EventParameters
from airflow_provider_asyncapi.triggers.storable_parameters import check_storable

log = logging.getLogger(__name__)
#: Version of the layout of the trigger's arguments; see :mod:`~.layouts`.
_LAYOUT = 1
#: Seconds from an event until its state is stored. Airflow passes events on every second; a state that is stored before
#: its event would lose the event if the triggerer is killed in between.
_TIME_TO_STORE_EVENTS = 5.0
#: Longest delay after errors, in seconds, unless the interval is longer.
_MAX_DELAY, _MAX_DOUBLINGS = 600.0, 20
#: Parameters whose change doesn't make the trigger start again.
_STATELESS = frozenset(
    {"poke_interval", "start_from", "capture", "error_message", "max_consecutive_errors", "retry_delays"}
)


class AsyncApiEventTrigger(BaseEventTrigger):
    """
    Poll a request, and cause an asset event if there are items that are new or have changed.

    For ``AssetWatcher(name=…, trigger=AsyncApiEventTrigger(…))``. An event's payload has ``items``: each new item of a
    poll, with an ``id`` and the captured ``values``. Each item comes at least once: if the triggerer is killed in the
    seconds after an event, its items may come again, with the same ``id``; see
    :func:`~.asset_events.find_new_events`.

    Its arguments are plain text in the metadata database: none of them may be a secret.

    :param asyncapi_conn_id: the connection.
    :param parameters: the request (``endpoint``, ``method``, ``query_params``, ``headers``, ``json``, …), and its
        ``rules``, ``result_format`` and paging, as for ``AsyncApiFetchOperator``.
    :param items: selector of the list of items; by default the whole response.
    :param item_id: selector of an item's identifier, within the item; by default the whole item identifies it.
    :param watermark: selector of a number or a time that grows from item to item, within the item. The request may name
        the highest so far, ``{watermark}``.
    :param changed: selector of a value within the item, whose changes cause events; without ``items``, within the
        response and its headers.
    :param when: the condition that an item has to meet, such as ``{"selector": "state", "in": ["paid"]}``.
    :param capture: selectors of the values of an item, by name, within the item.
    :param start_from: ``"now"`` (default): the items of the first poll cause no events; ``"all"``: they do; with
        ``watermark``, the first watermark.
    :param poke_interval: seconds between two polls; by default 60.
    :param stored: arguments from the metadata database, set by Airflow only.
    :raises ConfigurationError: when the DAG is parsed, if a parameter is wrong; the message names it.
    """

    def __init__(
        self,
        *,
        asyncapi_conn_id: str = "asyncapi_default",
        stored: str | None = None,
        **parameters: Unpack[EventParameters],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.asyncapi_conn_id = asyncapi_conn_id
        if stored is None:
            self.parameters = check_parameter_names("AsyncApiEventTrigger", parameters, {*event_parameters()})
            EventPlan.parse(self.parameters)
            refuse_secrets(self.parameters)
            try:
                json.dumps(self.parameters)
            except TypeError as error:
                raise ConfigurationError(f"AsyncApiEventTrigger takes JSON values: {error}") from None
        else:
            # The triggerer can't handle an exception here; run() parses them.
            self.parameters = json.loads(stored)["parameters"]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Return the class path and the arguments.

        The parameters are one string: Airflow identifies the trigger by a hash of its arguments, which isn't the same
        for a mapping before and after it was stored.
        """
        stored = json.dumps({"version": _LAYOUT, "parameters": self.parameters})
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"asyncapi_conn_id": self.asyncapi_conn_id, "stored": stored}

    def __repr__(self) -> str:
        return f"<AsyncApiEventTrigger {self.asyncapi_conn_id} {self.parameters.get('endpoint')}>"

    @property
    def state_key(self) -> str:
        """The key of the state: equal as long as the same items are polled in the same way."""
        polled: Any = {name: value for name, value in self.parameters.items() if name not in _STATELESS}
        return f"asyncapi_events_{make_digest([self.asyncapi_conn_id, polled])}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll for ever, and yield an event for the new items of each poll.

        An error is logged, and the next poll comes later. If the trigger failed, Airflow would start it every second.
        """
        from airflow_provider_asyncapi.hooks.clients import CurrentClient

        plan: EventPlan | None = None
        seen: SeenItems | None = None
        stored: SeenItems | None = None
        errors = 0
        while True:
            try:
                if plan is None:
                    # The first plan imports the parsers of selectors, which would block the event loop for too long.
                    parsed = await asyncio.to_thread(EventPlan.parse, self.parameters)
                    stored = seen = await self._load_state()
                    plan = parsed
                async with CurrentClient(self.asyncapi_conn_id, lambda: None) as (api, driver):
                    check_storable(self.parameters, api)
                    while True:
                        found, after = await driver.run(find_new_items(api, plan, seen), observe=self._log_event)
                        if found:
                            # One for all: Airflow starts a run with the first of several events that come at once, and
                            # keeps the others for the run after the next event.
                            items = [{"id": item.event_id, "values": item.values} for item in found]
                            yield TriggerEvent({"items": items})
                            await asyncio.sleep(_TIME_TO_STORE_EVENTS)
                        seen = after
                        if after != stored:
                            await store_event_state(self, self.state_key, after.dump())
                            stored = after
                        errors = 0
                        await asyncio.sleep(plan.interval)
            except (AsyncApiError, AirflowUnavailableError) as error:
                interval = DEFAULT_INTERVAL if plan is None else plan.interval
                delay = min(interval * 2**errors, max(interval, _MAX_DELAY))
                errors = min(errors + 1, _MAX_DOUBLINGS)
                log.warning("%r: %s; polling again in %g s", self, error, delay)
                await asyncio.sleep(delay)
            except Exception:
                # Of a secrets backend, or a bug.
                log.exception("%r: polling again in %g s", self, _MAX_DELAY)
                await asyncio.sleep(_MAX_DELAY)

    async def _load_state(self) -> SeenItems | None:
        kept = await load_event_state(self, self.state_key)
        try:
            return None if kept is None else SeenItems.parse(kept)
        except ValueError as error:
            raise ConfigurationError(f"{error}; delete {self.state_key} to start again") from error

    def _log_event(self, event: Notification) -> None:
        # Each poll logs the number of its pages.
        if isinstance(event, Log) and event.level > logging.INFO:
            log.log(event.level, "%s", event.message)
