from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError, ResultTooLargeError
from airflow_provider_asyncapi.core.events import seen_items
from airflow_provider_asyncapi.core.events.flow import NewItem, find_new_items
from airflow_provider_asyncapi.core.events.plan import EventPlan
from airflow_provider_asyncapi.core.events.seen_items import SeenItems
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response


class Source(FlowRunner):
    """Polls with the same parameters, and stores the state in between as JSON."""

    def __init__(self, *replies: Any, **given: Any) -> None:
        super().__init__(make_api(), *replies)
        self.plan = EventPlan.parse({"endpoint": "/orders", **given})
        self.seen: SeenItems | None = None

    def poll(self) -> list[NewItem]:
        found: list[NewItem]
        found, state = self.run(find_new_items(self.api, self.plan, self.seen))
        self.seen = SeenItems.parse(state.dump())
        return found

    def values(self) -> list[Any]:
        return [item.values.get("id") for item in self.poll()]


def orders(*ids: Any, **more: Any) -> Any:
    return make_response({"orders": [{"id": each} if not isinstance(each, dict) else each for each in ids], **more})


BY_ID: dict[str, Any] = {"items": "orders", "item_id": "id", "capture": {"id": "id"}}
BY_TIME: dict[str, Any] = {"items": "orders", "item_id": "id", "watermark": "at", "capture": {"id": "id"}}


def test_the_items_of_the_first_poll_cause_no_events_and_later_ones_do() -> None:
    source = Source(orders(1, 2), orders(1, 2, 3), orders(3), orders(1, 3, 4), **BY_ID)
    assert [source.values() for _ in range(4)] == [[], [3], [], [4]]


def test_all_items_cause_events_if_the_trigger_starts_from_all() -> None:
    assert Source(orders(1, 2), start_from="all", **BY_ID).values() == [1, 2]


def test_a_first_poll_that_finds_nothing_is_a_first_poll() -> None:
    source = Source(orders(), orders(1), **BY_ID)
    assert [source.values(), source.values()] == [[], [1]]


def test_the_same_state_finds_the_same_event_id_again() -> None:
    replies = [orders(1), orders(2, 1), orders(3, 2, 1)]
    one, two = (Source(*replies, **BY_ID) for _ in range(2))
    one.poll(), two.poll()
    first = one.poll()
    two.replies.pop(0)
    again = two.poll()
    assert first[0].event_id in {item.event_id for item in again}
    assert len({item.event_id for item in again}) == 2


def test_without_an_identifier_the_whole_item_is_compared() -> None:
    source = Source(
        orders({"id": 1, "state": "new"}), orders({"id": 1, "state": "paid"}), items="orders", capture={"id": "id"}
    )
    assert [source.values(), source.values()] == [[], [1]]


def test_an_item_that_is_listed_twice_causes_one_event() -> None:
    assert Source(orders(1, 1), start_from="all", **BY_ID).values() == [1]


def test_an_item_causes_an_event_once_it_meets_the_condition() -> None:
    new, paid = ({"id": 1, "state": state} for state in ("new", "paid"))
    source = Source(orders(new), orders(paid), orders(paid), when={"selector": "state", "in": ["paid"]}, **BY_ID)
    assert [source.values() for _ in range(3)] == [[], [1], []]


def test_each_change_of_a_value_causes_an_event_with_an_id_of_its_own() -> None:
    source = Source(*(make_response({"etag": each}) for each in "aabab"), changed="etag", capture={"id": "etag"})
    polls = [source.poll() for _ in range(5)]
    assert [[item.values["id"] for item in found] for found in polls] == [[], [], ["b"], ["a"], ["b"]]
    assert len({item.event_id for found in polls for item in found}) == 3


def test_changes_of_each_item_cause_events() -> None:
    first = [{"id": 1, "v": 1}, {"id": 2, "v": 1}]
    source = Source(orders(*first), orders(first[0], {"id": 2, "v": 2}), changed="v", **BY_ID)
    assert [source.values(), source.values()] == [[], [2]]


def test_the_watermark_is_a_variable_of_the_request_and_grows() -> None:
    source = Source(
        orders({"id": 1, "at": "2026-01-01T00:00:01Z"}),
        orders({"id": 1, "at": "2026-01-01T00:00:01Z"}, {"id": 2, "at": "2026-01-01T00:00:01+00:00"}),
        orders({"id": 4, "at": "2026-01-03T00:00:00Z"}, {"id": 3, "at": "2026-01-02T00:00:00Z"}),
        orders({"id": 4, "at": "2026-01-03T00:00:00Z"}, {"id": 0, "at": "2026-01-01T00:00:00Z"}),
        query_params={"since": "{watermark}"},
        start_from="2026-01-01T00:00:00Z",
        **BY_TIME,
    )
    assert [source.values() for _ in range(4)] == [[1], [2], [4, 3], []]
    assert [path.partition("since=")[2] for path in source.paths] == [
        "2026-01-01T00%3A00%3A00Z",
        "2026-01-01T00%3A00%3A01Z",
        "2026-01-01T00%3A00%3A01Z",
        "2026-01-03T00%3A00%3A00Z",
    ]
    assert source.seen is not None
    assert len(source.seen.revisions) == 1


def test_an_item_whose_watermark_grows_causes_another_event() -> None:
    source = Source(orders({"id": 1, "at": 5}), orders({"id": 1, "at": 6}), **BY_TIME)
    assert [source.values(), source.values()] == [[], [1]]


def test_new_items_are_found_on_all_pages() -> None:
    source = Source(
        orders(1, next="/orders?page=2"), orders(2), next_page="next", start_from="all", result_format="json", **BY_ID
    )
    assert source.values() == [1, 2]


def test_a_response_without_data_by_a_rule_has_no_items() -> None:
    rules = [{"selector": "status_code", "in": [404], "outcome": "no_data"}]
    assert Source(make_response(None, 404), start_from="all", rules=rules, **BY_ID).values() == []


def test_an_item_without_identifier_is_an_error_that_names_the_selector() -> None:
    with pytest.raises(MissingValueError, match="item_id: 'key' found nothing"):
        Source(orders(1), items="orders", item_id="key").poll()


def test_watermarks_that_can_not_be_compared_are_an_error() -> None:
    with pytest.raises(ContentError, match="watermark: 'b' and 'a' aren't both numbers"):
        Source(orders({"id": 1, "at": "a"}, {"id": 2, "at": "b"}), **BY_TIME).poll()


def test_forgotten_items_are_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_items, "MAX_ITEMS", 2)
    source = Source(orders(1), orders(2), orders(3), orders(2), orders(1), **BY_ID)
    assert [source.values() for _ in range(5)] == [[], [2], [3], [], [1]]


def test_a_list_that_is_too_long_to_remember_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_items, "MAX_ITEMS", 1)
    with pytest.raises(ResultTooLargeError, match="items: there are 2 items, and at most 1 are remembered"):
        Source(orders(1, 2), **BY_ID).poll()


def test_a_change_of_a_header_causes_an_event_without_a_body() -> None:
    source = Source(
        *(make_response(None, etag=each) for each in "aab"),
        method="HEAD",
        changed="header:ETag",
        capture={"id": "header:ETag"},
    )
    assert [source.values() for _ in range(3)] == [[], [], ["b"]]
