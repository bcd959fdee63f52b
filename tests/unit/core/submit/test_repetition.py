from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.submit.submits import CREATED, FIELDS, NEW, rule, run, submitted

KEYED = {"headers": {"Idempotency-Key": "{idempotency_key}"}}


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
