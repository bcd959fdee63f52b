"""What each output type asks of a run."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS, WriterKind
from airflow_provider_asyncapi.core.registry import Registry


class Run:
    """Writes down what it is asked for."""

    def __init__(self, *, selects_part: bool, has_destination: bool, unpack: bool) -> None:
        self.selects_part, self.has_destination, self.unpack = selects_part, has_destination, unpack

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: (name, *args, *kwargs.items())


def fetch(inline: Any = None, *, has_destination: bool = True, unpack: bool = True, **given: Any) -> Any:
    plan = FetchPlan.parse({"endpoint": "/x", "query_params": {"page": "{page}"}, **given})
    run = Run(selects_part=plan.selects_part, has_destination=has_destination, unpack=unpack)
    return plan.output.fetch(run, inline)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"has_destination": False}, ("fetch_value",)),
        ({}, ("fetch_files",)),
        ({"result_path": "rows"}, ("fetch_selected",)),
        ({"write_as": "json"}, ("fetch_selected",)),
        ({"output_type": "pages"}, ("fetch_pages", None)),
        ({"output_type": "pages", "inline": [1]}, ("fetch_pages", [1])),
        ({"output_type": "zip"}, ("fetch_archives", "airflow_provider_asyncapi.results.zip_archives:ZIP")),
        ({"output_type": "tar"}, ("fetch_archives", "airflow_provider_asyncapi.results.tar_archives:TAR")),
        ({"output_type": "zip", "unpack": False}, ("fetch_files",)),
        ({"output_type": "gzip"}, ("fetch_files", ("gunzip", True))),
        ({"output_type": "gzip", "unpack": False}, ("fetch_files", ("gunzip", False))),
        ({"output_type": "file"}, ("fetch_files",)),
    ],
)
def test_an_output_type_fetches_in_its_own_way(given, asked):
    assert fetch(**given) == asked


def test_a_value_that_the_job_has_given_already_needs_no_request():
    name, value, responses = fetch([1])
    assert (name, value, [response.json for response in responses]) == ("return_value", [1], [[1]])


def test_a_writer_is_a_class_or_is_imported_when_it_is_needed():
    assert WriterKind("toy", "", Registry).load() is Registry
    assert WriterKind("toy", "", "airflow_provider_asyncapi.core.registry:Registry").load() is Registry
    assert list(WRITE_AS) == ["json", "ndjson", "csv", "parquet", "files"]
