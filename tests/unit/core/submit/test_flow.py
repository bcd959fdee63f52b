from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    ContentError,
    JobFailedError,
    JobNotFoundError,
    MissingValueError,
    RequestRejectedError,
    ResultTooLargeError,
    UnsafeContentError,
)
from airflow_provider_asyncapi.core.outcome import Outcome
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_response
from tests.unit.core.submit.submits import CREATED, SAYS_NO, rule, run, submitted

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
        MissingValueError,
        match=r"at 'data\.id': .* nothing found; there is \$\.job\.id; \$\.data is an empty object; the body",
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
    with pytest.raises(UnsafeContentError, match=r"rules can't be evaluated.*entities"):
        submitted(bomb, rules=[rule("failure", selector="xpath://a", exists=True)])
