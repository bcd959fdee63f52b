from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.asset_events import find_new_events
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.events.flow import find_new_items
from airflow_provider_asyncapi.triggers import asset_watcher, lazy
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply

ORDERS = "GET /orders"
GIVEN: dict[str, Any] = {
    "endpoint": "/orders",
    "items": "orders",
    "item_id": "id",
    "capture": {"order": "id"},
    "poke_interval": 0.01,
}
#: Airflow 3.3 has a state store for assets; before that, Variables keep the state.
HAS_STORE = HAS_TRIGGER_ON_KILL


@pytest.fixture(autouse=True)
def store_events_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no triggerer here that passes events on."""
    monkeypatch.setattr(asset_watcher, "_TIME_TO_STORE_EVENTS", 0.0)


def rebuild(**given: Any) -> AsyncApiEventTrigger:
    """Make a trigger as the triggerer does: of its class path and arguments."""
    path, kwargs = AsyncApiEventTrigger(**{**GIVEN, **given}).serialize()
    module, _, name = path.rpartition(".")
    rebuilt: AsyncApiEventTrigger = getattr(importlib.import_module(module), name)(**kwargs)
    assert rebuilt.serialize() == (path, kwargs)
    if HAS_STORE:
        from airflow.sdk.execution_time.context import AssetStateStoreAccessors

        rebuilt.asset_state_store = AssetStateStoreAccessors(inlets=[Asset("orders"), Asset("other")])
    return rebuilt


def state_key_of(trigger: AsyncApiEventTrigger) -> str:
    return trigger.make_state_key(trigger.parameters)


def orders(*ids: int) -> Any:
    return reply({"orders": [{"id": each} for each in ids]})


async def collect(trigger: AsyncApiEventTrigger, is_done: Callable[[list[Any]], bool]) -> list[Any]:
    """Run a trigger until enough has happened, and return the items of its events."""
    events: list[Any] = []

    async def run() -> None:
        async for event in trigger.run():
            events.extend(event.payload["items"])

    task = asyncio.create_task(run())
    try:
        await until(lambda: task.done() or is_done(events))
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
    return events


def test_each_new_item_causes_an_event_with_its_captured_values(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(ORDERS, orders(1), orders(3, 2, 1))
    events = asyncio.run(collect(rebuild(), lambda events: api.count(ORDERS) > 3))
    assert [event["values"] for event in events] == [{"order": 3}, {"order": 2}]
    assert len({event["id"] for event in events}) == 2


PROFILE = """
[events]
endpoint = "/orders"
items = "orders"
item_id = "id"
capture = { order = "id" }
poke_interval = 0.01
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the profile `shop`."""
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    (tmp_path / "shop.toml").write_text(PROFILE)
    return tmp_path


def rebuild_with_profile(**given: Any) -> AsyncApiEventTrigger:
    """Make a trigger whose parameters are those of a profile."""
    return rebuild(**{**dict.fromkeys(GIVEN), **given})


@pytest.mark.parametrize("is_named_by", ["the trigger", "the connection"])
def test_a_profile_sets_the_parameters_that_are_left_out(
    api: ApiServer, connect: Callable[..., None], supervisor: Supervisor, profiles: Path, is_named_by: str
) -> None:
    by_trigger = is_named_by == "the trigger"
    connect(extra={} if by_trigger else {"profile": "shop"})
    api.respond_to("GET /orders", orders(1), orders(1, 2))
    trigger = rebuild_with_profile(capture={"also": "id"}, **({"profile": "shop"} if by_trigger else {}))
    events = asyncio.run(collect(trigger, bool))
    assert [event["values"] for event in events] == [{"order": 2, "also": 2}]


def test_the_profile_of_the_trigger_is_used_instead_of_that_of_the_connection(
    api: ApiServer, connect: Callable[..., None], supervisor: Supervisor, profiles: Path
) -> None:
    (profiles / "other.toml").write_text('[events]\nendpoint = "/other"')
    connect(extra={"profile": "other"})
    api.respond_to("GET /orders", orders(1))
    (event,) = asyncio.run(collect(rebuild_with_profile(profile="shop", start_from="all"), bool))
    assert event["values"] == {"order": 1}


def test_a_connection_whose_profile_has_no_events_is_named_in_the_log(
    api: ApiServer, connect: Callable[..., None], profiles: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (profiles / "bare.toml").write_text('[submit]\nendpoint = "/jobs"')
    connect(extra={"profile": "bare"})
    asyncio.run(collect(rebuild_with_profile(), lambda events: "endpoint is missing" in caplog.text))
    assert api.requests == []


def test_a_mistake_in_the_profile_of_a_trigger_is_found_when_the_dag_is_parsed(profiles: Path) -> None:
    (profiles / "malformed.toml").write_text('[events]\nendpoint = "/orders"\nitems = "a["')
    with pytest.raises(ConfigurationError, match=r"result_path|items"):
        AsyncApiEventTrigger(profile="malformed")
    with pytest.raises(ConfigurationError, match="there is no profile 'none'"):
        AsyncApiEventTrigger(profile="none")
    (profiles / "unknown.toml").write_text('[events]\nitem = "x"')
    with pytest.raises(ConfigurationError, match=r"unknown key 'item' .* in \[events\]"):
        AsyncApiEventTrigger(profile="unknown")


def test_all_new_items_of_a_poll_are_one_event(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    api.respond_to(ORDERS, orders(1, 2, 3))

    async def scenario() -> Any:
        events: Any = rebuild(start_from="all").run()
        try:
            return (await anext(events)).payload
        finally:
            await events.aclose()

    payload = asyncio.run(scenario())
    assert [item["values"]["order"] for item in payload["items"]] == [1, 2, 3]


def test_a_restarted_trigger_goes_on_where_it_was(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    api.respond_to(ORDERS, orders(1), orders(1, 2))
    asyncio.run(collect(rebuild(), lambda events: api.count(ORDERS) > 3))
    kept = supervisor.asset_states if HAS_STORE else supervisor.variables
    assert len(kept) == (2 if HAS_STORE else 1)
    api.respond_to(ORDERS, orders(1, 2, 3))
    again = asyncio.run(collect(rebuild(poke_interval=0.02), bool))
    assert [event["values"] for event in again] == [{"order": 3}]


def test_the_state_is_stored_after_the_time_in_which_airflow_stores_the_events(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset_watcher, "_TIME_TO_STORE_EVENTS", 3600.0)
    api.respond_to(ORDERS, orders(1))
    first = asyncio.run(collect(rebuild(start_from="all"), bool))
    assert not supervisor.asset_states
    assert not supervisor.variables
    assert asyncio.run(collect(rebuild(start_from="all"), bool)) == first


def test_a_poll_that_finds_nothing_new_stores_nothing(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    api.respond_to(ORDERS, orders(1))
    asyncio.run(collect(rebuild(), lambda events: api.count(ORDERS) > 4))
    writes = supervisor.of_kind("SetAssetStateStoreByName") + supervisor.of_kind("PutVariable")
    assert len(writes) == (2 if HAS_STORE else 1)


def test_an_error_is_logged_and_the_next_poll_is_later(
    api: ApiServer, connection: None, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    api.respond_to(ORDERS, reply({"message": "no such list"}, 400), reply({"orders": None, "x": 1}), orders(1))
    events = asyncio.run(collect(rebuild(start_from="all"), bool))
    assert [event["values"] for event in events] == [{"order": 1}]
    assert "no such list; polling again in 0.01 s" in caplog.text


def test_a_bug_is_logged_and_the_polls_go_on(
    api: ApiServer,
    connection: None,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    api.respond_to(ORDERS, orders(1))
    monkeypatch.setattr(asset_watcher, "_MAX_DELAY", 0.0)
    bugs = [ZeroDivisionError("a bug")]

    def find_with_a_bug(*arguments: Any) -> Any:
        if bugs:
            raise bugs.pop()
        return find_new_items(*arguments)

    monkeypatch.setattr(lazy, "find_new_items", find_with_a_bug)
    (item,) = asyncio.run(collect(rebuild(start_from="all"), bool))
    assert item["values"] == {"order": 1}
    assert "ZeroDivisionError: a bug" in caplog.text


def test_a_broken_state_says_what_to_delete(
    api: ApiServer, connection: None, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    trigger = rebuild()
    supervisor.variables[state_key_of(trigger)] = json.dumps({"version": "x"})
    supervisor.asset_states["orders", state_key_of(trigger)] = {"version": "x"}
    asyncio.run(collect(trigger, lambda events: "to start again" in caplog.text))
    assert f"delete {state_key_of(trigger)} to start again" in caplog.text


def test_what_a_newer_version_has_stored_is_an_error_in_the_log(
    api: ApiServer, connection: None, caplog: pytest.LogCaptureFixture
) -> None:
    kept = json.dumps({"version": 99, "parameters": {}})
    asyncio.run(collect(AsyncApiEventTrigger(stored=kept), lambda events: "layout 99 by a newer" in caplog.text))
    assert api.requests == []


def test_a_secret_of_the_connection_is_refused_in_the_triggerer(
    api: ApiServer, connect: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    connect(password="s3cret-token", extra={"auth": "bearer"})
    trigger = rebuild(query_params={"q": "s3cret-token"})
    asyncio.run(collect(trigger, lambda events: "holds a secret" in caplog.text))
    assert api.requests == []
    assert "s3cret-token" not in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"item": "orders"}, "item: isn't a parameter of AsyncApiEventTrigger\\(\\); did you mean items?"),
        ({"items": "a["}, "result_path|items"),
        ({"headers": {"Authorization": "Bearer abc"}}, "looks like a secret"),
        ({"json": {"day": object()}}, "takes JSON values"),
    ],
)
def test_bad_input_is_an_error_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AsyncApiEventTrigger(**{**GIVEN, **given})


def test_an_interval_may_be_a_timedelta() -> None:
    assert AsyncApiEventTrigger(endpoint="/a", poke_interval=timedelta(minutes=1)).parameters["poke_interval"] == 60


def test_a_changed_interval_or_capture_keeps_the_state() -> None:
    assert state_key_of(rebuild()) == state_key_of(rebuild(poke_interval=9, capture={}))
    assert state_key_of(rebuild()) != state_key_of(rebuild(endpoint="/other"))
    assert state_key_of(rebuild()) != state_key_of(rebuild(asyncapi_conn_id="other"))


def test_airflow_takes_the_stored_trigger_of_a_watcher_for_the_one_in_the_dag() -> None:
    watcher = AssetWatcher(name="orders", trigger=AsyncApiEventTrigger(**GIVEN))
    path, kwargs = watcher.trigger.serialize()
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(path, json.loads(json.dumps(kwargs)))
    assert repr(watcher.trigger) == "<AsyncApiEventTrigger asyncapi_default /orders>"


def event(at: int, id_: str, **extra: Any) -> Any:
    return SimpleNamespace(timestamp=at, extra={"payload": {"items": [{"id": id_, "values": {"at": at}}]}, **extra})


def context(triggering: list[Any], earlier: list[Any]) -> dict[str, Any]:
    # Airflow 3.1 can't hash an asset; its own mappings can be asked for one.
    asset = "orders"
    return {"triggering_asset_events": {asset: triggering}, "inlet_events": {asset: [*earlier, *triggering]}}


def test_a_repeated_event_is_dropped_in_its_run_and_in_later_ones() -> None:
    first, again = event(1, "a"), event(2, "a")
    assert find_new_events(context([first, again], [])) == first.extra["payload"]["items"]
    assert find_new_events(context([again, event(3, "b")], [first])) == [{"id": "b", "values": {"at": 3}}]


def test_events_of_others_are_left_out() -> None:
    other = SimpleNamespace(timestamp=1, extra={"from_rest_api": True})
    assert find_new_events(context([other, event(2, "a")], [])) == [{"id": "a", "values": {"at": 2}}]


def test_a_variable_that_airflow_can_not_read_is_an_error(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import comms

    from airflow_provider_asyncapi.airflow_private.event_state import load_event_state

    refused = comms.ErrorResponse(error=ErrorType("GENERIC_ERROR"), detail={"status_code": 403})
    monkeypatch.setattr(supervisor, "respond", lambda msg: refused)
    with pytest.raises(AirflowRuntimeError):
        asyncio.run(load_event_state(AsyncApiEventTrigger(**GIVEN), "key"))


def test_without_a_store_the_state_is_a_variable(supervisor: Supervisor) -> None:
    from airflow_provider_asyncapi.airflow_private.event_state import load_event_state, store_event_state

    trigger = AsyncApiEventTrigger(**GIVEN)

    async def scenario() -> list[Any]:
        before = await load_event_state(trigger, "key")
        await store_event_state(trigger, "key", {"version": 1})
        return [before, await load_event_state(trigger, "key")]

    assert asyncio.run(scenario()) == [None, {"version": 1}]


def test_info_lines_of_polls_stay_out_of_the_triggerer_s_log(
    api: ApiServer, connection: None, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.respond_to(ORDERS, orders(1))
    trigger = rebuild(next_page="next")
    asyncio.run(collect(trigger, lambda events: api.count(ORDERS) > 1))
    assert "Fetched" not in caplog.text


def test_a_state_that_airflow_can_not_give_now_is_loaded_again_and_not_forgotten(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import comms

    api.respond_to(ORDERS, orders(1))
    asyncio.run(collect(rebuild(), lambda events: api.count(ORDERS) > 2))
    respond, away = supervisor.respond, [comms.ErrorResponse(error=ErrorType("API_SERVER_ERROR"))]

    def respond_later(msg: Any) -> Any:
        return (
            away.pop() if away and type(msg).__name__ in ("GetVariable", "GetAssetStateStoreByName") else respond(msg)
        )

    monkeypatch.setattr(supervisor, "respond", respond_later)
    monkeypatch.setattr(asset_watcher, "DEFAULT_INTERVAL", 0.01)
    api.respond_to(ORDERS, orders(1, 2))
    assert [each["values"] for each in asyncio.run(collect(rebuild(), bool))] == [{"order": 2}]
    assert not away
