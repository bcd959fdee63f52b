"""Poll a list once, and find the items that are new or have changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow
from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError
from airflow_provider_asyncapi.core.events.plan import WATERMARK, EventPlan
from airflow_provider_asyncapi.core.events.seen_items import SeenItems, make_digest
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.page_flow import fetch_pages
from airflow_provider_asyncapi.core.fetch.result_value import make_json_response, to_rows
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.captures import capture_values
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.rule_operators import Bound


@dataclass(frozen=True, slots=True)
class NewItem:
    """
    An item that causes an event.

    :param event_id: the identifier of the event: equal if the same item is found again from the same state.
    :param values: the captured values.
    """

    event_id: str
    values: dict[str, JsonValue] = field(repr=False)


def find_new_items(api: Api, plan: EventPlan, seen: SeenItems | None) -> Flow[tuple[list[NewItem], SeenItems]]:
    """
    Poll once.

    :param seen: the state after the last poll; None before the first one.
    :return: the new items, in the order of the list, and the state after this poll.
    :raises AsyncApiError: if the poll fails, or an item lacks a value that identifies it.
    """
    before = seen or plan.start or SeenItems()
    variables = {} if before.watermark is None else {WATERMARK: before.watermark}
    fetcher = ResultFetcher(api, plan.fetch, JobHandle(None, variables=variables))
    poll = _Poll(plan, before)
    try:
        if plan.watches_response:
            fetched = yield from fetcher.fetch_response(plan.fetch.step, lambda: fetcher.variables)
            poll.add_item(None, fetched.response)
        elif plan.fetch.paging is None:
            value, _ = yield from fetcher.fetch_value(MAX_BODY)
            poll.add_items(to_rows(value))
        else:
            yield from fetch_pages(fetcher, plan.fetch.paging, lambda rows, _: poll.add_items(rows))
    except NoDataError:
        pass
    found = [] if seen is None and plan.start is None else poll.found
    return found, poll.state_after()


class _Poll:
    """
    The items of one poll.

    :param before: the state before the poll.
    """

    def __init__(self, plan: EventPlan, before: SeenItems) -> None:
        self._plan = plan
        self._before = before
        self._revisions: dict[str, str] = {}
        self._watermark = before.watermark
        self._found_names: set[str] = set()
        self.found: list[NewItem] = []

    def add_items(self, items: Iterable[JsonValue]) -> None:
        """Compare items with the state, and keep the new ones."""
        for item in items:
            self.add_item(item, make_json_response(item))

    def add_item(self, item: JsonValue, response: Response) -> None:
        """
        Compare an item with the state, and keep it if it is new.

        :param response: the item as a response, for selectors.
        """
        if self._plan.when is None or self._plan.when.holds(response, {}):
            self._compare_item(item, response)

    def state_after(self) -> SeenItems:
        """Return the state after the poll."""
        if self._plan.watermark is None:
            return self._before.with_items(self._revisions)
        if self._watermark == self._before.watermark:
            return self._before.with_items(self._revisions, self._watermark)
        return SeenItems().with_items(self._revisions, self._watermark)

    def _compare_item(self, item: JsonValue, response: Response) -> None:
        plan = self._plan
        # With changed alone, all items are one: any change of its value counts.
        whole = item if plan.changed is None else None
        identity = whole if plan.item_id is None else _find_value(plan.item_id, response, "item_id")
        mark = None if plan.watermark is None else _find_value(plan.watermark, response, "watermark")
        if mark is not None and self._before.watermark is not None and _compare(mark, self._before.watermark) < 0:
            return
        name = make_digest(identity if mark is None else [identity, mark])
        value = "" if plan.changed is None else make_digest(plan.changed.find_value(response, {}))
        count, _, last = self._before.revisions.get(name, "0:").partition(":")
        is_new = name not in self._before.revisions or value != last
        revision = f"{int(count) + 1}:{value}" if is_new else self._before.revisions[name]
        if is_new and name not in self._found_names:
            self._found_names.add(name)
            captured = capture_values(plan.captures, response, {})
            # A captured value is also a variable by the text of its selector, which no request names here.
            captured = {name: value for name, value in captured.items() if name in plan.captures}
            values = dict(JobHandle(None).with_variables(captured).variables)
            self.found.append(NewItem(make_digest([name, revision]), values))
        if mark is None or self._reaches_watermark(mark):
            self._revisions[name] = revision

    def _reaches_watermark(self, mark: JsonValue) -> bool:
        """Return whether an item is at the highest watermark, which it raises if it is above that."""
        step = 1 if self._watermark is None else _compare(mark, self._watermark)
        if step > 0:
            # Only the items at the highest watermark have to be remembered.
            self._watermark, self._revisions = mark, {}
        return step >= 0


def _find_value(selector: SelectorChain, response: Response, where: str) -> JsonValue:
    value = selector.find_value(response, {})
    if value is None:
        raise MissingValueError(f"{where}: {selector} found nothing in an item of the list")
    return value


def _compare(value: JsonValue, other: JsonValue) -> float:
    """
    Return the difference of two watermarks.

    :raises ContentError: if they aren't both numbers or both times.
    """
    one, two = Bound.read(value), Bound.read(other)
    if one.number is not None and two.number is not None:
        return one.number - two.number
    if one.moment is not None and two.moment is not None:
        return one.moment - two.moment
    raise ContentError(f"watermark: {value!r} and {other!r} aren't both numbers, or both times in ISO 8601")
