"""Results of which some records have failed."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi import exceptions
from tests.loopback import reply
from tests.unit.results.transfers import FAILED, PAGES, everything_in, states, targets, zipped

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_failed_records_fail_the_task_by_default(fetched, server):
    with pytest.raises(
        exceptions.AsyncApiResultFailed, match="2 of 3 records of job 7 failed; set on_partial to 'warn' or 'skip'"
    ):
        fetched(reply(states("failed", "ok", "failed")), failed_records=FAILED, cleanup={"endpoint": "/x"})
    assert targets(server) == ["GET /jobs/7"]


def test_a_selector_that_finds_no_records_is_named_for_it_may_be_misspelt(fetched, caplog):
    assert fetched(reply(states("failed")), failed_records={"selector": "row[*].state", "in": "failed"})
    assert "failed_records: found no records at 'row[*].state', failed or not" in caplog.text


def test_failed_records_may_be_warned_of(fetched, caplog, tmp_path):
    assert fetched(reply(states("failed", "ok")), failed_records=FAILED, on_partial="warn") == states("failed", "ok")
    assert ("WARNING", "1 of 2 records of job 7 failed") in [(each.levelname, each.message) for each in caplog.records]
    manifest = fetched(
        reply(states("failed")), failed_records=FAILED, on_partial="warn", destination=f"{tmp_path}/x.json"
    )
    assert manifest["failed_records"] == 1


@pytest.mark.parametrize(
    ("name", "content", "content_type", "selector"),
    [
        ("r.json", b'{"rows": [{"state": "failed", "price": 1.50}]}\n', "application/json", "rows[*].state"),
        ("r.xml", b"<rows>\n<row><state>failed</state></row></rows>", "application/xml", "xpath://state"),
        ("r.csv", b"state,price\r\nfailed,1.50\r\n", "text/csv", "$[*].state"),
        ("r.gz", gzip.compress(b'{"rows": [{"state": "failed"}]}'), "application/json", "rows[*].state"),
    ],
)
def test_a_file_whose_failed_records_are_counted_is_written_byte_for_byte(
    fetched, tmp_path, name, content, content_type, selector
):
    manifest = fetched(
        reply(content, content_type=content_type),
        failed_records={"selector": selector, "in": "failed"},
        on_partial="warn",
        destination=f"{tmp_path}/{name}",
    )
    assert (tmp_path / name).read_bytes() == content
    assert (manifest["failed_records"], manifest["bytes"]) == (1, len(content))
    assert manifest["sha256"] == [hashlib.sha256(content).hexdigest()]


def test_a_gzip_file_is_undone_where_a_part_of_it_is_kept(fetched, tmp_path):
    packed = gzip.compress(b'{"rows": [{"a": 1}, {"a": 2}]}')
    fetched(reply(packed, content_type="application/json"), result_path="rows[1].a", destination=f"{tmp_path}/x.json")
    assert (tmp_path / "x.json").read_bytes() == b"2"


def test_failed_records_may_skip_the_task(fetched, tmp_path):
    with pytest.raises(AirflowSkipException, match="1 of 1 records of job 7 failed"):
        fetched(reply(states("failed")), failed_records=FAILED, on_partial="skip", destination=f"{tmp_path}/a/")
    assert everything_in(tmp_path) == []


def test_failed_records_are_counted_over_all_pages(fetched, tmp_path):
    answers = [reply(states("failed", "ok")), reply(b"", 503), reply(states("failed")), reply(states())]
    with pytest.raises(exceptions.AsyncApiResultFailed, match="2 of 3 records"):
        fetched(*answers, **PAGES, failed_records=FAILED, destination=f"{tmp_path}/a/")
    assert everything_in(tmp_path) == []


def test_failed_records_of_a_table_are_counted(fetched):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="1 of 2 records"):
        fetched(
            reply(b"id,state\n1,ok\n2,failed\n", content_type="text/csv"),
            failed_records={"selector": "$[*].state", "in": "failed"},
        )


@pytest.mark.parametrize(("action", "kept"), [("warn", True), ("fail", False)])
def test_a_member_of_an_archive_may_say_what_failed(fetched, tmp_path, action, kept):
    content = zipped(a=b"1", out__result_json=json.dumps(states("ok", "failed")).encode())
    given = {"failed_records": {**FAILED, "member": "result.json"}, "on_partial": action, "output_type": "zip"}
    if kept:
        assert fetched(reply(content), **given, destination=f"{tmp_path}/")["failed_records"] == 1
    else:
        with pytest.raises(exceptions.AsyncApiResultFailed, match="1 of 2 records"):
            fetched(reply(content), **given, destination=f"{tmp_path}/")
    assert (tmp_path / "out/result.json").exists() is kept


def test_a_member_that_should_say_what_failed_has_to_be_there(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match=r"the archive has no member 'result.json'; it has a"):
        fetched(
            reply(zipped(a=b"1")),
            output_type="zip",
            failed_records={**FAILED, "member": "result.json"},
            destination=f"{tmp_path}/",
        )
    assert everything_in(tmp_path) == []


def test_a_member_that_should_say_what_failed_may_not_be_huge(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_asyncapi.results.destination.MAX_IN_MEMORY", 10)
    with pytest.raises(
        exceptions.AsyncApiResultFailed,
        match=r"failed_records: 'result.json' has 28 bytes, and at most 10 are .* leave failed_records out",
    ):
        fetched(
            reply(zipped(result_json=json.dumps(states("ok")).encode() + b" ")),
            output_type="zip",
            failed_records={**FAILED, "member": "result.json"},
            destination=f"{tmp_path}/",
        )


def test_an_archive_that_is_kept_whole_is_not_looked_into(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="only if it is unpacked"):
        fetched(
            output_type="zip",
            failed_records={**FAILED, "member": "result.json"},
            destination=f"{tmp_path}/x.zip",
            limits={"unpack": False},
        )
