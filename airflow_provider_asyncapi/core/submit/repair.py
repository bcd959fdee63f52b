"""Resume a job that has failed instead of submitting another one, if the API can do that."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    ContentError,
    JobFailedError,
    MissingValueError,
    RedirectError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.jobs.rerun import Repair
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.response_errors import describe_bad_response, set_error_fields
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.step_flow import build_ambiguous_error, send_step
from airflow_provider_asyncapi.core.submit.flow import save_before_sending, save_handle, submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables


def repair_or_submit(
    api: Api, plan: SubmitPlan, repair: Repair | None, new: Submission, saved: Submission
) -> Flow[JobHandle]:
    """
    Resume the failed job that the record names, or submit another job if the API refuses that.

    Each step is saved before and after it is taken, as :func:`~.flow.submit` does.

    :param plan: the plan of the submit.
    :param repair: the request that resumes the job; None if the DAG has none any more.
    :param new: the submission of this try.
    :param saved: the record of an earlier process; its ``repairs`` is the failed job.
    :raises AmbiguousSubmitError: if the job may have been resumed, and there is no way to find out.
    """
    if saved.repairs is not None and saved.handle is None and saved.generation == new.generation:
        if repair is not None:
            saved = yield from _repair(api, plan, repair, saved, saved.repairs)
        elif saved.sent:
            raise AmbiguousSubmitError(
                "repair: an earlier try was cut off while it repaired the job, and the DAG has no repair any more:"
                " look in the remote system, and clear the task if the job doesn't run"
            )
        else:
            saved = saved.for_submit_instead()
        if saved.handle is not None:
            return saved.handle
    return (yield from submit(api, plan, new, saved))


def _repair(api: Api, plan: SubmitPlan, repair: Repair, record: Submission, failed: JobHandle) -> Flow[Submission]:
    """Send the request; return the record with the job's handle, or without one if the API refuses the request."""
    step = repair.step
    scope = api.merge_variables({IDEMPOTENCY_KEY: record.key}, failed.scope())
    base = failed.urls.get("status") or failed.urls.get("submit")
    if record.sent and not step.is_repeatable:
        request = api.render_address(step.request, scope, reference_base=base)
        problem = record.problem or "an earlier try was cut off while it repaired the job"
        raise build_ambiguous_error(step, request, problem).set_job(failed.identifier, failed.status)
    name = api.redact(str(failed.identifier))
    # The requests in ``start`` have started this job already.
    record = dataclasses.replace(
        record, sent=False, sent_at=record.sent_at or api.clock(), answered=len(plan.start), problem=""
    )
    policy = ResponsePolicy(is_repeatable=step.is_repeatable, redirect_accepts=True)
    sending = send_step(api, step, scope, plan.schedule, policy, base=base)
    try:
        response, outcome = yield from save_before_sending(record, sending)
    except (AuthenticationError, RedirectError, UnavailableError) as error:
        if not (isinstance(error, UnavailableError) and step.is_repeatable):
            yield SaveSubmission(record)
        raise error.set_job(failed.identifier, failed.status) from error.__cause__
    except (RequestRejectedError, JobFailedError) as error:
        record = record.for_submit_instead()
        yield SaveSubmission(record)
        yield Log(logging.WARNING, f"Job {name} can't be repaired, so another one is submitted: {error}")
        return record
    request = Request(step.request.method, response.url)
    try:
        identifier = _find_identifier(api, repair, request, response, scope, failed)
    except MissingValueError as error:
        problem = f"an earlier try has repaired the job, but {error}"
        yield SaveSubmission(dataclasses.replace(record, sent=True, problem=problem))
        raise error.set_job(failed.identifier, failed.status) from None
    yield Log(logging.INFO, f"Repaired job {name}, which runs again as {api.redact(str(identifier))}")
    handle = dataclasses.replace(
        failed,
        identifier=identifier,
        outcome=outcome or Outcome.RUNNING,
        status=None,
        progress=None,
        submitted_at=record.sent_at,
        variables=_renew_variables(plan, failed, identifier),
    )
    return (yield from save_handle(record, handle, step.captures, request, response, scope))


def _find_identifier(
    api: Api, repair: Repair, request: Request, response: Response, scope: Variables, failed: JobHandle
) -> str | int | None:
    """
    Return the identifier of the job that was repaired.

    :raises MissingValueError: if the response has to contain one, and contains none.
    """
    if repair.identifier is None:
        return failed.identifier
    try:
        found = repair.identifier.find_only(response, scope)
        if found is None:
            raise MissingValueError("nothing found")  # noqa: TRY301 - one message for all that can be wrong
        return check_identifier(found[1])
    except (ContentError, MissingValueError) as error:
        answer = describe_bad_response(api, request, response, error)
        problem = MissingValueError(f"repair: there is no job identifier at {repair.identifier}: {answer}")
        raise set_error_fields(problem, request, response) from None


def _renew_variables(plan: SubmitPlan, failed: JobHandle, identifier: str | int | None) -> dict[str, object]:
    """Return the variables of the failed job with the new identifier, and without its result."""
    selectors = {each.text for each in plan.identifier.selectors}
    return {
        name: identifier if name in selectors else value
        for name, value in failed.variables.items()
        if name != RESULT_IDENTIFIER
    }
