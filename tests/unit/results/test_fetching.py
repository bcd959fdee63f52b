from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import socket
import sys
import tarfile
import threading
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.destination import Owner
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from tests.loopback import Server, chunked, raw, reply, reset
from tests.unit.eventually import wait_until
from tests.unit.results.stores import fresh_store, plain
from tests.unit.results.test_archives import ENCRYPTED

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

MIB = 1024 * 1024
FAILED = {"selector": "rows[*].state", "in": "failed"}


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def fetched(server, monkeypatch):
    """Fetch, without waiting between tries."""
    connection = {"conn_type": "asyncapi", "host": server.url, "login": "me", "password": "hunter22"}
    connection["extra"] = {"auth": "basic"}
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(connection))
    hook = AsyncApiHook("api")
    hook.get_conn()._sleep = lambda _: None

    def fetching(
        *script: Any, destination: str | None = None, handle: JobHandle | None = None, limits: Any = None, **given: Any
    ) -> Any:
        server.respond_with(*script)
        plan = FetchPlan.parse({"endpoint": "/jobs/{identifier}", **given})
        bounds = {"max_bytes": 10 * MIB, "max_members": 100, "max_ratio": 200, "max_xcom_bytes": 1000, **(limits or {})}
        return fetch(hook, FetchTask(plan, handle or JobHandle("7"), destination, ResultLimits(**bounds)))

    yield fetching
    hook.close()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return buffer.getvalue()


def broken(body: bytes, missing: int = 10):
    return raw(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body) + missing}\r\n\r\n".encode() + body)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def targets(server: Server) -> list[str]:
    return [f"{asked.method} {asked.target}" for asked in server.asked]


# Values


def test_a_value_goes_to_xcom(fetched):
    assert fetched(reply({"rows": [1]}), result_path="rows") == [1]


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


# Pages


def page_of(after: dict[int, int] | None = None):
    """Serve pages; some of them after another one."""
    served = set()

    def behave(connection, asked):
        number = int(asked.target.partition("=")[2])
        if (first := (after or {}).get(number)) is not None:
            wait_until(lambda: first in served)
        served.add(number)
        return reply({"rows": [{"n": number}, {"n": -number}]})(connection, asked)

    return behave


PAGES = {"output_type": "pages", "endpoint": "/rows", "query_params": {"page": "{page}"}, "result_path": "rows"}


def test_pages_fetched_at_the_same_time_stay_in_order(fetched, server):
    server.routes["/rows"] = page_of({1: 2, 2: 3})
    rows = fetched(**PAGES, pages=5, concurrency=3)
    assert [row["n"] for row in rows] == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]


def test_pages_are_fetched_at_the_same_time(fetched, server):
    together = threading.Barrier(4, timeout=10)
    answer = page_of()

    def behave(connection, asked):
        together.wait()
        return answer(connection, asked)

    server.routes["/rows"] = behave
    assert len(fetched(**PAGES, pages=8, concurrency=4)) == 16


def test_pages_go_to_a_destination_row_by_row(fetched, server, tmp_path):
    server.routes["/rows"] = page_of()
    manifest = fetched(**PAGES, pages=2, destination=f"{tmp_path}/")
    assert manifest == {
        "paths": [f"{tmp_path}/pages.ndjson"],
        "bytes": 38,
        "sha256": manifest["sha256"],
        "content_type": "application/x-ndjson",
        "seconds": manifest["seconds"],
        "pages": 2,
        "rows": 4,
    }
    assert (tmp_path / "pages.ndjson").read_text() == '{"n": 1}\n{"n": -1}\n{"n": 2}\n{"n": -2}\n'


def test_a_transfer_that_breaks_is_no_page_twice(fetched, tmp_path):
    page = {"rows": [1]}
    text = json.dumps(page).encode()
    script = [reply(page), broken(text[:5], 50), reply({"rows": [2]}), reply({"rows": []})]
    assert fetched(*script, **PAGES) == [1, 2]


def test_too_many_rows_for_xcom_are_refused(fetched, server):
    server.routes["/rows"] = page_of()
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_xcom_bytes"):
        fetched(**PAGES, pages=50, limits={"max_xcom_bytes": 200})
    assert len(server.asked) < 50


def test_too_many_rows_for_a_destination_leave_nothing(fetched, server, tmp_path):
    server.routes["/rows"] = page_of()
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(**PAGES, pages=50, limits={"max_bytes": 200}, destination=f"{tmp_path}/a/b/")
    assert everything_in(tmp_path) == []


def test_a_page_that_fails_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="page 3"):
        fetched(
            *[reply({"rows": [1]}), reply({"rows": [2]}), reply(b"", 404)],
            **PAGES,
            pages=3,
            concurrency=1,
            destination=f"{tmp_path}/a/",
        )
    assert everything_in(tmp_path) == []


# Files


def test_a_file_is_streamed(fetched, tmp_path):
    body = bytes(range(256)) * 20_000
    answer = reply(body, content_type="application/pdf", content_disposition='attachment; filename="../a report.pdf"')
    manifest = fetched(answer, output_type="file", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a report.pdf"]
    assert (tmp_path / "a report.pdf").read_bytes() == body


def test_gzip_is_undone(fetched, tmp_path):
    answer = reply(gzip.compress(b"a,b\n" * 1000), content_encoding="gzip")
    assert fetched(answer, output_type="file", destination=f"{tmp_path}/x.csv")["bytes"] == 4000
    assert (tmp_path / "x.csv").read_bytes() == b"a,b\n" * 1000


def test_a_transfer_that_breaks_begins_anew(fetched, tmp_path):
    answers = [broken(b"abc"), chunked(b"abcd", b"efgh", end=False), raw(b""), reply(b"abcdefghij")]
    manifest = fetched(*answers, output_type="file", destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == b"abcdefghij"
    assert manifest["bytes"] == 10


def test_a_transfer_that_breaks_again_and_again_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[broken(b"abc")] * 5, output_type="file", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_a_file_that_is_too_large_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(reply(b"x" * 101), output_type="file", destination=f"{tmp_path}/a/x", limits={"max_bytes": 100})
    assert everything_in(tmp_path) == []


def test_each_url_of_a_list_becomes_a_file_with_a_name_of_its_own(fetched, server, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a/x.csv", "/b/X.csv", "/c/x.csv", "/d"]})
    server.routes |= {
        link: reply(content) for link, content in zip(handle.variables["links"], (b"1", b"2", b"3", b"4"), strict=True)
    }
    manifest = fetched(
        output_type="file",
        endpoint="{links}",
        handle=handle,
        destination=f"{tmp_path}/",
    )
    assert [Path(path).name for path in manifest["paths"]] == ["x.csv", "2-X.csv", "3-x.csv", "7"]
    assert [Path(path).read_bytes() for path in manifest["paths"]] == [b"1", b"2", b"3", b"4"]


def test_a_list_without_urls_makes_no_files(fetched, tmp_path):
    handle = JobHandle(None, variables={"links": []})
    manifest = fetched(output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/a/")
    assert (manifest["paths"], manifest["content_type"]) == ([], "")
    assert everything_in(tmp_path) == []


def test_several_files_do_not_become_one(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="is one file, and there are several"):
        fetched(reply(b"1"), output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/x")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("output", ["file", "zip"])
def test_files_need_a_destination(fetched, server, output):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=f"destination: output_type='{output}' needs one"):
        fetched(output_type=output, locate={"endpoint": "/l", "capture": {"a": "b"}})
    assert server.asked == []


def test_a_located_link_to_another_origin_gets_no_credentials(fetched, server, tmp_path):
    other = Server()
    try:
        other.respond_with(reply(b"abc"))
        manifest = fetched(
            reply({"link": f"{other.url}/files/x.csv?sig=s3cr3t"}),
            output_type="file",
            locate={"endpoint": "/jobs/{identifier}", "capture": {"link": "link"}},
            endpoint="{link}",
            destination=f"{tmp_path}/",
        )
        assert "authorization" in server.asked[0].headers
        assert "authorization" not in other.asked[0].headers
        assert other.asked[0].target == "/files/x.csv?sig=s3cr3t"
        assert "s3cr3t" not in json.dumps(manifest)
    finally:
        other.close()


def test_the_task_may_be_tried_again(fetched, tmp_path):
    for content in (b"first", b"second"):
        fetched(reply(content), output_type="file", destination=f"{tmp_path}/x")
        assert (tmp_path / "x").read_bytes() == content
    assert everything_in(tmp_path) == ["x"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_a_file_goes_to_an_object_store(fetched, scheme):
    store = fresh_store(scheme)
    manifest = fetched(reply(b"abc"), output_type="file", destination=f"{scheme}://bucket/a/b.csv")
    assert plain(manifest["paths"]) == [f"{scheme}://bucket/a/b.csv"]
    assert list(store.contents().values()) == [b"abc"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_an_upload_that_breaks_leaves_no_object_and_the_job_where_it_is(fetched, server, scheme):
    store = fresh_store(scheme)
    store.breaks = {2}
    with pytest.raises(ConnectionResetError):
        fetched(
            reply(zipped(a=b"1", b=b"2" * 100)),
            output_type="zip",
            destination=f"{scheme}://bucket/a/",
            cleanup={"endpoint": "/jobs/{identifier}"},
        )
    assert store.contents() == {}
    assert targets(server) == ["GET /jobs/7"]


# Archives


def test_an_archive_is_unpacked(fetched, tmp_path):
    answer = reply(zipped(a=b"1", sub__b=b"22"), content_type="application/zip")
    manifest = fetched(answer, output_type="zip", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a", f"{tmp_path}/sub/b"]
    assert (manifest["bytes"], manifest["members"], manifest["content_type"]) == (3, 2, "application/zip")
    assert everything_in(tmp_path) == ["a", "sub", "sub/b"]


def test_an_archive_may_be_kept_whole(fetched, tmp_path):
    content = zipped(a=b"1")
    fetched(reply(content), output_type="zip", destination=f"{tmp_path}/x.zip", limits={"unpack": False})
    assert (tmp_path / "x.zip").read_bytes() == content


def test_several_archives_have_a_folder_each(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1")), reply(zipped(a=b"1"))]
    fetched(*answers, output_type="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/")
    assert everything_in(tmp_path) == ["0", "0/a", "1", "1/a"]


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_members": 1}])
def test_several_archives_share_their_limits(fetched, tmp_path, limits):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1" * 600)), reply(zipped(a=b"2" * 600))]
    with pytest.raises(exceptions.AsyncApiResultFailed, match=next(iter(limits))):
        fetched(
            *answers, output_type="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/", limits=limits
        )
    assert everything_in(tmp_path) == []


def test_what_is_no_archive_is_shown(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed) as caught:
        fetched(
            reply({"error": "not ready", "you": "hunter22"}, content_type="application/json"),
            output_type="zip",
            destination=f"{tmp_path}/a/",
        )
    assert "/jobs/7 answered 200 with 41 bytes of application/json, which are no zip archive" in str(caught.value)
    assert 'the body begins: {"error": "not ready", "you": "***"}' in str(caught.value)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    "content", [zipped(a=b"1" * 1000)[:-1], zipped(**{"..__x": b"1"})], ids=["truncated", "escaping"]
)
def test_a_bad_archive_leaves_nothing(fetched, tmp_path, content):
    (tmp_path / "in").mkdir()
    with pytest.raises(exceptions.AsyncApiResultFailed, match=r"nothing was kept|no zip archive"):
        fetched(reply(content), output_type="zip", destination=f"{tmp_path}/in/a/")
    assert everything_in(tmp_path) == ["in"]


def test_an_archive_needs_a_folder(fetched, server, tmp_path):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="an archive is unpacked into a folder"):
        fetched(output_type="zip", destination=f"{tmp_path}/x.zip")
    assert server.asked == []


# Partial results


def states(*given: str):
    return {"rows": [{"state": state} for state in given]}


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


# Cleanup


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
        with pytest.raises((exceptions.AsyncApiFailure, AirflowSkipException)):
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


# A server that breaks


BODY = random.Random(4).randbytes(3 * MIB)


class Breaking:
    """
    Serves a file, and breaks off each time after so many bytes.

    :param misuse: what it does with a range: `None` what it should, or ignore it, answer with another part, another
        file, or refuse it.
    """

    def __init__(self, after: int, *, misuse: str | None = None, validator: bool = True) -> None:
        self.after, self.misuse, self.validator = after, misuse, validator
        self.ranges: list[str | None] = []

    def __call__(self, connection: Any, asked: Any) -> bool:
        given = asked.headers.get("range")
        self.ranges.append(given)
        first = int(given.removeprefix("bytes=").rstrip("-")) if given else 0
        tag = '"v2"' if given and self.misuse == "other etag" else '"v1"'
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\n"
        if given and self.misuse == "refuse":
            return reply(b"", 416)(connection, asked)
        if given and self.misuse != "ignore":
            first += 1 if self.misuse == "other part" else 0
            head = (
                f"HTTP/1.1 206 FailedRecordsRule\r\ncontent-length: {len(BODY) - first}\r\n"
                f"content-range: bytes {first}-{len(BODY) - 1}/{len(BODY)}\r\n"
            )
        elif given:
            first = 0
        head += f"etag: {tag}\r\n" if self.validator else ""
        # One that can't go on is whole at the third try.
        is_last = len(self.ranges) > 2 if self.misuse or not self.validator else first + self.after >= len(BODY)
        end = len(BODY) if is_last else first + self.after
        connection.sendall(head.encode() + b"\r\n" + BODY[first:end])
        return reset(connection, asked) if not is_last else True


@pytest.mark.parametrize(
    ("given", "most"),
    [
        # A reset loses what was on its way.
        ({}, 50),
        ({"misuse": "ignore"}, 3),
        ({"misuse": "other part"}, 4),
        ({"misuse": "other etag"}, 4),
        ({"misuse": "refuse"}, 4),
        ({"validator": False}, 3),
    ],
    ids=str,
)
def test_a_server_that_resets_is_asked_for_the_rest_or_for_all(fetched, server, tmp_path, given, most):
    server.routes["/jobs/7"] = breaking = Breaking(500_000, **given)
    manifest = fetched(output_type="file", destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert manifest["sha256"] == [hashlib.sha256(BODY).hexdigest()]
    assert len(breaking.ranges) <= most
    if not given:
        starts = [int(str(each).removeprefix("bytes=").rstrip("-")) for each in breaking.ranges[1:]]
        assert starts == sorted(starts)
        assert starts[-1] > len(BODY) / 2


def test_a_length_that_lies_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[broken(b"abc")] * 5, output_type="file", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_a_length_that_is_too_much_is_refused_before_it_comes(fetched, server, tmp_path):
    answer = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nabc")
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(answer, output_type="file", destination=f"{tmp_path}/a/x")
    assert len(server.asked) == 1
    assert everything_in(tmp_path) == []


def test_a_file_that_drips_is_whole_in_the_end(fetched, server, tmp_path):
    def drip(connection: Any, _asked: Any) -> bool:
        # Each byte is sent at once, in a packet of its own.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
        return True

    assert fetched(drip, output_type="file", destination=f"{tmp_path}/x")["bytes"] == 100


def test_a_file_that_is_not_what_was_stated_leaves_nothing(fetched, tmp_path):
    answers = [reply(b"xyz", content_md5=b64encode(hashlib.md5(b"abc").digest()).decode())] * 5
    with pytest.raises(exceptions.AsyncApiUnavailable, match=r"content-md5 states md5 .*5 errors in a row"):
        fetched(*answers, output_type="file", destination=f"{tmp_path}/a/x")
    handle = JobHandle("7", variables={"sha": f"sha256:{hashlib.sha256(b'abc').hexdigest()}"})
    assert fetched(
        reply(b"xyz"), reply(b"abc"), handle=handle, output_type="file", checksum="{sha}", destination=f"{tmp_path}/x"
    )
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="checksum: 'abc' can't be a checksum"):
        fetched(output_type="file", checksum="abc", destination=f"{tmp_path}/x")
    assert everything_in(tmp_path) == ["x"]


def test_files_are_fetched_at_the_same_time(fetched, server, tmp_path):
    together = threading.Barrier(3, timeout=10)

    def behave(connection, asked):
        together.wait()
        return reply(asked.target.encode())(connection, asked)

    links = [f"/{number}.csv" for number in range(6)]
    server.routes |= dict.fromkeys(links, behave)
    handle = JobHandle("7", variables={"links": links})
    manifest = fetched(output_type="file", endpoint="{links}", handle=handle, concurrency=3, destination=f"{tmp_path}/")
    assert [Path(path).read_text() for path in manifest["paths"]] == links


def test_one_file_that_fails_ends_the_others(fetched, server, tmp_path):
    begun = threading.Event()

    def endless(connection: Any, _asked: Any) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        begun.set()
        while True:
            connection.sendall(b"x" * 1000)

    def failing(connection: Any, asked: Any) -> bool:
        begun.wait(10)
        return reply(b"", 403)(connection, asked)

    server.routes |= {"/a": failing, "/b": endless}
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    with pytest.raises(exceptions.AsyncApiUnauthorized):
        fetched(output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/a/")
    assert everything_in(tmp_path) == []


# Tar and gzip


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_a_tar_archive_is_unpacked(fetched, tmp_path):
    manifest = fetched(reply(tarred(a=b"1", b=b"22")), output_type="tar", destination=f"{tmp_path}/")
    assert (manifest["members"], manifest["bytes"], everything_in(tmp_path)) == (2, 3, ["a", "b"])


@pytest.mark.parametrize(("output", "content"), [("zip", tarred(a=b"1")), ("tar", zipped(a=b"1"))])
def test_one_kind_of_archive_is_not_the_other(fetched, tmp_path, output, content):
    with pytest.raises(
        exceptions.AsyncApiResultFailed, match=f"output_type='{output}': .* which are no {output} archive"
    ):
        fetched(reply(content), output_type=output, destination=f"{tmp_path}/")


def test_the_password_of_an_archive_is_in_the_connection(fetched, server, tmp_path, monkeypatch):
    extra = {"auth": "none", "secrets": {"archive_password": "hunter22"}}
    monkeypatch.setenv("AIRFLOW_CONN_LOCKED", json.dumps({"host": server.url, "extra": extra}))
    hook = AsyncApiHook("locked")
    server.respond_with(reply(bytes.fromhex(ENCRYPTED)))
    plan = FetchPlan.parse({"endpoint": "/x", "output_type": "zip"})
    fetch(hook, FetchTask(plan, JobHandle("7"), f"{tmp_path}/", ResultLimits(10 * MIB, 10, 200, 1000)))
    hook.close()
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("unpack", "kept"), [(True, {"x.csv": b"a\n1\n"}), (False, {"x.csv.gz": gzip.compress(b"a\n1\n", mtime=0)})]
)
def test_a_gzip_file_is_undone_or_kept(fetched, server, tmp_path, unpack, kept):
    given = {
        "output_type": "gzip",
        "endpoint": "/x.csv.gz",
        "destination": f"{tmp_path}/",
        "limits": {"unpack": unpack},
    }
    fetched(reply(gzip.compress(b"a\n1\n", mtime=0)), **given)
    assert {name: (tmp_path / name).read_bytes() for name in everything_in(tmp_path)} == kept


# Rows


ROWS = [{"id": 1, "name": "ü", "tags": ["a"]}, {"id": 2.5, "name": None, "more": {"x": True}}]


@pytest.mark.parametrize(
    ("write_as", "name", "read"),
    [
        (None, "result.json", json.loads),
        ("json", "result.json", json.loads),
        ("ndjson", "result.ndjson", lambda text: [json.loads(line) for line in text.splitlines()]),
    ],
)
@pytest.mark.parametrize("path", ["rows", "rows[*]"])
def test_rows_of_a_document_are_written_one_by_one(fetched, tmp_path, write_as, name, read, path):
    manifest = fetched(reply({"rows": ROWS}), result_path=path, write_as=write_as, destination=f"{tmp_path}/")
    assert read((tmp_path / name).read_text()) == ROWS
    assert (manifest["rows"], manifest["bytes"]) == (2, (tmp_path / name).stat().st_size)


def test_no_rows_are_an_empty_file(fetched, tmp_path):
    for write_as, content in (("json", "[]"), ("ndjson", "")):
        fetched(reply({"rows": []}), result_path="rows", write_as=write_as, destination=f"{tmp_path}/x")
        assert (tmp_path / "x").read_text() == content


def test_a_table_is_written_as_rows(fetched, tmp_path):
    answer = reply(b"a;b\n1;2\n", content_type="text/csv")
    given = {"result_format": {"format": "csv", "delimiter": ";"}, "write_as": "ndjson"}
    fetched(answer, **given, destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_text() == '{"a": "1", "b": "2"}\n'


def test_rows_of_several_urls_are_one_file(fetched, server, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    server.routes |= {"/a": reply([1, 2]), "/b": reply([3])}
    given = {"handle": handle, "endpoint": "{links}", "result_path": "$[*]", "destination": f"{tmp_path}/x"}
    fetched(**given, write_as="ndjson")
    assert (tmp_path / "x").read_text() == "1\n2\n3\n"
    fetched(**given)
    assert json.loads((tmp_path / "x").read_text()) == [[1, 2], [3]]


@pytest.mark.parametrize(
    ("path", "kept"),
    [("$.rows[?(@.id == 1)].name", ["ü"]), ("$..id", [1, 2.5]), ("rows[0].tags", ["a"])],
)
def test_what_has_no_rows_is_read_as_a_whole(fetched, tmp_path, path, kept):
    fetched(reply({"rows": ROWS}), result_path=path, destination=f"{tmp_path}/x")
    assert json.loads((tmp_path / "x").read_text()) == kept
    fetched(reply({"rows": ROWS}), result_path=path, write_as="ndjson", destination=f"{tmp_path}/x")
    assert [json.loads(line) for line in (tmp_path / "x").read_text().splitlines()] == (
        kept if isinstance(kept, list) and path != "rows[0].tags" else [kept] if isinstance(kept, str) else kept
    )


def test_a_large_document_without_rows_says_what_to_do(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_asyncapi.results.destination.MAX_IN_MEMORY", 10)
    with pytest.raises(
        exceptions.AsyncApiResultFailed, match=r"^result_path: .*'\$\.\.id' has \d+ bytes, .*write_as is set"
    ):
        fetched(reply({"rows": ROWS}), result_path="$..id", destination=f"{tmp_path}/a/x")
    with pytest.raises(exceptions.AsyncApiResultFailed, match=r"^failed_records: the document has \d+ bytes, "):
        fetched(reply(states("ok")), failed_records=FAILED, destination=f"{tmp_path}/a/x")
    assert fetched(reply({"rows": ROWS}), result_path="rows", destination=f"{tmp_path}/x")["rows"] == 2
    assert everything_in(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            reply({"data": 1, "you": "hunter22"}),
            r"answered 200: result_path: 'rows' found nothing; the body begins: .*\*\*\*",
        ),
        (reply(b'{"rows": [1, ', content_type="application/json"), "answered 200: expected JSON, but it is broken"),
    ],
)
def test_a_document_that_is_not_what_was_promised_leaves_nothing(fetched, tmp_path, answer, message):
    with pytest.raises(exceptions.AsyncApiRejected, match=message):
        fetched(answer, result_path="rows", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_rows_may_be_parquet(fetched, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    manifest = fetched(reply({"rows": ROWS}), result_path="rows", write_as="parquet", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/result.parquet"]
    assert manifest["content_type"] == "application/vnd.apache.parquet"
    assert manifest["sha256"] == [hashlib.sha256((tmp_path / "result.parquet").read_bytes()).hexdigest()]
    table = parquet.read_table(tmp_path / "result.parquet")
    assert table.to_pylist() == [
        {"id": 1.0, "name": "ü", "tags": ["a"], "more": None},
        {"id": 2.5, "name": None, "tags": None, "more": {"x": True}},
    ]


@pytest.mark.parametrize("rows", [[], [1, 2], [{"a": None}], [{"a": 1}] * 7 + [{"a": 2.5, "b": "x"}]])
def test_parquet_has_columns_that_suit_all_rows(fetched, tmp_path, monkeypatch, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("airflow_provider_asyncapi.results.writers.parquet._BATCH", 3)
    fetched(reply({"rows": rows}), result_path="rows", write_as="parquet", destination=f"{tmp_path}/x")
    found = parquet.read_table(tmp_path / "x").to_pylist()
    wanted = [row if isinstance(row, dict) else {"value": row} for row in rows]
    assert [{name: value for name, value in row.items() if value is not None} for row in found] == [
        {name: value for name, value in row.items() if value is not None} for row in wanted
    ]


@pytest.mark.parametrize("rows", [[{"a": 1}, {"a": "x"}], [{"a": 1}] * 4 + [{"a": "x"}], [{"a": 10**30}], [{"a": {}}]])
def test_rows_that_have_no_columns_in_common_are_no_parquet(fetched, tmp_path, monkeypatch, rows):
    monkeypatch.setattr("airflow_provider_asyncapi.results.writers.parquet._BATCH", 3)
    with pytest.raises(exceptions.AsyncApiResultFailed, match="write_as: 'parquet' has one type for each column"):
        fetched(reply({"rows": rows}), result_path="rows", write_as="parquet", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_parquet_needs_pyarrow(fetched, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_asyncapi.results.writers.parquet", raising=False)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"install airflow-provider-asyncapi\[parquet\]"):
        fetched(reply([1]), result_path="$", write_as="parquet", destination=f"{tmp_path}/x")


@pytest.mark.parametrize(
    ("write_as", "name", "content"),
    [
        (None, "pages.ndjson", '{"n": 1}\n{"n": -1}\n{"n": 2}\n{"n": -2}\n'),
        ("json", "pages.json", '[{"n": 1}, {"n": -1}, {"n": 2}, {"n": -2}]'),
        ("files", "page-000002.txt", '{"rows": [{"n": 2}, {"n": -2}]}'),
    ],
)
def test_pages_are_written_as_is_wanted(fetched, server, tmp_path, write_as, name, content):
    server.routes["/rows"] = page_of({1: 2})
    manifest = fetched(**PAGES, pages=2, write_as=write_as, destination=f"{tmp_path}/")
    assert (tmp_path / name).read_text() == content
    assert (manifest["rows"], manifest["pages"]) == (4, 2)
    assert len(manifest["paths"]) == (2 if write_as == "files" else 1)


def test_the_first_of_the_page_files_may_be_in_the_status(fetched, server, tmp_path):
    server.routes["/rows"] = page_of()
    handle = JobHandle("7", variables={"first": [{"n": 0}]})
    given = {**PAGES, "pages": 2, "inline": "first", "handle": handle, "destination": f"{tmp_path}/"}
    fetched(**given, write_as="files")
    assert (tmp_path / "page-000001.json").read_text() == '[{"n": 0}]'


def test_a_way_of_writing_needs_a_destination(fetched, server):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="write_as: is for rows at a destination"):
        fetched(write_as="ndjson", result_path="rows")
    assert server.asked == []


def test_the_progress_of_pages_is_logged(fetched, server, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("airflow_provider_asyncapi.core.fetch.progress_meter.LOG_INTERVAL", 0.0)
    server.routes["/rows"] = page_of()
    fetched(**PAGES, pages=2)
    assert any("fetched 1 pages of 2 pages (50 %)" in record.message for record in caplog.records)


def test_a_try_replaces_what_an_earlier_one_has_left(fetched, server, tmp_path):
    """A task that dies after its files were put in place, and whose files have other names the next time."""

    class Killed(BaseException):
        pass

    def kill(_: Any) -> None:
        raise Killed

    def once(name: str, save: Any, *, is_retry: bool = False) -> None:
        owner = Owner("dag/run/task/-1", is_retry=is_retry, secret=lambda: b"key")
        server.respond_with(reply(zipped(**{name: b"1"})), reply())
        plan = FetchPlan.parse({"endpoint": "/x", "output_type": "zip", "cleanup": {"endpoint": "/x"}})
        hook = AsyncApiHook("api")
        try:
            fetch(hook, FetchTask(plan, JobHandle("7"), f"{tmp_path}/", ResultLimits(MIB, 9, 200, 9), owner), save)
        finally:
            hook.close()

    with pytest.raises(Killed):
        once("first", kill)
    assert (tmp_path / "first").exists()
    once("second", lambda _: None, is_retry=True)
    assert everything_in(tmp_path) == ["second"]


NO_JSON = [
    (b"NaN", "NaN"),
    (b"1E400", "too large for a double"),
    (b'"x \\ud83d"', "half a character"),
]


@pytest.mark.parametrize(("value", "problem"), NO_JSON)
@pytest.mark.parametrize("write_as", [None, "ndjson", "parquet"])
def test_what_is_no_json_is_refused_by_each_output_alike(fetched, tmp_path, value, problem, write_as):
    answer = reply(b'{"state": "done", "rows": [{"n": 1}, {"n": %s}]}' % value, content_type="application/json")
    with pytest.raises(exceptions.AsyncApiRejected, match=problem):
        fetched(answer, result_path="rows[1]")
    for path in ("rows[1]", "rows"):
        with pytest.raises(exceptions.AsyncApiRejected, match=problem):
            fetched(answer, result_path=path, destination=f"{tmp_path}/a/", write_as=write_as)
    assert everything_in(tmp_path) in ([], ["a"])


@pytest.mark.parametrize(("value", "problem"), NO_JSON)
def test_a_row_that_is_no_json_is_named_by_its_number_and_place(fetched, tmp_path, value, problem):
    pages = reply(b'{"rows": [{"n": 1}, {"n": {"deep": %s}}]}' % value, content_type="application/json")
    place = rf"result: row 2: .*{problem}.* at \$\.n\.deep"
    with pytest.raises(exceptions.AsyncApiRejected, match=place):
        fetched(pages, output_type="pages", result_path="rows[*]", endpoint="/a?page={page}", pages=1)
    with pytest.raises(exceptions.AsyncApiRejected, match=place):
        fetched(
            pages,
            output_type="pages",
            result_path="rows[*]",
            endpoint="/a?page={page}",
            pages=1,
            destination=f"{tmp_path}/a.ndjson",
        )


@pytest.mark.parametrize(
    ("value", "problem"),
    [(b'"a\\u0000b"', "NUL"), (b'{"__id__": 1}', "keeps for itself"), (b"[" * 99 + b"]" * 99, "levels")],
)
def test_a_result_that_airflow_cannot_store_is_refused_and_a_file_takes_it(fetched, tmp_path, value, problem):
    answer = reply(b'{"n": [%s]}' % value, content_type="application/json")
    with pytest.raises(exceptions.AsyncApiRejected, match=rf"result: .*{problem}.* at \$"):
        fetched(answer)
    fetched(answer, result_path="n", destination=f"{tmp_path}/a.json")
    assert json.loads((tmp_path / "a.json").read_bytes()) == json.loads(b"[%s]" % value)


def test_an_integer_beyond_64_bits_stays_exact(fetched, tmp_path):
    answer = reply(b'{"n": 99999999999999999999}', content_type="application/json")
    assert fetched(answer) == {"n": "99999999999999999999"}
    fetched(answer, result_path="n", destination=f"{tmp_path}/a.json")
    assert (tmp_path / "a.json").read_bytes() == b"99999999999999999999"


def test_the_content_type_of_a_manifest_can_be_stored_whatever_the_header_holds(fetched, tmp_path):
    manifest = fetched(reply(b"a", content_type="text/x\0y"), output_type="file", destination=f"{tmp_path}/a")
    assert manifest["content_type"] == "text/x�y"


def test_an_exception_of_a_fetch_names_the_job(fetched):
    with pytest.raises(exceptions.AsyncApiResultFailed) as gone:
        fetched(reply({"message": "it has expired"}, 404))
    assert (gone.value.job, gone.value.status_code, gone.value.message) == ("7", 404, "it has expired")
    with pytest.raises(exceptions.AsyncApiResultFailed) as large:
        fetched(reply(["x" * 2000]))
    assert large.value.job == "7"
