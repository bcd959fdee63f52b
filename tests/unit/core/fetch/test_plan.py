import contextlib

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.outputs.registry import OUTPUT_TYPES, PAGES, RESULT
from airflow_provider_asyncapi.core.fetch.paging.next_link import NextLink
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan, page_variables

FAILED = {"selector": "rows[*].s", "in": "failed"}
MEMBER = {**FAILED, "member": "result.json"}


def test_a_plan_needs_little():
    plan = FetchPlan.parse({"endpoint": "/x", "output_type": None, "pages": None})
    assert (plan.output, plan.concurrency, plan.paging, plan.failed_records) == (RESULT, 8, None, None)
    assert (plan.schedule.max_errors, plan.schedule.interval) == (5, 1)


def test_a_plan_may_say_everything():
    plan = FetchPlan.parse(
        {
            "output_type": "pages",
            "endpoint": "/x",
            "query_params": {"page": "{page}"},
            "pages": "{pages}",
            "concurrency": 2,
            "locate": {"endpoint": "/l", "capture": {"a": "b"}},
            "cleanup": {"endpoint": "/c"},
            "result_path": "rows",
            "result_format": "json",
            "inline": "rows",
            "failed_records": FAILED,
            "on_partial": "warn",
            "max_consecutive_errors": 9,
            "retry_delays": {429: 60},
        }
    )
    assert plan.cleanup is not None
    assert plan.locate is not None
    assert plan.cleanup.step.request.method == "DELETE"
    assert plan.locate.captures
    assert (plan.schedule.max_errors, plan.schedule.retry_delays) == (9, {429: 60})


def test_paging_parameters_alone_mean_pages():
    plan = FetchPlan.parse({"endpoint": "/x", "next_page": "links.next"})
    assert (plan.output, type(plan.paging)) == (PAGES, NextLink)


def test_an_output_that_is_given_wins_over_paging_parameters_of_a_profile():
    given = {"endpoint": "/x", "next_page": "links.next", "columns": "names", "output_type": "file"}
    assert FetchPlan.parse(given).paging is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"output_type": "table"}, "output_type: 'table' isn't one of result, pages, zip, tar, gzip, file"),
        ({"output_type": "pages"}, r"has to name \{page\} or \{offset\}"),
        ({"concurrency": 0}, "concurrency: has to be a whole number of at least 1, not 0"),
        ({"concurrency": True}, "concurrency: has"),
        ({"concurrency": "4"}, "concurrency: has"),
        ({"max_consecutive_errors": 0}, "max_consecutive_errors: has to be a whole number of at least 1"),
        ({"inline": ["a"]}, "inline: has to be the name of a variable"),
        ({"inline": "a", "output_type": "zip"}, "inline: a variable holds a value, and output_type='zip' makes files"),
        ({"failed_records": FAILED, "output_type": "file"}, "failed_records: a file is kept as it is"),
        ({"failed_records": FAILED, "output_type": "zip"}, "failed_records: needs member, the file in the archive"),
        ({"failed_records": {**FAILED, "member": "a"}}, "failed_records: member names a file in an archive"),
        ({"locate": "/x"}, "locate: has to be a mapping"),
        ({"cleanup_on": "success"}, "cleanup_on: needs cleanup, the request that is sent then"),
        (
            {"cleanup": {"endpoint": "/x"}, "cleanup_on": ["always"]},
            "cleanup_on: 'always' isn't one of success, no_data",
        ),
        ({"result_format": "yaml"}, "result_format: 'yaml'"),
        ({"write_as": "yaml"}, "write_as: 'yaml' isn't one of json, ndjson, csv, parquet, files"),
        ({"write_as": "json", "output_type": "file"}, "write_as: is for values and rows, and output_type='file' keeps"),
        ({"write_as": "files"}, "write_as: 'files' makes a file of each page, so output_type has to be 'pages'"),
        ({"columns": "names"}, "columns: are for rows of pages; set output_type='pages'"),
        ({"columns": "names", "inline": "rows", "next_page": "next"}, "columns: are selected from pages"),
        ({"columns": {"names": "a", "value": "b"}}, "columns: has the keys 'names' .* not 'names', 'value'"),
        ({"columns": {"values": "b"}}, "columns: has the keys 'names'"),
        ({"columns": {"names": "a", "values": 1}}, "columns.values: has to be a JSONPath, not 1"),
        ({"columns": {"names": "a", "values": "b.."}}, "columns.values: "),
        ({"columns": {"names": "a.."}}, "columns.names: malformed selector"),
        ({"checksum": 1, "output_type": "file"}, "checksum: has to be a template"),
        ({"checksum": "{a}"}, "checksum: is for files, and output_type='result' is read"),
        (
            {"total_rows": "a..", "output_type": "pages", "query_params": {"page": "{page}"}},
            "total_rows: malformed selector",
        ),
    ],
)
def test_what_can_not_be_meant_is_an_error(given, message):
    with pytest.raises(ConfigurationError, match=message):
        FetchPlan.parse({"endpoint": "/x", **given})


@pytest.mark.parametrize(
    "given",
    [{}, {"output_type": "pages"}, {"cursor": "next"}, {"on_partial": "warn"}, {"failed_records": MEMBER}],
)
def test_what_a_profile_may_still_add_is_not_missed(given):
    assert FetchPlan.parse(given, complete=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"failed_records": FAILED, "output_type": "zip"}, "failed_records: needs member"),
        ({"failed_records": FAILED, "output_type": "file"}, "failed_records: a file is kept as it is"),
        ({"endpoint": "/x", "output_type": "pages"}, r"has to name \{page\}"),
        ({"endpoint": "/x", "cursor": "next"}, r"has to name \{cursor\}"),
        ({"endpoint": "/x", "on_partial": "warn"}, "on_partial: needs failed_records"),
        ({"endpoint": "/x", "failed_records": MEMBER}, "failed_records: member names"),
        ({"cleanup": {}}, "cleanup: endpoint is missing"),
        ({"locate": {"capture": {"url": "u"}}}, "locate: endpoint is missing"),
    ],
)
def test_what_no_profile_can_mend_is_said_before_all_is_known(given, message):
    with pytest.raises(ConfigurationError, match=message):
        FetchPlan.parse(given, complete=False)


def test_the_request_has_an_endpoint_unless_the_job_has_given_the_result_already():
    with pytest.raises(ConfigurationError, match="fetch: endpoint is missing"):
        FetchPlan.parse({"result_path": "rows"})
    assert FetchPlan.parse({"inline": "rows"}).inline == "rows"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, set()),
        ({"output_type": "file", "page_size": 5}, set()),
        ({"output_type": "pages"}, {"page", "offset"}),
        ({"pages": 4}, {"page", "offset"}),
        ({"page_size": 5}, {"page", "offset", "limit"}),
        ({"next_page": "next"}, set()),
        ({"next_page": "next", "page_size": 5}, {"limit"}),
        ({"cursor": "next", "page_size": 5}, {"cursor", "limit"}),
    ],
)
def test_only_the_variables_of_the_way_of_paging_are_known(given, names):
    assert page_variables(given) == names
    assert page_variables(given, whole=False) == {"page", "offset", "limit", "cursor"}


@pytest.mark.parametrize(
    ("output_type", "destination", "unpack", "message"),
    [
        ("file", None, True, "output_type='file' needs one"),
        ("zip", None, False, "output_type='zip' needs one"),
        ("zip", "/data/x.zip", True, "end '/data/x.zip' with a slash"),
        ("zip", "/data/x.zip", False, None),
        ("zip", "/data/", True, None),
        ("file", "/data/x.csv", True, None),
        ("result", None, True, None),
    ],
)
def test_files_need_a_place_to_go(output_type, destination, unpack, message):
    with pytest.raises(ConfigurationError, match=message) if message else contextlib.nullcontext():
        OUTPUT_TYPES[output_type].check_destination(destination, unpack=unpack)


def test_what_a_callback_holds_needs_no_request():
    assert FetchPlan.parse({"callback": True}).callback is True
    assert FetchPlan.parse({"callback": True, "endpoint": "/x"}).callback is True


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"callback": "hint"}, "callback: has to be True or False, not 'hint'"),
        (
            {"callback": True, "output_type": "file"},
            "callback: a callback holds one value, and output_type='file' isn't",
        ),
        ({"callback": True, "cursor": "next", "query_params": {"c": "{cursor}"}}, "output_type='pages' isn't"),
        ({"callback": False}, "endpoint is missing"),
    ],
)
def test_a_callback_is_one_value(given, message):
    with pytest.raises(ConfigurationError, match=message):
        FetchPlan.parse(given)


@pytest.mark.parametrize(
    ("given", "selects"),
    [
        ({}, False),
        ({"failed_records": FAILED, "result_format": "csv"}, False),
        ({"result_path": "rows"}, True),
        ({"write_as": "ndjson"}, True),
    ],
)
def test_a_result_is_kept_as_it_came_unless_a_part_or_another_form_of_it_is_wanted(given, selects):
    assert FetchPlan.parse({"endpoint": "/x", **given}).selects_part is selects
