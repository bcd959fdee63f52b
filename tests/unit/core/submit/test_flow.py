from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    ConfigurationError,
    ContentError,
    JobFailedError,
    JobNotFoundError,
    MissingValueError,
    RedirectError,
    RefusedContentError,
    RequestRejectedError,
    ResultTooLargeError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SUBMIT_PARAMETERS, SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response

FIELDS = {"endpoint": "/jobs", "json": {"gstin": "x"}, "identifier": "data.id"}
KEYED = {"headers": {"Idempotency-Key": "{idempotency_key}"}}
NEW = Submission("key-1")
CREATED = make_response({"data": {"id": "job-7"}}, 201)


def run(runner: FlowRunner, **given: Any) -> JobHandle:
    plan = SubmitPlan.parse({**FIELDS, **given})
    handle = runner.run(submit(runner.api, plan, NEW))
    assert isinstance(handle, JobHandle)
    return handle


def submitted(*replies: Any, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return run(runner, **given), runner


# The plan


def test_a_plan_takes_all_parameters_of_the_operator():
    plan = SubmitPlan.parse(
        {
            **FIELDS,
            "start": {"endpoint": "/jobs/{identifier}/start"},
            "max_consecutive_errors": 3,
            "retry_delays": {503: 9},
            "poke_interval": 5,
        }
    )
    assert plan.submit.request.method == "POST"
    assert [step.request.method for step in plan.start] == ["POST"]
    assert (plan.schedule.max_errors, plan.schedule.retry_delays) == (3, {503: 9.0})
    assert {"identifier", "start", "rules", "json"} <= set(SUBMIT_PARAMETERS)


def test_a_plan_needs_an_identifier():
    with pytest.raises(ConfigurationError, match=r"identifier: is missing.*data\.id"):
        SubmitPlan.parse({"endpoint": "/jobs"})


@pytest.mark.parametrize("given", ["3", 0, True, 1.5])
def test_a_number_of_errors_that_is_none_is_refused(given):
    with pytest.raises(ConfigurationError, match="max_consecutive_errors: has to be a whole number of at least 1, not"):
        SubmitPlan.parse({**FIELDS, "max_consecutive_errors": given})


def test_variables_of_the_author_are_a_mapping():
    with pytest.raises(ConfigurationError, match="variables: has to be a mapping of names to values, not list"):
        SubmitPlan.parse({**FIELDS, "variables": ["a"]})


def test_variables_of_the_author_go_along_with_the_job():
    handle, runner = submitted(CREATED, json={"a": "{period}"}, variables={"period": 5})
    assert runner.requests[0].body == b'{"a":5}'
    assert handle.variables["period"] == 5


def test_a_step_is_a_mapping():
    with pytest.raises(ConfigurationError, match="start: has to be a mapping"):
        SubmitPlan.parse({**FIELDS, "start": "/start"})


@pytest.mark.parametrize(("name", "where"), [("submit", r"^rules\[0\]"), ("start", r"^start\.rules\[0\]")])
def test_a_malformed_rule_is_named_by_its_place(name, where):
    with pytest.raises(ConfigurationError, match=where):
        RequestStep.parse({"endpoint": "/x", "rules": [{}]}, name)


@pytest.mark.parametrize("name", ["start", "lookup"])
def test_a_request_without_an_endpoint_is_refused_and_is_not_sent_to_the_root(name):
    with pytest.raises(ConfigurationError, match=f"{name}: endpoint is missing"):
        SubmitPlan.parse({**FIELDS, name: {"json": {}}})
    assert SubmitPlan.parse({**FIELDS, name: {"endpoint": "/"}})


def test_the_submits_endpoint_may_come_from_a_profile_but_not_from_nowhere():
    assert SubmitPlan.parse({"identifier": "id"}, complete=False)
    with pytest.raises(ConfigurationError, match=r"submit: endpoint is missing.*'/'"):
        SubmitPlan.parse({"identifier": "id"})


# The identifier


@pytest.mark.parametrize("value", ["job-7", 7, "07", "a b/c?"])
def test_the_identifier_stays_what_the_api_gave(value):
    handle, runner = submitted(make_response({"data": {"id": value}}))
    assert handle.identifier == value
    assert type(handle.identifier) is type(value)
    assert handle.scope()["data.id"] == value
    assert (handle.outcome, handle.submitted_at, handle.urls) == (Outcome.RUNNING, START, {"submit": f"{BASE}/jobs"})
    assert runner.logs == [(logging.INFO, f"Submitted job {value} ({BASE}/jobs)")]


@pytest.mark.parametrize("value", [None, "", " ", {}, {"a": 1}, [], ["a", "b"], True, 1.5, "a\nb"], ids=repr)
def test_what_can_be_no_identifier_is_refused(value):
    with pytest.raises(MissingValueError, match=r"no job identifier at 'data\.id'.*the body begins"):
        submitted(make_response({"data": {"id": value}}))


def test_a_missing_identifier_is_an_error_that_names_what_is_near():
    with pytest.raises(
        MissingValueError, match=r"at 'data\.id': .* nothing found; there is \$\.job\.id; the body begins"
    ):
        submitted(make_response({"data": {}, "job": {"id": 7}}))


def test_several_identifiers_are_an_error_that_says_what_to_do():
    links = {"links": [{"rel": "status", "href": "/7"}, {"rel": "self", "href": "/8"}]}
    assert submitted(make_response(links), identifier="links[?(@.rel == 'status')].href")[0].identifier == "/7"
    with pytest.raises(MissingValueError, match=r"'links\[\*\].href' finds 2 values, and one is needed: .*'first'"):
        submitted(make_response(links), identifier="links[*].href")
    first = {"selector": "links[*].href", "first": True}
    assert submitted(make_response(links), identifier=first)[0].identifier == "/7"


def test_a_missing_identifier_says_where_it_looked_and_what_came_without_secrets():
    body = {"token": "planted-1", "note": "planted-pw", "rest": "x" * 2000}
    runner = FlowRunner(make_api(login="ann", password="planted-pw"), make_response(body))
    with pytest.raises(MissingValueError) as caught:
        run(runner, identifier=["data.id", "header:Location"])
    said = str(caught.value)
    assert f"'data.id' or 'header:Location': POST {BASE}/jobs answered 200" in said
    assert "planted" not in said
    assert len(said) < 700


def test_an_answer_that_is_no_json_says_what_it_is():
    with pytest.raises(MissingValueError, match="got an HTML page"):
        submitted(make_response(b"<html>welcome"))


@pytest.mark.parametrize("status", [200, 201, 202, 302, 303])
def test_a_location_is_the_identifier_and_is_not_followed(status):
    handle, runner = submitted(make_response(None, status, location="/v1/jobs/7"), identifier="header:Location")
    assert handle.identifier == "/v1/jobs/7"
    assert runner.paths == ["POST /jobs"]


def test_a_location_beside_other_selectors_is_not_followed():
    handle, _ = submitted(make_response(None, 303, location="/v1/jobs/7"), identifier=["data.id", "header:Location"])
    assert handle.identifier == "/v1/jobs/7"


@pytest.mark.parametrize("status", [307, 308])
def test_where_the_endpoint_has_moved_it_is_followed(status):
    moved = make_response(None, status, location="/v1/new")
    handle, runner = submitted(moved, make_response(None, 201, location="/v1/jobs/7"), identifier="header:Location")
    assert runner.paths == ["POST /jobs", "POST /new"]
    assert handle.identifier == "/v1/jobs/7"


def test_a_303_is_followed_where_the_identifier_is_in_the_body():
    handle, runner = submitted(make_response(None, 303, location="/v1/jobs/7"), make_response({"data": {"id": 7}}))
    assert runner.paths == ["POST /jobs", "GET /jobs/7"]
    assert handle.identifier == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, RequestRejectedError), (401, AuthenticationError), (400, RequestRejectedError),
     (501, RequestRejectedError), (505, RequestRejectedError)],
)  # fmt: skip
def test_a_location_makes_no_success_of_a_refusal(status, kind):
    with pytest.raises(kind):
        submitted(make_response(None, status, location="/v1/jobs/7"), identifier="header:Location")


SAYS_NO = [{"selector": "error", "exists": True, "outcome": "failure"}]


def test_a_submit_that_is_refused_by_an_error_body_under_500_is_not_ambiguous():
    body = {"jsonrpc": "2.0", "error": {"code": -32602, "message": "invalid params"}}
    is_error = [{"selector": "jsonrpc", "in": "2.0"}, {"selector": "error", "exists": True}]
    with pytest.raises(JobFailedError, match=r"answered 500, which is a failure by a rule: invalid params"):
        submitted(make_response(body, 500), rules=[{"all": is_error, "outcome": "failure"}])
    with pytest.raises(AmbiguousSubmitError):
        submitted(make_response({"message": "oops"}, 500), rules=SAYS_NO)


def test_a_gateway_that_is_busy_is_asked_again_whatever_its_body_holds():
    handle, _ = submitted(make_response({"error": "busy"}, 429), CREATED, rules=SAYS_NO)
    assert handle.identifier is not None


PAGE_AFTER = [
    make_response({"message": "busy"}, 503),
    make_response({"error": "gone"}, 404),
    make_lost_error(),
    make_response(None, 303, location="//"),
]


@pytest.mark.parametrize("page", PAGE_AFTER, ids=["503", "404", "lost", "nowhere"])
def test_a_start_that_is_answered_with_a_303_is_done_whatever_comes_of_the_next_page(page):
    start = {"endpoint": "/jobs/{identifier}/phase", "rules": SAYS_NO}
    handle, runner = submitted(CREATED, make_response(None, 303, location="/v1/jobs/7"), page, start=start)
    assert handle.outcome is Outcome.RUNNING
    assert runner.paths[1:] == ["POST /jobs/job-7/phase", "GET /jobs/7"]
    assert "answered 303, so it was carried out; the page after it: " in runner.log_text


def test_the_page_after_a_start_is_read_where_it_can_be():
    start = {"endpoint": "/jobs/{identifier}/phase", "capture": {"file": "file"}, "rules": SAYS_NO}
    handle, _ = submitted(
        CREATED, make_response(None, 303, location="/v1/jobs/7"), make_response({"file": "f-1"}), start=start
    )
    assert handle.variables["file"] == "f-1"
    with pytest.raises(JobFailedError, match="no stars"):
        submitted(
            CREATED, make_response(None, 303, location="/v1/jobs/7"), make_response({"error": "no stars"}), start=start
        )


def test_a_start_that_is_refused_is_refused():
    with pytest.raises(RequestRejectedError):
        submitted(CREATED, make_response({}, 409), start={"endpoint": "/jobs/{identifier}/phase"})
    with pytest.raises(RequestRejectedError):
        submitted(
            CREATED, make_response(None, 302, location="/login"), make_response({}, 404), start={"endpoint": "/start"}
        )
    with pytest.raises(RedirectError):
        submitted(
            CREATED, make_response(None, 302, location="/v1/start"), start={"endpoint": "/start", "method": "GET"}
        )


def test_credentials_are_renewed_even_where_the_refusal_has_a_location():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(
        api,
        make_response({"t": "one1"}),
        make_response(None, 401, location="/x"),
        make_response({"t": "two2"}),
        make_response(None, 201, location="/7"),
    )
    assert run(runner, identifier="header:Location").identifier == "/7"


def test_a_job_may_need_several_requests_until_it_starts():
    upload = {"method": "PUT", "endpoint": "/jobs/{identifier}/data", "data": "a,b", "capture": {"part": "part"}}
    start = {"endpoint": "/jobs/{identifier}/close", "json": {"part": "{part}"}}
    handle, runner = submitted(CREATED, make_response({"part": 3}), make_response({}), start=[upload, start])
    assert runner.paths == ["POST /jobs", "PUT /jobs/job-7/data", "POST /jobs/job-7/close"]
    assert runner.requests[2].body == b'{"part":3}'
    assert handle.variables["part"] == 3


def test_nothing_more_is_sent_once_a_job_is_over():
    over = {"endpoint": "/jobs/{identifier}/start", "rules": [{"selector": "x", "in": 1, "outcome": "success"}]}
    handle, runner = submitted(CREATED, make_response({"x": 1}), start=[over, {"endpoint": "/never"}])
    assert runner.paths == ["POST /jobs", "POST /jobs/job-7/start"]
    assert handle.outcome == "success"


def test_a_submissions_address_is_kept_without_its_query():
    handle, _ = submitted(make_response({"data": {"id": 7}}), query_params={"sig": "planted"})
    assert handle.urls == {"submit": f"{BASE}/jobs"}


# Captures


def test_what_is_captured_is_a_variable_by_its_name_and_selector():
    handle, _ = submitted(make_response({"data": {"id": 7, "n": 3}}), capture={"pages": "data.n", "none": "data.x"})
    assert handle.variables == {"data.id": 7, "data.n": 3, "pages": 3}


def test_captures_that_find_nothing_are_told_with_their_selectors():
    start = {"endpoint": "/jobs/{identifier}/start", "capture": {"queue": "q", "seat": "s"}}
    replies, fails = (
        (make_response({"data": {"id": "job-7"}, "p": 1}), make_response({"q": 2})),
        "; a request that names it fails",
    )
    _, runner = submitted(*replies, capture={"pages": "p", "shard": "data.shard"}, start=start)
    assert [message for level, message in runner.logs if level == logging.WARNING] == [
        f"capture: the response to POST {BASE}/jobs contains nothing for {{shard}} at 'data.shard'{fails}",
        f"capture: the response to POST {BASE}/jobs/job-7/start contains nothing for {{seat}} at 's'{fails}",
    ]


def test_an_address_that_does_not_exist_is_no_missing_job():
    with pytest.raises(RequestRejectedError, match="answered 404") as caught:
        submitted(make_response(status=404))
    assert not isinstance(caught.value, JobNotFoundError)


def test_a_capture_that_cannot_be_read_does_not_lose_the_job():
    handle, _ = submitted(
        make_response(None, 303, location="/v1/jobs/7"),
        identifier="header:Location",
        capture={"a": "data.n", "b": "status_code"},
    )
    assert handle.variables == {"header:Location": "/v1/jobs/7", "b": 303, "status_code": 303}


def test_a_capture_that_is_too_large_says_so_after_the_identifier_is_told():
    runner = FlowRunner(make_api(), make_response({"data": {"id": 7}, "all": "x" * 100_000}))
    with pytest.raises(ResultTooLargeError) as raised:
        run(runner, capture={"all": "all"})
    handle = runner.kept[-1].handle
    assert handle is not None
    assert handle.identifier == 7
    assert raised.value.job == 7


# Rules


def rule(outcome: str, **condition: Any) -> dict[str, Any]:
    return {"outcome": outcome, **condition}


def test_an_answer_that_says_200_but_means_no_is_a_failure():
    errors = rule("failure", selector="userErrors", exists=True)
    with pytest.raises(JobFailedError, match=r"submit: POST .* which is a failure by a rule: no such thing"):
        submitted(make_response({"userErrors": [1], "message": "no such thing"}), rules=[errors])


@pytest.mark.parametrize("outcome", ["success", "no_data"])
def test_a_fast_answer_is_final_and_needs_no_identifier(outcome):
    done = rule(outcome, selector="state", **{"in": "done"})
    handle, runner = submitted(make_response({"state": "done"}), rules=[done], start={"endpoint": "/start"})
    assert (handle.identifier, handle.outcome) == (None, Outcome(outcome))
    assert runner.kept[-1].handle == handle
    assert f"The job is over already: {outcome}" in runner.log_text
    assert len(runner.requests) == 1


def test_a_fast_answer_keeps_its_identifier():
    handle, _ = submitted(
        make_response({"data": {"id": 7}, "s": 1}), rules=[rule("success", selector="s", **{"in": 1})]
    )
    assert (handle.identifier, handle.outcome) == (7, Outcome.SUCCESS)


def test_a_full_queue_is_tried_again():
    full = rule("retry", selector="state", **{"in": "full"})
    handle, runner = submitted(
        make_response({"state": "full"}, retry_after="9"), make_response({"state": "full"}), CREATED, rules=[full]
    )
    assert handle.identifier == "job-7"
    assert runner.sleeps == [9.0, 2.0]


def test_a_rule_of_the_status_code_decides_before_errors_and_redirects():
    rules = [
        rule("running", selector="status_code", **{"in": [303, 409]}),
        rule("success", selector="status_code", **{"in": [400]}),
    ]
    handle, _ = submitted(make_response({"data": {"id": 7}}, 409), rules=rules)
    assert (handle.identifier, handle.outcome) == (7, Outcome.RUNNING)
    handle, runner = submitted(make_response({"data": {"id": 7}}, 303, location="/x"), rules=rules)
    assert len(runner.requests) == 1
    handle, _ = submitted(make_response(None, 400), rules=rules)
    assert handle.outcome is Outcome.SUCCESS


def test_rules_that_cannot_read_the_answer_say_what_came():
    with pytest.raises(ContentError, match=r"submit: the rules can't be evaluated: POST .*an HTML page"):
        submitted(make_response(b"<html>"), rules=[rule("failure", selector="e", exists=True)])


def test_xml_with_entities_is_refused():
    bomb = make_response(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', content_type="application/xml")
    with pytest.raises(RefusedContentError, match=r"rules can't be evaluated.*entities"):
        submitted(bomb, rules=[rule("failure", selector="xpath://a", exists=True)])


# Starting


START_STEP = {"endpoint": "/jobs/{identifier}/start"}


def test_a_job_is_started_after_it_was_made():
    handle, runner = submitted(
        CREATED, make_response({"queue": 4}), start={**START_STEP, "capture": {"queue": "queue"}}
    )
    assert runner.paths == ["POST /jobs", "POST /jobs/job-7/start"]
    assert handle.variables["queue"] == 4
    assert handle.outcome is Outcome.RUNNING
    assert "Started job job-7" in runner.log_text


def test_starting_has_rules_of_its_own():
    done = {**START_STEP, "rules": [rule("success", selector="state", **{"in": "done"})]}
    handle, runner = submitted(CREATED, make_response({"state": "done"}), start=done)
    assert handle.outcome is Outcome.SUCCESS
    assert "The job is over already" in runner.log_text
    no = {**START_STEP, "rules": [rule("failure", selector="state", **{"in": "no"})]}
    with pytest.raises(JobFailedError, match="start: POST") as raised:
        submitted(CREATED, make_response({"state": "no"}), start=no)
    assert raised.value.job == "job-7"


def test_starting_is_not_repeated_blindly_either():
    with pytest.raises(AmbiguousSubmitError, match=r"start: .*/jobs/job-7/start"):
        submitted(CREATED, make_lost_error(), start=START_STEP)


def test_the_start_knows_where_the_job_was_made():
    _handle, runner = submitted(
        make_response({"data": {"id": "jobs/7"}}), make_response({}), start={"endpoint": "{identifier}"}
    )
    assert runner.paths[1] == "POST /jobs/7"


# Once, and once only


@pytest.mark.parametrize(
    "trouble",
    [
        make_lost_error(),
        *(make_response({}, status) for status in (500, 502, 503, 504)),
        # Varnish sends it too if it has passed on the request, and the API answers too late.
        make_response({}, 503, retry_after="5"),
    ],
    ids=str,
)
def test_what_may_have_been_carried_out_is_not_repeated(trouble):
    runner = FlowRunner(make_api(), trouble)
    with pytest.raises(
        AmbiguousSubmitError, match=r"submit: .*may have been carried out.*\{idempotency_key\}"
    ) as raised:
        run(runner)
    assert len(runner.requests) == 1
    status_code = raised.value.status_code
    assert (f"answers {status_code} only when it has done nothing, add a rule" in str(raised.value)) is bool(
        status_code
    )


@pytest.mark.parametrize(
    "place",
    [KEYED, {"query_params": {"key": "{idempotency_key}"}}, {"json": {"meta": {"id": "{idempotency_key}"}}}],
    ids=["header", "query", "body"],
)
@pytest.mark.parametrize("trouble", [make_lost_error(), make_response({}, 500), make_response({}, 504)], ids=str)
def test_with_a_key_it_is_repeated_with_the_same_key(trouble, place):
    handle, runner = submitted(trouble, CREATED, **place)
    assert handle.identifier == "job-7"
    assert runner.requests[0] == runner.requests[1]
    assert "key-1" in f"{runner.requests[1].url} {runner.requests[1].headers} {runner.requests[1].body!r}"


@pytest.mark.parametrize(
    "trouble", [make_lost_error(sent=False), *(make_response({}, status) for status in (408, 425, 429))], ids=str
)
def test_what_was_not_taken_is_repeated(trouble):
    handle, runner = submitted(trouble, CREATED)
    assert handle.identifier == "job-7"
    assert runner.sleeps == [1.0]


def test_a_failing_login_is_repeated_for_nothing_was_submitted():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(api, make_lost_error(sent=True), make_response({}, 503), make_response({"t": "one1"}), CREATED)
    assert run(runner).identifier == "job-7"
    assert runner.paths == ["GET /login"] * 3 + ["POST /jobs"]


def test_too_many_transient_errors_are_an_error():
    with pytest.raises(UnavailableError, match="5 errors in a row"):
        submitted(*(make_response({}, 429) for _ in range(5)))


@pytest.mark.parametrize("status", [500, 503])
def test_a_rule_may_state_that_an_error_can_be_repeated(status):
    handle, runner = submitted(
        make_response({}, status, retry_after="3"),
        CREATED,
        rules=[rule("retry", selector="status_code", **{"in": [status]})],
    )
    assert handle.identifier == "job-7"
    assert runner.sleeps == [3.0]


def test_a_gateways_page_is_ambiguous_even_where_a_rule_would_read_it():
    both = {"all": [{"selector": "status_code", "in": [502]}, {"selector": "a", "exists": True}], "outcome": "retry"}
    with pytest.raises(AmbiguousSubmitError):
        submitted(make_response(b"<html>Bad gateway", 502), rules=[both])


def test_a_body_rule_does_not_speak_of_an_error_page():
    with pytest.raises(RequestRejectedError, match="answered 400, expected 2xx: no gstin"):
        submitted(
            make_response({"state": "done", "my": "no gstin"}, 400),
            rules=[rule("success", selector="state", **{"in": "done"})],
            error_message="my",
        )


def test_no_secret_is_shown():
    runner = FlowRunner(
        make_api(auth="api_key", key_in="query", password="planted-key"),
        make_response(None, 429),
        make_response(None, 201, location="/jobs/7?api_key=planted-key"),
    )
    handle = run(runner, identifier="header:Location")
    assert "planted" not in runner.log_text
    assert "planted" not in str(handle.urls)


@pytest.mark.parametrize("then", [make_response({}, 429), make_response({}, 503), make_lost_error(sent=False)])
def test_what_was_redirected_has_been_taken_and_is_not_sent_again(then):
    runner = FlowRunner(make_api(), make_response(None, 303, location="/v1/jobs/7"), then)
    with pytest.raises(AmbiguousSubmitError):
        run(runner)
    assert runner.paths == ["POST /jobs", "GET /jobs/7"]


def test_a_worker_does_not_wait_for_a_day():
    runner = FlowRunner(make_api(), make_response({}, 429, retry_after="86400"))
    with pytest.raises(
        UnavailableError, match="the next try may be in 86400 s, which is too long for a worker to wait"
    ):
        run(runner)
    assert runner.paths == ["POST /jobs"]


@pytest.mark.parametrize(
    ("given", "repeatable"), [({}, False), ({"method": "GET", "json": None}, False), (KEYED, True)], ids=str
)
def test_the_driver_is_told_whether_a_request_may_be_sent_twice(given, repeatable):
    flow = submit(make_api(), SubmitPlan.parse({**FIELDS, **given}), NEW)
    effect = next(flow)
    while not isinstance(effect, Send):
        effect = flow.send(None)
    flow.close()
    assert effect.is_repeatable is repeatable


# Several jobs


def several(**given):
    return {"endpoint": "/jobs", "identifiers": "jobs[*].id", **given}


def test_one_submit_may_make_several_jobs_each_with_a_handle():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": 2}], "account": "x"}))
    plan = SubmitPlan.parse(several(variables={"day": "1"}, capture={"account": "account"}))
    handle = runner.run(submit(runner.api, plan, Submission("k")))
    assert [(each.identifier, each.variables) for each in handle.split()] == [
        ("a", {"day": "1", "account": "x"}),
        (2, {"day": "1", "account": "x"}),
    ]


def test_a_start_request_names_all_jobs():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": "b"}]}), make_response({}))
    plan = SubmitPlan.parse(several(start={"endpoint": "/start", "json": {"ids": "{identifiers}"}}))
    runner.run(submit(runner.api, plan, Submission("k")))
    assert json.loads(find_literal_bytes(runner.requests[-1].body)) == {"ids": ["a", "b"]}


@pytest.mark.parametrize("body", [{"jobs": []}, {}, {"jobs": [{"id": "a"}, {"id": {}}]}])
def test_a_response_without_identifiers_fails(body):
    runner = FlowRunner(make_api(), make_response(body))
    with pytest.raises(MissingValueError, match=r"there is no job identifier at 'jobs\[\*\]\.id'"):
        runner.run(submit(runner.api, SubmitPlan.parse(several()), Submission("k")))


def test_a_lookup_finds_all_jobs_of_the_submit():
    lookup = {"endpoint": "/jobs", "query_params": {"key": "{idempotency_key}"}}
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": "b"}]}))
    plan = SubmitPlan.parse(several(lookup=lookup, data="{idempotency_key}"))
    handle = runner.run(submit(runner.api, plan, Submission("k"), Submission("k", sent=True)))
    assert [each.identifier for each in handle.split()] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"identifier": "id"}, "identifiers: set this one or identifier"),
        ({"callback": True}, "callback: is about one job, and identifiers makes several"),
        ({"cancel": {"endpoint": "/x"}, "on_changed_request": "cancel"}, "cancel: is about one job"),
    ],
)
def test_what_is_about_one_job_does_not_go_with_several(given, message):
    with pytest.raises(ConfigurationError, match=message):
        SubmitPlan.parse(several(**given))
