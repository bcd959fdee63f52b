"""The parameters of an event trigger, parsed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.events.seen_items import SeenItems
from airflow_provider_asyncapi.core.fetch.paging.registry import paging_parameters
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.selectors.captures import parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.rule_operators import Bound
from airflow_provider_asyncapi.core.status.rules import Condition

#: The variable that holds the highest watermark so far.
WATERMARK = "watermark"
_FETCH_PARAMETERS = ("rules", "error_message", "result_format", "max_consecutive_errors", "retry_delays")
_OWN_PARAMETERS = ("items", "item_id", "changed", "watermark", "when", "capture", "start_from", "poke_interval")
#: Seconds between two polls.
DEFAULT_INTERVAL = 60.0


def event_parameters() -> tuple[str, ...]:
    """Return the names of all parameters of an event trigger."""
    return (*REQUEST_PARAMETERS, *paging_parameters(), *_FETCH_PARAMETERS, *_OWN_PARAMETERS)


@dataclass(frozen=True, slots=True)
class EventPlan:
    """
    How new items are found.

    :param fetch: the request, its pages, and the selector of the items.
    :param interval: seconds between two polls.
    :param start: the state before the first poll; None if the items of the first poll cause no events.
    :param item_id: the selector of an item's identifier, within the item; None if the whole item identifies it.
    :param changed: the selector of the value whose changes cause events, within the item.
    :param watermark: the selector of a number or a time that grows from item to item, within the item.
    :param when: the condition that an item has to meet.
    :param captures: the selectors of the values of an event, within the item.
    """

    fetch: FetchPlan
    interval: float = DEFAULT_INTERVAL
    start: SeenItems | None = None
    item_id: SelectorChain | None = None
    changed: SelectorChain | None = None
    watermark: SelectorChain | None = None
    when: Condition | None = None
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)

    @property
    def watches_response(self) -> bool:
        """Whether the only item is the response itself, with its headers."""
        return self.changed is not None and self.fetch.result_path is None and self.fetch.paging is None

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> EventPlan:
        """
        Parse the parameters of the event trigger.

        :param given: a mapping with keys of :func:`event_parameters`.
        :param complete: whether no profile can add anything, so that a missing parameter is an error.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        explicit = {name: value for name, value in given.items() if value is not None}
        if "changed" in explicit and "watermark" in explicit:
            raise ConfigurationError("changed: can't be combined with watermark, which a changed item raises itself")
        request = {name: value for name, value in explicit.items() if name not in _OWN_PARAMETERS}
        if "items" in explicit:
            request["result_path"] = explicit["items"]
        plan = cls(
            FetchPlan.parse(request, complete=complete),
            _parse_interval(explicit.get("poke_interval")),
            _parse_start(explicit.get("start_from", "now"), has_watermark="watermark" in explicit or not complete),
            SelectorChain.parse_optional(explicit.get("item_id"), "item_id"),
            SelectorChain.parse_optional(explicit.get("changed"), "changed"),
            SelectorChain.parse_optional(explicit.get("watermark"), "watermark"),
            Condition.parse(explicit["when"], "when") if "when" in explicit else None,
            parse_captures(explicit.get("capture"), "capture"),
        )
        names_watermark = WATERMARK in plan.fetch.step.request.find_variables()
        if complete and names_watermark and (plan.start is None or not plan.start.watermark):
            raise ConfigurationError(
                "start_from: has to be the first {watermark}, a number or a time, since the request names it"
            )
        return plan


def _parse_start(given: Any, *, has_watermark: bool) -> SeenItems | None:
    if given == "now":
        return None
    if given == "all":
        return SeenItems()
    bound = Bound.read(given)
    if bound.number is None and bound.moment is None:
        raise ConfigurationError(
            f"start_from: has to be 'now', 'all', or with watermark a number or an ISO 8601 time, not {given!r}"
        )
    if not has_watermark:
        raise ConfigurationError(f"start_from: {given!r} needs watermark, the selector of the value to compare")
    return SeenItems(given)


def _parse_interval(given: Any) -> float:
    if given is None:
        return DEFAULT_INTERVAL
    seconds = as_number(given)
    if seconds is None or seconds <= 0:
        raise ConfigurationError(f"poke_interval: has to be a number of seconds above 0, not {given!r}")
    return seconds
