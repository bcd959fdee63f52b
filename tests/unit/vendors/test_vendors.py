"""Each shipped profile works with a pretended vendor: on a worker and on an event loop, over HTTP."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.connections.profiles import find_profile_files, load_profile
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.core.errors import UnknownVariableError
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from tests.unit.fake_airflow import OwnTI, context_of
from tests.unit.vendors.catalog import VENDORS, make_connection, page_snippets
from tests.unit.vendors.keys import fill_in_key
from tests.unit.vendors.runs import Caller, fetch, serving, submit, wait
from tests.unit.vendors.vendor import Vendor, VendorServer

#: Profiles whose systems the demo simulates, or that are about no vendor.
SIMULATED_ELSEWHERE = {
    "celigo",
    "cloud_elements",
    "cloud_elements_async",
    "http_202",
    "panoply",
    "phixflow",
    "vayana",
}
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=str)


def scenarios(field: str) -> pytest.MarkDecorator:
    """Return the cases of all vendors that a field names, as parameters."""
    cases = [(vendor, name) for vendor in VENDORS.values() for name in getattr(vendor, field)]
    return pytest.mark.parametrize(("vendor", "scenario"), cases, ids=[f"{each}-{name}" for each, name in cases])


@each_vendor
def test_a_job_is_submitted_polled_and_fetched(vendor: Vendor, call: Caller, connect: Any, tmp_path: Path) -> None:
    with serving(vendor, connect) as server:
        submitted = submit(call, vendor)
        job = wait(call, vendor, submitted)
        assert fetch(call, vendor, job, tmp_path) == vendor.expected
        assert server.refused == []
        assert all(each.is_over for each in server.jobs.values())
        assert len(server.jobs) == 1


@pytest.mark.usefixtures("pauses")
def test_the_key_pair_on_the_page_of_snowflake_signs_in(connect: Any) -> None:
    vendor = VENDORS["snowflake/sql_statements"]
    _, shown = [each.text for each in page_snippets("snowflake", "json")]
    with VendorServer(vendor) as server:
        given = {**json.loads(fill_in_key(shown)), "host": server.url}
        given.pop("conn_type")
        connect("vendor", **given)
        with AsyncApiHook("vendor") as hook:
            assert hook.submit_job(**vendor.submit).identifier in server.jobs
        connect("vendor", **{**given, "login": "ANN"})
        with (
            AsyncApiHook("vendor") as hook,
            pytest.raises(exceptions.AsyncApiUnauthorized, match="JWT token is invalid"),
        ):
            hook.submit_job(**vendor.submit)


@scenarios("failures")
def test_a_job_that_fails_is_an_error_with_the_vendors_message(
    vendor: Vendor, scenario: str, call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(vendor, connect, scenario) as server:
        job = submit(call, vendor)
        with pytest.raises(exceptions.AsyncApiJobFailed, match=vendor.failures[scenario]):
            fetch(call, vendor, wait(call, vendor, job), tmp_path)
        assert server.refused == []


@scenarios("results")
def test_other_jobs_have_a_result_too(
    vendor: Vendor, scenario: str, call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(vendor, connect, scenario) as server:
        job = wait(call, vendor, submit(call, vendor))
        assert fetch(call, vendor, job, tmp_path) == vendor.results[scenario]
        assert server.refused == []


@scenarios("skipped")
def test_the_fetch_of_a_job_without_rows_is_skipped(
    vendor: Vendor, scenario: str, call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(vendor, connect, scenario) as server:
        job = wait(call, vendor, submit(call, vendor))
        with pytest.raises(AirflowSkipException):
            fetch(call, vendor, job, tmp_path)
        assert server.refused == []


@scenarios("partial")
def test_records_of_a_job_that_have_failed_fail_the_fetch(
    vendor: Vendor, scenario: str, call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(vendor, connect, scenario) as server:
        job = wait(call, vendor, submit(call, vendor))
        with pytest.raises(exceptions.AsyncApiResultFailed):
            fetch(call, vendor, job, tmp_path)
        assert server.refused == []


@scenarios("no_data")
def test_a_job_without_data_is_no_failure(vendor: Vendor, scenario: str, call: Caller, connect: Any) -> None:
    with serving(vendor, connect, scenario) as server:
        assert wait(call, vendor, submit(call, vendor)).outcome == "no_data"
        assert server.refused == []


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.cancelled], ids=str)
def test_a_job_is_cancelled_and_has_then_failed(vendor: Vendor, call: Caller, connect: Any) -> None:
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        assert call("cancel_job", job) is True
        # An API may report a job without data as a cancelled one.
        if vendor.cancelled[-1] in [vendor.states[scenario][-1] for scenario in vendor.no_data]:
            assert wait(call, vendor, job).outcome == "no_data"
        else:
            with pytest.raises(exceptions.AsyncApiJobFailed):
                wait(call, vendor, job)
        assert server.refused == []


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.cancelled], ids=str)
def test_the_cancel_of_a_job_that_has_ended_does_no_harm(
    vendor: Vendor, call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(vendor, connect):
        job = wait(call, vendor, submit(call, vendor))
        call("cancel_job", job)
        assert fetch(call, vendor, job, tmp_path) == vendor.expected


@each_vendor
def test_a_status_is_known_to_the_profile(
    vendor: Vendor, call: Caller, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(AsyncApiHook, "log_events", lambda _, event: logged.append(event))
    with serving(vendor, connect):
        wait(call, vendor, submit(call, vendor))
    lines = [event for event in logged if isinstance(event, Log)]
    assert lines
    warnings = [line.message for line in lines if line.level >= logging.WARNING]
    assert len(warnings) == vendor.busy, warnings


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.progress is not None], ids=str)
def test_polls_show_the_progress_of_a_job(vendor: Vendor, call: Caller, connect: Any) -> None:
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        seen = set()
        while not next(iter(server.jobs.values())).is_over:
            seen.add(call("get_job", job, **vendor.status).progress)
        assert vendor.progress in seen


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.rejected], ids=str)
def test_a_request_that_the_vendor_refuses_is_an_error_with_its_message(
    vendor: Vendor, call: Caller, connect: Any
) -> None:
    assert vendor.rejected is not None
    change, message = vendor.rejected
    # A response with a 200 that reports a mistake is a failure by a rule.
    refused = (exceptions.AsyncApiRejected, exceptions.AsyncApiJobFailed)
    with serving(vendor, connect), pytest.raises(refused, match=message):
        submit(call, vendor, **change)


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.rate_limit], ids=str)
def test_a_rate_limit_is_obeyed(
    vendor: Vendor,
    call: Caller,
    connect: Any,
    tmp_path: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert vendor.rate_limit is not None
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        pauses.clear()
        # The pause that a vendor asks for passes on the clock, too.
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + sum(pauses))
        server.limited = 1
        job = wait(call, vendor, job)
        assert any(vendor.rate_limit[1] <= seconds <= 2 * vendor.rate_limit[1] for seconds in pauses), pauses
        assert fetch(call, vendor, job, tmp_path) == vendor.expected


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.logs_in], ids=str)
def test_a_token_that_has_expired_is_renewed(vendor: Vendor, call: Caller, connect: Any, tmp_path: Path) -> None:
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        expired = server.new_token()
        assert fetch(call, vendor, wait(call, vendor, job), tmp_path) == vendor.expected
        assert server.tokens[-1] != expired
        assert all(each.is_over for each in server.jobs.values())


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if not each.logs_in], ids=str)
def test_a_key_that_is_revoked_is_an_error_without_the_key(vendor: Vendor, call: Caller, connect: Any) -> None:
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        server.is_revoked = True
        with pytest.raises(exceptions.AsyncApiUnauthorized) as caught:
            wait(call, vendor, job)
        assert server.refused
        key = make_connection(vendor, server).get("password")
        assert key
        assert key not in str(caught.value)


@pytest.mark.parametrize("name", ["dbt/job_runs", "databricks/job_runs", "apify/actor_runs"])
def test_a_version_that_the_vendor_no_longer_serves_is_an_error_that_names_the_profile(
    name: str, call: Caller, connect: Any
) -> None:
    with serving(VENDORS[name], connect) as server:
        server.is_withdrawn = True
        with pytest.raises(exceptions.AsyncApiRejected) as caught:
            submit(call, VENDORS[name])
    assert "no longer serve this version of its API: extend the profile" in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("vendor", "known"),
    [
        (
            VENDORS["dbt/job_runs"],
            "account: the id of the account; job: the id of the job; cause: the reason of the run",
        ),
        (VENDORS["ga4gh/runs"], "workflow: the URL of the workflow; type: its language: CWL, WDL, NFL …; version:"),
        (
            VENDORS["google/bigquery_queries"],
            "project: the id of the project of the job; query: the SQL text; location:",
        ),
    ],
    ids=str,
)
def test_a_missing_variable_is_an_error_that_names_those_of_the_profile(vendor: Vendor, known: str) -> None:
    with DAG("dag", schedule=None), pytest.raises(UnknownVariableError) as caught:
        async_api_job("job", profile=vendor.profile)
    assert f"The profile {vendor.profile!r} has {known}" in str(caught.value)


@each_vendor
def test_a_vendor_refuses_what_it_does_not_know(vendor: Vendor, call: Caller, connect: Any) -> None:
    with serving(vendor, connect) as server:
        with pytest.raises(exceptions.AsyncApiRejected):
            call("request", "GET", "/no/such/path")
        assert server.refused


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.repair], ids=str)
@pytest.mark.usefixtures("pauses", "run_outside_of_airflow")
def test_a_job_that_has_failed_is_repaired(vendor: Vendor, connect: Any) -> None:
    with serving(vendor, connect, "failed") as server:
        with DAG("dag", schedule=None):
            task = AsyncApiJobOperator(
                task_id="job",
                asyncapi_conn_id="vendor",
                profile=vendor.profile,
                submit=dict(vendor.submit),
                status=dict(vendor.status),
                fetch=dict(vendor.fetch or {}),
                resubmit=1,
                deferrable=False,
            )
        assert task.execute(context_of(OwnTI())) == vendor.expected
        assert server.refused == []
        request, _, query = vendor.repair.partition("?")
        repairs = [call for call in server.calls_to(request) if dict(parse_qsl(query)).items() <= call.query.items()]
        submits = [call for call in server.calls_to(vendor.routes[0].request) if call not in repairs]
        assert (len(submits), len(repairs)) == (1, 1)


@pytest.mark.parametrize("vendor", [each for each in VENDORS.values() if each.repair], ids=str)
def test_a_group_without_further_jobs_ignores_how_its_profile_repairs(vendor: Vendor) -> None:
    with DAG("dag", schedule=None):
        group = async_api_job("job", profile=vendor.profile, submit=dict(vendor.submit))
    assert group.wait.submit is None


@pytest.mark.usefixtures("pauses", "run_outside_of_airflow")
def test_a_dag_switches_off_that_the_profile_repairs_a_job(connect: Any) -> None:
    vendor = VENDORS["databricks/job_runs"]
    with serving(vendor, connect, "failed") as server:
        with DAG("dag", schedule=None):
            task = AsyncApiJobOperator(
                task_id="job",
                asyncapi_conn_id="vendor",
                profile=vendor.profile,
                submit=dict(vendor.submit),
                resubmit=1,
                repair=False,
                deferrable=False,
            )
        with pytest.raises(exceptions.AsyncApiAttemptFailed):
            task.execute(context_of(OwnTI()))
        assert server.refused == []
        assert server.calls_to(vendor.repair) == []
        assert len(server.calls_to(vendor.routes[0].request)) == 2


def test_what_a_profile_sets_can_be_switched_off_in_a_call_of_the_hook(call: Caller, connect: Any) -> None:
    vendor = VENDORS["databricks/job_runs"]
    with serving(vendor, connect) as server:
        job = submit(call, vendor)
        with pytest.raises(exceptions.AsyncApiTimeout):
            call("wait_for_job", job, timeout=0, cancel=False)
        assert server.calls_to("POST /api/2.2/jobs/runs/cancel") == []
        with pytest.raises(exceptions.AsyncApiTimeout):
            call("wait_for_job", job, timeout=0)
        assert len(server.calls_to("POST /api/2.2/jobs/runs/cancel")) == 1


def test_each_shipped_profile_has_a_pretended_vendor() -> None:
    assert set(VENDORS) | SIMULATED_ELSEWHERE == set(find_profile_files())


@each_vendor
def test_a_profile_names_its_sources_and_the_day_of_the_check(vendor: Vendor) -> None:
    about = load_profile(vendor.profile)["about"]
    assert about["title"]
    assert about["category"]
    assert about["sources"]
    assert about["documentation"].startswith("https://")
    assert about["checked"] >= "2026-11-29"
    assert about["page"] == vendor.page
