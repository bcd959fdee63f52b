"""Write rows: as JSON, line by line, and as Parquet."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.destination import Owner
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from tests.loopback import reply
from tests.unit.results.transfers import FAILED, MIB, PAGES, everything_in, page_of, states, zipped

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


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


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [{"id": 1, "name": 'ü, "x"', "tags": ["a"], "ok": True}, {"name": None, "id": 2.5}],
            'id,name,tags,ok\n1,"ü, ""x""","[""a""]",true\n2.5,,,\n',
        ),
        ([{"a,b": "1\n2"}], '"a,b"\n"1\n2"\n'),
        ([1, "x"], "value\n1\nx\n"),
        ([{"a": None}], 'a\n""\n'),
        ([], ""),
    ],
)
def test_rows_may_be_csv(fetched, tmp_path, rows, text):
    manifest = fetched(reply({"rows": rows}), result_path="rows", write_as="csv", destination=f"{tmp_path}/")
    assert (tmp_path / "result.csv").read_bytes().decode() == text
    assert (manifest["content_type"], manifest["rows"]) == ("text/csv", len(rows))


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (
            '[{"a": 1}, {"b": 2}]',
            exceptions.AsyncApiResultFailed,
            "the first row, and row 2 has 'b' too; take 'ndjson'",
        ),
        ('[{"a": "\\ud800"}]', exceptions.AsyncApiRejected, r"result: row 1: half a character .* at \$\.a"),
        ('[{"a": 1}, {"a": NaN}]', exceptions.AsyncApiRejected, "NaN"),
    ],
)
def test_rows_that_no_csv_can_have_are_an_error(fetched, server, tmp_path, rows, error, message):
    server.routes["/rows"] = reply(f'{{"rows": {rows}}}'.encode(), content_type="application/json")
    with pytest.raises(error, match=message):
        fetched(**PAGES, pages=1, write_as="csv", destination=f"{tmp_path}/a/x")
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
        ("csv", "pages.csv", "n\n1\n-1\n2\n-2\n"),
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
