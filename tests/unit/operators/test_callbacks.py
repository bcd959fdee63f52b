"""The URL that is given away with a job, and the result that comes with its callback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.callbacks.calls import (
    PATH,
    CallbackReference,
    ReceivedCallback,
    dump_callbacks,
    make_identifier_key,
)
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, JOB_OF_KEY, SUBMISSION_KEY
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.tasks.submission_state import callbacks_key
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply

pytestmark = [
    pytest.mark.usefixtures("connection", "run_outside_of_airflow"),
    pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning"),
]

BASE = "https://airflow.example.com/deployment"
POST = "POST /jobs"
HEADER: dict[str, Any] = {"headers": {"X-Callback": "{callback_url}"}}
KEYED = {"headers": {"X-Callback": "{callback_url}", "Idempotency-Key": "{idempotency_key}"}}


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", f"{BASE}/")


def submit(ti: TI, store: Store | None = None, **given: Any) -> Any:
    more = {} if store is None else {"task_state_store": store}
    given = {"endpoint": "/jobs", "identifier": "id", "callback": True, **given}
    return AsyncApiTriggerOperator(task_id="submit", **given).execute(context_of(ti, **more))


def given_away(api: ApiServer, index: int = -1) -> str:
    return str(api.requests[index].headers["X-Callback"])


def reference_in(url: str) -> CallbackReference:
    assert url.startswith(f"{BASE}{PATH}/")
    return CallbackReference.parse(url.rpartition("/")[2])


# What is given away


def test_the_url_stands_where_the_author_wants_it(api: ApiServer) -> None:
    api.script["POST /jobs"] = [reply({"id": 1})]
    submit(TI(), **HEADER, json={"deep": [{"url": "{callback_url}", "both": "to {callback_url}"}]})
    url, body = given_away(api), json.loads(api.requests[0].body)
    assert body == {"deep": [{"url": url, "both": f"to {url}"}]}
    assert str(reference_in(url).task_instance) == TI.id


def test_the_url_may_stand_in_the_query(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "respond", answering(api))
    submit(
        TI(), query_params={"callback": "{callback_url}"}, start={"endpoint": "/run", "data": {"u": "{callback_url}"}}
    )
    (url,) = parse_qs(urlsplit(api.requests[0].path).query)["callback"]
    assert reference_in(url)
    assert parse_qs(api.requests[1].body.decode())["u"] == [url]


def answering(api: ApiServer) -> Any:
    answer = type(api).respond

    def to_any_query(method: str, path: str, headers: Headers, body: bytes) -> Any:
        answer(api, method, path, headers, body)
        return reply({"id": 1})

    return to_any_query


def test_each_task_and_each_try_has_a_url_that_nobody_can_guess(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": 1}))
    for _ in range(3):
        submit(TI(), **HEADER)
    references = [reference_in(given_away(api, index)) for index in range(3)]
    assert len({reference.token for reference in references}) == 3
    assert {len(reference.token) for reference in references} == {32}


@pytest.mark.parametrize("store", [None, Store()], ids=["before 3.3", "3.3"])
def test_callbacks_find_the_task_and_no_record_holds_the_url(api: ApiServer, store: Store | None) -> None:
    api.respond_to(POST, reply({"id": 7}))
    ti = TI()
    assert submit(ti, store, **HEADER) == 7
    reference = reference_in(given_away(api))
    record = Submission.parse(store[SUBMISSION_KEY] if store is not None else ti.xcoms[SUBMISSION_KEY])
    assert record is not None
    assert (record.callbacks, record.connection) == ((reference.digest,), "asyncapi_default")
    assert ti.xcoms[JOB_OF_KEY + make_identifier_key("asyncapi_default", "7")] == 7
    assert reference.text not in json.dumps([ti.xcoms, store])
    # Airflow may clear the store once the task has succeeded.
    assert ti.xcoms[SUBMISSION_KEY] == record.dump()


def test_the_url_is_masked_in_logs_like_a_secret(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": 7}))
    submit(TI(), **HEADER)
    url = given_away(api)
    assert redact(f"calling {url} back") == f"calling {BASE}{PATH}/*** back"


def test_without_callback_there_is_no_url_and_nothing_is_kept_for_one(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": 7}))
    ti, store = TI(), Store()
    submit(ti, store, callback=False)
    assert set(ti.xcoms) == {"job"}
    assert store[SUBMISSION_KEY]["callbacks"] == []


@pytest.mark.parametrize("base", ["", "airflow.example.com", "ftp://airflow"])
def test_an_address_that_is_missing_is_told_before_anything_is_sent(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", base)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"set \[asyncapi\] callback_base_url"):
        submit(TI(), **HEADER)
    assert not api.requests


def test_the_address_of_airflow_itself_will_do(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", "")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://localhost:8080")
    api.respond_to(POST, reply({"id": 7}))
    submit(TI(), **HEADER)
    assert given_away(api).startswith(f"http://localhost:8080{PATH}/")


def test_a_retry_of_a_lost_submit_keeps_the_earlier_url_too(api: ApiServer) -> None:
    api.respond_to(POST, reply(status=502), reply({"id": 7}))
    store = Store()
    with pytest.raises(exceptions.AsyncApiUnavailable):
        submit(TI(), store, max_consecutive_errors=1, **KEYED)
    submit(TI(), store, max_consecutive_errors=1, **KEYED)
    digests = [reference_in(given_away(api, index)).digest for index in range(2)]
    assert store[SUBMISSION_KEY]["callbacks"] == digests


def test_a_retry_hands_on_the_calls_of_the_job_that_was_submitted_before(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": 7}))
    store = Store()
    submit(TI(), store, **HEADER)
    kept = dump_callbacks([ReceivedCallback("a", 0.0)])
    store.set(callbacks_key(store[SUBMISSION_KEY]["key"]), kept)
    ti = TI()
    submit(ti, store, **HEADER)
    assert ti.xcoms[CALLS_KEY] == kept
    assert api.count(POST) == 1


def test_a_call_that_comes_while_they_are_handed_on_is_handed_on_too(api: ApiServer) -> None:
    class Busy(Store):
        answers = iter(
            [*[dump_callbacks([ReceivedCallback(str(each), 0.0) for each in range(count)]) for count in (1, 2)]]
        )

        def get(self, key: str, default: Any = None) -> Any:
            return next(self.answers, self.last) if key.startswith(CALLS_KEY) else super().get(key, default)

        last = dump_callbacks([ReceivedCallback(str(each), 0.0) for each in range(2)])

    api.respond_to(POST, reply({"id": 7}))
    ti = TI()
    submit(ti, Busy(), **HEADER)
    assert len(ti.xcoms[CALLS_KEY]["calls"]) == 2


# What comes with the callback

BODY = json.dumps({"response": {"events": [{"id": 1}, {"id": 2}]}}).encode()
TASK = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}


def ended(call: int | None) -> dict[str, Any]:
    return {"version": 1, "identifier": "7", "outcome": "success", "task": TASK, "call": call}


def fetched(*calls: ReceivedCallback, call: int | None = 0, **given: Any) -> Any:
    ti = TI()
    ti.pulled[CALLS_KEY] = dump_callbacks(list(calls))
    given = {"job": ended(call), "callback": True, "result_path": "response.events", **given}
    return AsyncApiFetchOperator(task_id="fetch", **given).execute(context_of(ti))


CALL = ReceivedCallback("a", 0.0, "application/json", BODY)
ROWS = [{"id": 1}, {"id": 2}]


def test_the_result_in_the_callback_needs_no_request(api: ApiServer) -> None:
    assert fetched(CALL) == ROWS
    assert not api.requests


def test_it_is_the_callback_that_has_ended_the_wait() -> None:
    news = ReceivedCallback("b", 0.0, "application/json", b'{"response": {"events": "not yet"}}')
    assert fetched(news, CALL, news, call=1) == ROWS


@pytest.mark.parametrize("write_as", [None, "ndjson"])
def test_a_result_may_go_from_the_callback_to_a_destination(tmp_path: Path, write_as: str | None) -> None:
    manifest = fetched(CALL, destination=f"{tmp_path}/rows.json", write_as=write_as)
    assert manifest["paths"] == [f"{tmp_path}/rows.json"]
    text = (tmp_path / "rows.json").read_text()
    assert [json.loads(line) for line in text.splitlines()] == (ROWS if write_as else [ROWS])


def test_a_callback_that_goes_to_a_destination_as_a_whole_is_written_byte_for_byte(tmp_path: Path) -> None:
    body = b'{"events":  [1.50]}\n'
    manifest = fetched(
        ReceivedCallback("a", 0.0, "application/json", body), destination=f"{tmp_path}/x.json", result_path=None
    )
    assert (tmp_path / "x.json").read_bytes() == body
    assert manifest["content_type"] == "application/json"


def test_a_result_that_is_too_large_for_xcom_says_what_to_do() -> None:
    with pytest.raises(exceptions.AsyncApiResultFailed, match=r"max_xcom_bytes: .*set destination"):
        fetched(CALL, max_xcom_bytes=10)


def test_a_large_callback_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    assert fetched(ReceivedCallback("a", 0.0, "application/json", path=(tmp_path / "body").as_uri())) == ROWS


def test_other_formats_are_read_as_of_an_answer() -> None:
    assert fetched(ReceivedCallback("a", 0.0, "text/csv", b"id\n1\n"), result_path=None) == [{"id": "1"}]
    assert (
        fetched(ReceivedCallback("a", 0.0, "application/x-www-form-urlencoded", b"rows=3"), result_path="rows") == "3"
    )


def test_where_a_poll_has_ended_the_wait_the_result_is_fetched(api: ApiServer) -> None:
    api.respond_to("GET /jobs/7/rows", reply({"response": {"events": [3]}}))
    assert fetched(CALL, call=None, endpoint="/jobs/{identifier}/rows") == [3]
    assert api.count("GET /jobs/7/rows") == 1


def test_where_a_poll_has_ended_the_wait_and_nothing_says_where_the_result_is_that_is_said() -> None:
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"a poll ended the wait.*endpoint"):
        fetched(CALL, call=None)


def test_a_callback_that_was_cleared_away_is_a_result_that_is_gone() -> None:
    with pytest.raises(exceptions.AsyncApiResultFailed, match="it is gone, because"):
        fetched()


def test_a_result_that_is_not_in_the_callback_is_said_with_where_it_was_looked_for() -> None:
    with pytest.raises(exceptions.AsyncApiRejected, match=r"response\.events"):
        fetched(ReceivedCallback("a", 0.0, "application/json", b"{}"))


def test_who_does_not_ask_for_the_callback_fetches(api: ApiServer) -> None:
    api.respond_to("GET /jobs/7/rows", reply([1]))
    assert fetched(CALL, callback=None, endpoint="/jobs/{identifier}/rows", result_path=None) == [1]
