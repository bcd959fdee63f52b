"""Start DAGs when an API lists something new."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_asyncapi.airflow_private.event_state import load_event_state, store_event_state
from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core.effects import Log, Notification
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.events.plan import DEFAULT_INTERVAL, EventPlan, event_parameters
from airflow_provider_asyncapi.core.events.seen_items import SeenItems, make_digest
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.profiles.merging import merge_parameters
from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets
from airflow_provider_asyncapi.hooks.parameter_check import check_parameter_names
from airflow_provider_asyncapi.hooks.parameter_types import EventParameters
from airflow_provider_asyncapi.transports.pauses import sleep_in_loop
from airflow_provider_asyncapi.triggers import lazy
from airflow_provider_asyncapi.triggers.storable_parameters import check_storable

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api

log = logging.getLogger(__name__)
#: Version of the layout of the trigger's arguments; see :mod:`~.stored_fields`.
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


@dataclass(slots=True)
class _Watch:
    """
    The list that the event trigger polls, and its state.

    :param parameters: the parameters, including the profile's.
    :param plan: the same, parsed.
    :param state_key: the key of the stored state.
    :param seen: the items of the polls so far.
    :param stored: the state that was stored last.
    """

    parameters: dict[str, Any]
    plan: EventPlan
    state_key: str
    seen: SeenItems | None
    stored: SeenItems | None


class AsyncApiEventTrigger(BaseEventTrigger):
    """
    Poll a request, and cause an asset event if there are items that are new or have changed.

    For ``AssetWatcher(name=…, trigger=AsyncApiEventTrigger(…))``. An event's payload has ``items``: each new item of a
    poll, with an ``id`` and the captured ``values``. Each item comes at least once: if the triggerer is killed in the
    seconds after an event, its items may come again, with the same ``id``; see
    :func:`~.asset_events.find_new_events`.

    Its arguments are plain text in the metadata database: none of them may be a secret.

    :param asyncapi_conn_id: the connection.
    :param profile: the profile whose table ``events`` sets the parameters that are left out; by default that of the
        connection, which is read in the triggerer.
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
        profile: str | None = None,
        stored: str | None = None,
        **parameters: Unpack[EventParameters],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.asyncapi_conn_id = asyncapi_conn_id
        self._parse_error: AsyncApiError | None = None
        if stored is None:
            given = check_parameter_names("AsyncApiEventTrigger", parameters, {*event_parameters()})
            self.names_profile = profile is not None
            self.parameters = given if profile is None else _merge(profile, given)
            EventPlan.parse(self.parameters, complete=self.names_profile or "endpoint" in given)
            refuse_secrets(self.parameters)
            try:
                json.dumps(self.parameters)
            except TypeError as error:
                raise ConfigurationError(f"AsyncApiEventTrigger takes JSON values: {error}") from None
        else:
            known = ("parameters", "names_profile")
            kept = json.loads(stored)
            self.parameters, self.names_profile = kept["parameters"], kept.get("names_profile", False)
            try:
                read_fields(kept, "the event trigger", version=_LAYOUT, known=known)
            except AsyncApiError as error:
                # The triggerer can't handle an exception here, so run() raises it.
                self._parse_error = error

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Return the class path and the arguments.

        The parameters are one string: Airflow identifies the trigger by a hash of its arguments, which isn't the same
        for a mapping before and after it was stored.
        """
        kept = {"version": _LAYOUT, "parameters": self.parameters, "names_profile": self.names_profile}
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"asyncapi_conn_id": self.asyncapi_conn_id, "stored": json.dumps(kept)}

    def __repr__(self) -> str:
        return f"<AsyncApiEventTrigger {self.asyncapi_conn_id} {self.parameters.get('endpoint')}>"

    def make_state_key(self, parameters: Mapping[str, Any]) -> str:
        """
        Return the key of the state: equal as long as the same items are polled in the same way.

        :param parameters: the parameters, including the profile's.
        """
        polled: Any = {name: value for name, value in parameters.items() if name not in _STATELESS}
        return f"asyncapi_events_{make_digest([self.asyncapi_conn_id, polled])}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll for ever, and yield an event for the new items of each poll.

        An error is logged, and the next poll comes later. If the trigger failed, Airflow would start it every second.
        """
        watch: _Watch | None = None
        errors = 0
        while True:
            try:
                async with lazy.CurrentClient(self.asyncapi_conn_id, lambda: None) as (api, driver):
                    watch = await self._update_watch(watch, api)
                    while True:
                        found, after = await driver.run(
                            lazy.find_new_items(api, watch.plan, watch.seen), observe=self._log_event
                        )
                        if found:
                            # One for all: Airflow starts a run with the first of several events that come at once, and
                            # keeps the others for the run after the next event.
                            items = [{"id": item.event_id, "values": item.values} for item in found]
                            yield TriggerEvent({"items": items})
                            await sleep_in_loop(_TIME_TO_STORE_EVENTS)
                        watch.seen = after
                        if after != watch.stored:
                            await store_event_state(self, watch.state_key, after.dump())
                            watch.stored = after
                        errors = 0
                        await sleep_in_loop(watch.plan.interval)
            except (AsyncApiError, AirflowUnavailableError) as error:
                interval = DEFAULT_INTERVAL if watch is None else watch.plan.interval
                delay = min(interval * 2**errors, max(interval, _MAX_DELAY))
                errors = min(errors + 1, _MAX_DOUBLINGS)
                log.warning("%r: %s; polling again in %g s", self, error, delay)
                await sleep_in_loop(delay)
            except Exception:
                # A secrets backend may raise anything; so may a bug.
                log.exception("%r: polling again in %g s", self, _MAX_DELAY)
                await sleep_in_loop(_MAX_DELAY)

    async def _update_watch(self, watch: _Watch | None, api: Api) -> _Watch:
        """
        Return what is polled and its state; the profile of the connection may have changed with the connection.

        :param watch: what was polled before; None at the start.
        """
        if self._parse_error is not None:
            raise self._parse_error
        check_storable(self.parameters, api)
        parameters = await asyncio.to_thread(self._complete_parameters, api)
        if watch is not None and watch.parameters == parameters:
            return watch
        # The first plan imports the parsers of selectors, which would block the event loop for too long.
        plan = await asyncio.to_thread(EventPlan.parse, parameters)
        state_key = self.make_state_key(parameters)
        stored = await self._load_state(state_key)
        return _Watch(parameters, plan, state_key, stored, stored)

    def _complete_parameters(self, api: Api) -> dict[str, Any]:
        """Return the parameters, with those of the connection's profile if the DAG names no profile."""
        profile = api.settings.profile
        return self.parameters if self.names_profile or profile is None else _merge(profile, self.parameters)

    async def _load_state(self, key: str) -> SeenItems | None:
        kept = await load_event_state(self, key)
        try:
            return None if kept is None else SeenItems.parse(kept)
        except ValueError as error:
            raise ConfigurationError(f"{error}; delete {key} to start again") from error

    def _log_event(self, event: Notification) -> None:
        # Each poll logs the number of its pages.
        if isinstance(event, Log) and event.level > logging.INFO:
            log.log(event.level, "%s", event.message)


def _merge(profile: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return merge_parameters("events", load_profile(profile), given)
