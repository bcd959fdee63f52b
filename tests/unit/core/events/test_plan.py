from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.events.plan import EventPlan, event_parameters
from airflow_provider_asyncapi.core.events.seen_items import SeenItems


def plan(**given: Any) -> EventPlan:
    return EventPlan.parse({"endpoint": "/orders", **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"endpoint": None}, "endpoint"),
        ({"item_id": "a["}, "item_id"),
        ({"changed": "v", "watermark": "at"}, "changed: can't be combined with watermark"),
        ({"start_from": "yesterday"}, "start_from: has to be 'now', 'all', or .* not 'yesterday'"),
        ({"start_from": 5}, "start_from: 5 needs watermark"),
        ({"watermark": "at", "query_params": {"since": "{watermark}"}}, "start_from: has to be the first {watermark}"),
        (
            {"watermark": "at", "query_params": {"since": "{watermark}"}, "start_from": "all"},
            "start_from: has to be the first {watermark}",
        ),
        ({"poke_interval": 0}, "poke_interval: has to be a number of seconds above 0, not 0"),
        ({"when": {"selector": "state"}}, "when: has to have a selector and one of"),
        ({"capture": {"id": "a["}}, "capture"),
        ({"next_page": "next", "cursor": "more"}, "different ways of paging"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan(**given)


def test_what_a_profile_may_add_isnt_missed_when_the_dag_is_parsed() -> None:
    assert EventPlan.parse({"start_from": 5}, complete=False).start == SeenItems(5)
    request = {"query_params": {"since": "{watermark}"}}
    assert EventPlan.parse(request, complete=False).fetch.step.request.query_params == request["query_params"]
    with pytest.raises(ConfigurationError, match="item_id"):
        EventPlan.parse({"item_id": "a["}, complete=False)


def test_the_interval_is_a_minute_by_default() -> None:
    assert (plan().interval, plan(poke_interval=5).interval) == (60, 5)


def test_all_parameters_of_requests_and_paging_are_known() -> None:
    assert {"method", "json", "next_page", "rules", "items", "watermark"} <= {*event_parameters()}
