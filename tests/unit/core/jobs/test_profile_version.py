"""The version of a profile changes with what it says about jobs, and a job handle keeps it."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import ContentError, RequestRejectedError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.profile_version import explain_change, run_under_changed_profile, version_of
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response
from tests.unit.core.submit.tries import CREATED, KEYED, NEW, KilledError, killed, stored

PROFILE: dict[str, Any] = {
    "about": {"title": "Acme"},
    "connection": {"auth": "bearer"},
    "submit": {"endpoint": "/jobs", "json": {"a": 1}},
    "status": {"endpoint": "/jobs/{identifier}", "completion_value": ["done"]},
}
OLD, NOW = {"name": "acme", "version": "1"}, {"name": "acme", "version": "2"}


def changed(table: str, **keys: Any) -> dict[str, Any]:
    return {**PROFILE, table: {**PROFILE[table], **keys}}


def test_the_version_is_that_of_what_describes_jobs() -> None:
    version = version_of("acme", PROFILE)
    assert version["name"] == "acme"
    assert len(version["version"]) == 12
    assert version_of("acme", dict(reversed(PROFILE.items()))) == version
    assert version_of("acme", changed("about", title="Acme Inc.")) == version
    assert version_of("acme", changed("connection", auth="basic")) == version
    for table, keys in (("submit", {"json": {"a": 2}}), ("status", {"completion_value": ["DONE"]})):
        assert version_of("acme", changed(table, **keys)) != version


@pytest.mark.parametrize(
    ("then", "now"),
    [({}, NOW), (NOW, NOW), (OLD, {}), (OLD, {"name": "other", "version": "2"}), ({"version": "1"}, NOW)],
)
def test_nothing_is_said_about_an_unchanged_or_another_profile(then: Any, now: Any) -> None:
    assert explain_change(then, now) == ""


def test_a_change_is_logged_and_is_in_the_error() -> None:
    change = explain_change(OLD, NOW)
    assert change.startswith("the profile 'acme' has changed since the job was submitted (version 1, now 2);")

    def fail() -> Flow[None]:
        yield Log(logging.INFO, "asking")
        raise ContentError("no status") from ValueError("cause")

    logged: list[Any] = []
    with pytest.raises(ContentError, match="no status; the profile 'acme' has changed") as caught:
        logged.extend(run_under_changed_profile(fail(), change))
    assert isinstance(caught.value.__cause__, ValueError)
    flow = run_under_changed_profile(fail(), change)
    first = next(flow)
    assert isinstance(first, Log)
    assert (first.level, first.message) == (logging.WARNING, f"The{change[3:]}")


@pytest.mark.parametrize("change", ["", explain_change(OLD, NOW)])
def test_the_result_is_that_of_the_flow(change: str) -> None:
    def succeed() -> Flow[int]:
        yield Log(logging.INFO, "asking")
        return 5

    assert FlowRunner(make_api()).run(run_under_changed_profile(succeed(), change)) == 5


def test_an_unchanged_profile_changes_no_error() -> None:
    def fail() -> Flow[None]:
        yield Log(logging.INFO, "asking")
        raise ContentError("no status")

    with pytest.raises(ContentError, match=r"^no status$"):
        list(run_under_changed_profile(fail(), ""))


def test_a_submit_to_an_address_that_does_not_exist_names_the_profile_if_there_is_one() -> None:
    advice = "extend the profile 'acme' with the endpoints of a newer one"
    for profile, expected in ((OLD, advice), ({}, "expected 2xx: no such resource")):
        runner = FlowRunner(make_api(), make_response({"error": "no such resource"}, 404))
        new = dataclasses.replace(NEW, profile=profile)
        with pytest.raises(RequestRejectedError) as caught:
            runner.run(submit(runner.api, SubmitPlan.parse(KEYED), new))
        assert str(caught.value).endswith(expected)


def test_a_handle_keeps_the_version_of_the_submit() -> None:
    handle = JobHandle("j-1", profile=OLD)
    assert handle.dump()["profile"] == OLD
    assert JobHandle.parse(handle.dump()) == handle
    assert "profile" not in JobHandle("j-1").dump()
    record = Submission("k", 1, profile=OLD, handle=handle)
    assert Submission.parse(record.dump()) == record


def test_a_retry_keeps_the_version_under_which_the_job_may_have_been_submitted() -> None:
    plan = SubmitPlan.parse(KEYED)
    first, later = dataclasses.replace(NEW, profile=OLD), dataclasses.replace(NEW, profile=NOW)
    runner = FlowRunner(make_api(), killed)
    with pytest.raises(KilledError):
        runner.run(submit(runner.api, plan, first))
    retry = FlowRunner(make_api(), CREATED)
    assert retry.run(submit(retry.api, plan, later, stored(runner))).profile == OLD
    resumed = FlowRunner(make_api())
    assert resumed.run(submit(resumed.api, plan, later, stored(retry))).profile == OLD


def test_a_retry_that_submits_for_the_first_time_has_the_present_version() -> None:
    unsent = dataclasses.replace(NEW, profile=OLD)
    runner = FlowRunner(make_api(), CREATED)
    later = dataclasses.replace(NEW, profile=NOW)
    assert runner.run(submit(runner.api, SubmitPlan.parse(KEYED), later, unsent)).profile == NOW
