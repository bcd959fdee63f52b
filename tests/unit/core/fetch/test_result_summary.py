from __future__ import annotations

from airflow_provider_asyncapi.core.fetch.result_summary import summarize_manifest, summarize_result
from airflow_provider_asyncapi.core.jobs.handle import JobHandle

AT = "1970-01-01T00:00:05+00:00"


def test_a_value_is_summarized_by_its_rows_and_never_by_its_content():
    assert summarize_result(JobHandle("7"), [{"secret": 1}, {}], None, 5) == {"identifier": "7", "at": AT, "rows": 2}
    assert summarize_result(JobHandle("7"), {"secret": 1}, None, 5) == {"identifier": "7", "at": AT}


def test_files_are_summarized_by_their_manifest():
    manifest = {"paths": ["a.csv", "b.csv"], "bytes": 70, "sha256": ["x", "y"], "rows": 3}
    assert summarize_result(JobHandle(7), manifest, "s3://bucket/", 5) == {
        "identifier": 7,
        "at": AT,
        "rows": 3,
        "bytes": 70,
        "files": ["a.csv", "b.csv"],
        "file_count": 2,
    }


def test_of_many_files_the_first_are_named():
    summary = summarize_manifest({"paths": [f"{number}.csv" for number in range(500)], "bytes": "many"}, 5)
    files = summary["files"]
    assert isinstance(files, list)
    assert (len(files), summary["file_count"], "bytes" in summary) == (20, 500, False)
    assert summarize_manifest({"paths": "a.csv"}, 5) == {"at": AT, "files": [], "file_count": 0}
