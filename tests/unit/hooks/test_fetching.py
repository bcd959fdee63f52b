from __future__ import annotations

import gzip
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.plans.fetch import FetchPlan
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.fetching import Limits, fetch
from tests.unit.hooks.stores import fresh_store, plain
from tests.unit.transports.loopback import Server, chunked, raw, reply

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
        server.plays(*script)
        plan = FetchPlan.parse({"endpoint": "/jobs/{identifier}", **given})
        bounds = {"max_bytes": 10 * MIB, "max_members": 100, "max_ratio": 200, "max_xcom_bytes": 1000, **(limits or {})}
        return fetch(hook, plan, handle or JobHandle("7"), destination, Limits(**bounds))

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
    with pytest.raises(exceptions.AsyncApiRejected, match=r"more than 1048576 bytes.*can be streamed: output='file'"):
        fetched(reply(b"x" * 2 * MIB, content_type="text/plain"))


def test_a_small_value_may_be_selected_from_a_large_answer(fetched):
    assert fetched(reply({"n": 1, "more": "x" * 90_000}), result_path="n") == 1


def test_a_selected_value_may_go_to_a_destination(fetched, tmp_path):
    manifest = fetched(reply({"rows": ["ü", "\ud800"]}), result_path="rows", destination=f"{tmp_path}/a/")
    assert manifest["paths"] == [f"{tmp_path}/a/result.json"]
    assert manifest["content_type"] == "application/json"
    content = (tmp_path / "a/result.json").read_bytes()
    assert json.loads(content) == ["ü", "\ud800"]
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
    assert fetched(**given, output="pages", params={"page": "{page}"}) == [{"state": "failed"}]
    manifest = fetched(**given, output="pages", params={"page": "{page}"}, destination=f"{tmp_path}/")
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


def page_of(delays: dict[int, float] | None = None):
    def behave(connection, asked):
        number = int(asked.target.partition("=")[2])
        time.sleep((delays or {}).get(number, 0))
        return reply({"rows": [{"n": number}, {"n": -number}]})(connection, asked)

    return behave


PAGES = {"output": "pages", "endpoint": "/rows", "params": {"page": "{page}"}, "result_path": "rows"}


def test_pages_fetched_at_the_same_time_stay_in_order(fetched, server):
    server.routes["/rows"] = page_of({1: 0.2, 2: 0.1})
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
    manifest = fetched(answer, output="file", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a report.pdf"]
    assert (tmp_path / "a report.pdf").read_bytes() == body


def test_gzip_is_undone(fetched, tmp_path):
    answer = reply(gzip.compress(b"a,b\n" * 1000), content_encoding="gzip")
    assert fetched(answer, output="file", destination=f"{tmp_path}/x.csv")["bytes"] == 4000
    assert (tmp_path / "x.csv").read_bytes() == b"a,b\n" * 1000


def test_a_transfer_that_breaks_begins_anew(fetched, tmp_path):
    answers = [broken(b"abc"), chunked(b"abcd", b"efgh", end=False), raw(b""), reply(b"abcdefghij")]
    manifest = fetched(*answers, output="file", destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == b"abcdefghij"
    assert manifest["bytes"] == 10


def test_a_transfer_that_breaks_again_and_again_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[broken(b"abc")] * 5, output="file", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_a_file_that_is_too_large_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(reply(b"x" * 101), output="file", destination=f"{tmp_path}/a/x", limits={"max_bytes": 100})
    assert everything_in(tmp_path) == []


def test_each_url_of_a_list_becomes_a_file_with_a_name_of_its_own(fetched, server, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a/x.csv", "/b/X.csv", "/c/x.csv", "/d"]})
    manifest = fetched(
        *[reply(b"1"), reply(b"2"), reply(b"3"), reply(b"4")],
        output="file",
        endpoint="{links}",
        handle=handle,
        destination=f"{tmp_path}/",
    )
    assert [Path(path).name for path in manifest["paths"]] == ["x.csv", "2-X.csv", "3-x.csv", "7"]
    assert [Path(path).read_bytes() for path in manifest["paths"]] == [b"1", b"2", b"3", b"4"]


def test_a_list_without_urls_makes_no_files(fetched, tmp_path):
    handle = JobHandle(None, variables={"links": []})
    manifest = fetched(output="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/a/")
    assert (manifest["paths"], manifest["content_type"]) == ([], "")
    assert everything_in(tmp_path) == []


def test_several_files_do_not_become_one(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="is one file, and there are several"):
        fetched(reply(b"1"), output="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/x")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("output", ["file", "zip"])
def test_files_need_a_destination(fetched, server, output):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=f"destination: output='{output}' needs one"):
        fetched(output=output, locate={"endpoint": "/l", "capture": {"a": "b"}})
    assert server.asked == []


def test_a_located_link_to_another_origin_gets_no_credentials(fetched, server, tmp_path):
    other = Server()
    try:
        other.plays(reply(b"abc"))
        manifest = fetched(
            reply({"link": f"{other.url}/files/x.csv?sig=s3cr3t"}),
            output="file",
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
        fetched(reply(content), output="file", destination=f"{tmp_path}/x")
        assert (tmp_path / "x").read_bytes() == content
    assert everything_in(tmp_path) == ["x"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_a_file_goes_to_an_object_store(fetched, scheme):
    store = fresh_store(scheme)
    manifest = fetched(reply(b"abc"), output="file", destination=f"{scheme}://bucket/a/b.csv")
    assert plain(manifest["paths"]) == [f"{scheme}://bucket/a/b.csv"]
    assert list(store.contents().values()) == [b"abc"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_an_upload_that_breaks_leaves_no_object_and_the_job_where_it_is(fetched, server, scheme):
    store = fresh_store(scheme)
    store.breaks = {2}
    with pytest.raises(ConnectionResetError):
        fetched(
            reply(zipped(a=b"1", b=b"2" * 100)),
            output="zip",
            destination=f"{scheme}://bucket/a/",
            cleanup={"endpoint": "/jobs/{identifier}"},
        )
    assert store.contents() == {}
    assert targets(server) == ["GET /jobs/7"]


# Archives


def test_an_archive_is_unpacked(fetched, tmp_path):
    answer = reply(zipped(a=b"1", sub__b=b"22"), content_type="application/zip")
    manifest = fetched(answer, output="zip", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a", f"{tmp_path}/sub/b"]
    assert (manifest["bytes"], manifest["members"], manifest["content_type"]) == (3, 2, "application/zip")
    assert everything_in(tmp_path) == ["a", "sub", "sub/b"]


def test_an_archive_may_be_kept_whole(fetched, tmp_path):
    content = zipped(a=b"1")
    fetched(reply(content), output="zip", destination=f"{tmp_path}/x.zip", limits={"unpack": False})
    assert (tmp_path / "x.zip").read_bytes() == content


def test_several_archives_have_a_folder_each(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1")), reply(zipped(a=b"2"))]
    fetched(*answers, output="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/")
    assert everything_in(tmp_path) == ["0", "0/a", "1", "1/a"]


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_members": 1}])
def test_several_archives_share_their_limits(fetched, tmp_path, limits):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1" * 600)), reply(zipped(a=b"2" * 600))]
    with pytest.raises(exceptions.AsyncApiResultFailed, match=next(iter(limits))):
        fetched(*answers, output="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/", limits=limits)
    assert everything_in(tmp_path) == []


def test_what_is_no_archive_is_shown(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed) as caught:
        fetched(
            reply({"error": "not ready", "you": "hunter22"}, content_type="application/json"),
            output="zip",
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
        fetched(reply(content), output="zip", destination=f"{tmp_path}/in/a/")
    assert everything_in(tmp_path) == ["in"]


def test_an_archive_needs_a_folder(fetched, server, tmp_path):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="an archive is unpacked into a folder"):
        fetched(output="zip", destination=f"{tmp_path}/x.zip")
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


def test_failed_records_may_be_warned_of(fetched, caplog, tmp_path):
    assert fetched(reply(states("failed", "ok")), failed_records=FAILED, on_partial="warn") == states("failed", "ok")
    assert ("WARNING", "1 of 2 records of job 7 failed") in [(each.levelname, each.message) for each in caplog.records]
    manifest = fetched(
        reply(states("failed")), failed_records=FAILED, on_partial="warn", destination=f"{tmp_path}/x.json"
    )
    assert manifest["failed_records"] == 1


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
    given = {"failed_records": {**FAILED, "member": "result.json"}, "on_partial": action, "output": "zip"}
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
            output="zip",
            failed_records={**FAILED, "member": "result.json"},
            destination=f"{tmp_path}/",
        )
    assert everything_in(tmp_path) == []


def test_a_member_that_should_say_what_failed_may_not_be_huge(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_asyncapi.hooks.fetching._LARGEST_REPORT", 10)
    with pytest.raises(exceptions.AsyncApiResultFailed, match="has 28 bytes, too many to count in"):
        fetched(
            reply(zipped(result_json=json.dumps(states("ok")).encode() + b" ")),
            output="zip",
            failed_records={**FAILED, "member": "result.json"},
            destination=f"{tmp_path}/",
        )


def test_an_archive_that_is_kept_whole_is_not_looked_into(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="only where it is unpacked"):
        fetched(
            output="zip",
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
        reply(b"abc"), delete, output="file", destination=f"{tmp_path}/x", cleanup={"endpoint": "/jobs/{identifier}"}
    )
    assert targets(server) == ["GET /jobs/7", "DELETE /jobs/7"]
    assert there == [True]


def test_a_cleanup_that_fails_loses_nothing(fetched, tmp_path):
    answers = [reply(b"abc"), reply({"detail": "no"}, 403)]
    fetched(*answers, output="file", destination=f"{tmp_path}/x", cleanup={"endpoint": "/jobs/7"})
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_a_commit_that_fails_leaves_the_job_where_it_is(fetched, server, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="is a folder, and the result has a file"):
        fetched(
            reply(zipped(**{"0": b"1", "a": b"2"})),
            output="zip",
            destination=f"{tmp_path}/",
            cleanup={"endpoint": "/jobs/7"},
        )
    assert targets(server) == ["GET /jobs/7"]
    assert everything_in(tmp_path) == ["a"]
