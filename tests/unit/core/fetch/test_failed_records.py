import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.fetch.failed_records import FailedRecordsRule
from airflow_provider_asyncapi.core.http.messages import Response

FAILED = {"selector": "rows[*].status", "in": "failed"}


def answer(*states):
    return Response(200, body=json.dumps({"rows": [{"status": state} for state in states]}).encode())


def parse(given: Any, action: str | None) -> FailedRecordsRule:
    rule = FailedRecordsRule.parse(given, action)
    assert rule is not None
    return rule


def test_failed_records_are_counted():
    partial = parse(FAILED, None)
    assert partial.action == "fail"
    assert partial.count(answer("ok", "failed", "failed"), {}) == (2, 3)
    assert partial.count(answer("failed"), {}) == (1, 1)
    assert partial.count(answer(), {}) == (0, 0)


def test_an_answer_that_can_not_be_read_is_an_error():
    with pytest.raises(ContentError, match="failed_records: expected JSON"):
        parse(FAILED, "warn").count(Response(200, body=b"x"), {})


def test_a_member_of_an_archive_may_say_what_failed():
    partial = parse({**FAILED, "member": "result.json"}, "skip")
    assert [partial.matches_member(path) for path in [("result.json",), ("0", "result.json"), ("xresult.json",)]] == [
        True,
        True,
        False,
    ]
    assert not parse(FAILED, None).matches_member(("None",))


@pytest.mark.parametrize(
    ("given", "action", "message"),
    [
        (None, "ignore", "on_partial: 'ignore' isn't one of fail, warn, skip"),
        ({"selector": "a"}, None, "failed_records: has to have a selector and one of"),
        ({**FAILED, "member": 7}, None, "failed_records: member has to be a file's name in the archive, not 7"),
        ({**FAILED, "member": ""}, None, "failed_records: member has to be"),
    ],
)
def test_what_can_not_be_meant_is_an_error(given, action, message):
    with pytest.raises(ConfigurationError, match=message):
        FailedRecordsRule.parse(given, action)


def test_nothing_is_counted_by_default():
    assert FailedRecordsRule.parse(None, None) is None
