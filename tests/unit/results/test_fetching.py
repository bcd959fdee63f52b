"""Fetch values, and end a fetch: exceptions, cleanup, and what is returned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring import metrics
from tests.loopback import reply
from tests.unit.results.transfers import FAILED, MIB, everything_in, targets, zipped

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_a_value_goes_to_xcom(fetched):
    assert fetched(reply({"rows": [1]}), result_path="rows") == [1]


def test_the_bytes_of_a_result_are_counted_as_they_are_stored(fetched, tmp_path, monkeypatch):
    counted: list[Any] = []
    monkeypatch.setattr(metrics, "are_enabled", lambda: True)
    monkeypatch.setattr(metrics, "count", lambda *args: counted.append(args))
    fetched(reply({"rows": [1, 2]}), result_path="rows")
    fetched(reply(b"x" * 5000), destination=f"{tmp_path}/file.bin")
    with pytest.raises(exceptions.AsyncApiResultFailed):
        fetched(reply("x" * 2000))
    assert counted == [("asyncapi.result_bytes", "api", len("[1, 2]")), ("asyncapi.result_bytes", "api", 5000)]


def test_a_value_that_is_too_large_for_xcom_says_what_to_do(fetched):
    with pytest.raises(
        exceptions.AsyncApiResultFailed,
        match=r"the result has 1202 bytes or more, and 1000 may go to XCom; set destination .* or select",
    ):
        fetched(reply("x" * 1200, content_type="application/json"))


def test_an_answer_that_is_too_large_for_memory_says_what_to_do(fetched):
    with pytest.raises(
        exceptions.AsyncApiRejected, match=r"more than 1048576 bytes.*can be streamed: output_type='file'"
    ):
        fetched(reply(b"x" * 2 * MIB, content_type="text/plain"))


def test_a_small_value_may_be_selected_from_a_large_answer(fetched):
    assert fetched(reply({"n": 1, "more": "x" * 90_000}), result_path="n") == 1


def test_a_selected_value_may_go_to_a_destination(fetched, tmp_path):
    manifest = fetched(reply({"row": {"a": ["ü", "a\0b"]}}), result_path="row", destination=f"{tmp_path}/a/")
    assert manifest["paths"] == [f"{tmp_path}/a/result.json"]
    assert manifest["content_type"] == "application/json"
    content = (tmp_path / "a/result.json").read_bytes()
    assert json.loads(content) == {"a": ["ü", "a\0b"]}
    assert manifest["bytes"] == len(content)
    fetched(reply({"rows": ["ü"]}), result_path="rows", destination=f"{tmp_path}/b.json")
    assert (tmp_path / "b.json").read_bytes() == '["ü"]'.encode()


def test_a_result_without_a_path_is_streamed_as_it_is(fetched, tmp_path):
    large = b"a,b\n" + b"1,2\n" * MIB
    manifest = fetched(
        reply(large, content_type="text/csv; charset=utf-8"),
        destination=f"{tmp_path}/x.csv",
        result_format="csv",
        limits={"max_xcom_bytes": 1},
    )
    assert (tmp_path / "x.csv").read_bytes() == large
    assert (manifest["bytes"], manifest["content_type"]) == (len(large), "text/csv")


def test_what_the_job_said_already_needs_no_request(fetched, server, tmp_path):
    handle = JobHandle(None, variables={"rows": [{"state": "failed"}]})
    given = {
        "inline": "rows",
        "handle": handle,
        "locate": {"endpoint": "/l", "capture": {"a": "b"}},
        "failed_records": {"selector": "$[*].state", "in": "failed"},
        "on_partial": "warn",
    }
    assert fetched(**given) == [{"state": "failed"}]
    assert fetched(**given, output_type="pages", query_params={"page": "{page}"}) == [{"state": "failed"}]
    manifest = fetched(**given, output_type="pages", query_params={"page": "{page}"}, destination=f"{tmp_path}/")
    assert (manifest["rows"], manifest["pages"], manifest["failed_records"]) == (1, 1, 1)
    assert server.asked == []


def test_what_the_job_did_not_say_is_asked_for(fetched):
    assert fetched(reply([1]), inline="rows") == [1]


def test_no_data_skips_the_task(fetched, server):
    with pytest.raises(AirflowSkipException, match="a rule takes it for no data"):
        fetched(
            reply(b"", 404),
            rules=[{"selector": "status_code", "in": 404, "outcome": "no_data"}],
            cleanup={"endpoint": "/jobs/7"},
        )
    assert targets(server) == ["GET /jobs/7"]


@pytest.mark.parametrize(
    ("answer", "given", "error"),
    [
        (reply(b"", 410), {}, exceptions.AsyncApiResultFailed),
        (reply({"a": 1}), {"result_path": "b"}, exceptions.AsyncApiRejected),
        (reply(b"", 401), {}, exceptions.AsyncApiUnauthorized),
        (reply({}), {"endpoint": "/{nothing}"}, exceptions.AsyncApiConfigurationError),
        (reply({}), {"failed_records": {"selector": "xpath:a", "in": 1}}, exceptions.AsyncApiRejected),
    ],
)
def test_each_failure_has_its_own_exception(fetched, answer, given, error):
    with pytest.raises(error):
        fetched(answer, **given)


def test_the_job_is_removed_once_the_result_is_safe(fetched, server, tmp_path):
    there = []

    def delete(connection, asked):
        there.append((tmp_path / "x").exists())
        return reply(b"", 200)(connection, asked)

    fetched(
        reply(b"abc"),
        delete,
        output_type="file",
        destination=f"{tmp_path}/x",
        cleanup={"endpoint": "/jobs/{identifier}"},
    )
    assert targets(server) == ["GET /jobs/7", "DELETE /jobs/7"]
    assert there == [True]


NOTHING = {"rules": [{"selector": "rows", "in": 0, "outcome": "no_data"}]}


@pytest.mark.parametrize(
    ("end", "answers", "given"),
    [
        ("no_data", [reply({"rows": 0})], NOTHING),
        ("partial", [reply({"rows": [{"state": "failed"}]})], {"failed_records": FAILED}),
        ("partial", [reply({"rows": [{"state": "failed"}]})], {"failed_records": FAILED, "on_partial": "skip"}),
        ("failure", [reply(b"no", 400)], {}),
        ("failure", [reply({"rows": 0})], {"rules": [{"selector": "rows", "in": 0, "outcome": "failure"}]}),
    ],
)
def test_a_result_that_is_not_wanted_any_more_is_cleaned_up_where_the_author_says_so(
    fetched, server, end, answers, given
):
    for cleanup_on, sent in ((end, ["DELETE /x"]), ("success", [])):
        server.asked.clear()
        with pytest.raises((exceptions.AsyncApiFailException, AirflowSkipException)):
            fetched(*answers, *[reply(b"")] * len(sent), cleanup={"endpoint": "/x"}, cleanup_on=cleanup_on, **given)
        assert targets(server) == ["GET /jobs/7", *sent]


def test_a_result_that_may_still_be_fetched_is_not_cleaned_up(fetched, server, tmp_path):
    given = {"cleanup": {"endpoint": "/x"}, "cleanup_on": ["success", "no_data", "partial", "failure"]}
    with pytest.raises(exceptions.AsyncApiRejected, match="found nothing"):
        fetched(reply({"rows": 1}), result_path="data", **given)
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[reply(b"", 503)] * 5, **given)
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(reply(b"x" * 11), output_type="file", destination=f"{tmp_path}/x", limits={"max_bytes": 10}, **given)
    assert not any(target.startswith("DELETE") for target in targets(server))


def test_a_cleanup_that_fails_loses_nothing(fetched, tmp_path):
    answers = [reply(b"abc"), reply({"detail": "no"}, 403)]
    fetched(*answers, output_type="file", destination=f"{tmp_path}/x", cleanup={"endpoint": "/jobs/7"})
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_a_commit_that_fails_leaves_the_job_where_it_is(fetched, server, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="is a folder, and the result has a file"):
        fetched(
            reply(zipped(**{"0": b"1", "a": b"2"})),
            output_type="zip",
            destination=f"{tmp_path}/",
            cleanup={"endpoint": "/jobs/7"},
        )
    assert targets(server) == ["GET /jobs/7"]
    assert everything_in(tmp_path) == ["a"]
