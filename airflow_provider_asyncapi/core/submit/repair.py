"""Resume a job that has failed instead of submitting another one, if the API can do that."""

from __future__ import annotations

import dataclasses
import logging
from typing import TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission, Send
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    AuthenticationError,
    ContentError,
    JobFailedError,
    MissingValueError,
    RedirectError,
    RequestRejectedError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.jobs.lookup import Lookup
from airflow_provider_asyncapi.core.jobs.rerun_rules import Repair
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.classification import is_transient, was_not_processed
from airflow_provider_asyncapi.core.requests.response_errors import describe_bad_response, set_error_fields
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.step_flow import build_ambiguous_error, send_step
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.lookup_flow import search
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.saving import save_before_sending, save_handle
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables

T = TypeVar("T")


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
    """Repair the job; return the record with its handle, or without one if the API refuses that."""
    # The requests in ``start`` have started this job already.
    pending = dataclasses.replace(
        record, sent=False, sent_at=record.sent_at or api.clock(), answered=len(plan.start), problem=""
    )
    if record.sent and repair.lookup is not None:
        yield Log(logging.INFO, "Looking up whether the job was repaired, since an earlier try may have done so")
        found = yield from _look_up(api, plan, repair, repair.lookup, pending, failed)
        if found is not None:
            return found
    elif record.sent and not repair.is_repeatable:
        step, base = repair.step, _base_of(failed)
        request = api.render_address(step.request, _scope_of(api, record, failed), reference_base=base)
        problem = record.problem or "an earlier try was cut off while it repaired the job"
        raise build_ambiguous_error(step, request, problem).set_job(failed.identifier, failed.status)
    try:
        return (yield from _send_repair(api, plan, repair, pending, failed, may_be_repaired=record.sent))
    except AmbiguousSubmitError as error:
        if repair.lookup is None:
            raise
        lost = error.__cause__
        yield Log(logging.WARNING, f"{lost}; looking up whether the job was repaired")
        found = yield from _look_up(api, plan, repair, repair.lookup, pending, failed)
        if found is None:
            # The API may still process the request, so this try doesn't send it again.
            text = f"{lost}; by the lookup the job wasn't repaired; a later try may repair it"
            raise UnavailableError(text).set_job(failed.identifier, failed.status) from lost
        return found


def _scope_of(api: Api, record: Submission, failed: JobHandle) -> Variables:
    return api.merge_variables({IDEMPOTENCY_KEY: record.key}, failed.scope())


def _base_of(failed: JobHandle) -> str | None:
    return failed.urls.get("status") or failed.urls.get("submit")


def _send_repair(
    api: Api, plan: SubmitPlan, repair: Repair, record: Submission, failed: JobHandle, *, may_be_repaired: bool
) -> Flow[Submission]:
    """
    Send the request; return the record with the job's handle, or without one if the API refuses the request.

    :param may_be_repaired: whether an earlier try may have repaired the job.
    :raises AmbiguousSubmitError: if the API refuses the request, perhaps since the job was repaired already.
    """
    step, scope, name = repair.step, _scope_of(api, record, failed), api.redact(str(failed.identifier))
    policy = ResponsePolicy(is_repeatable=repair.is_repeatable, redirect_accepts=True)
    sending = send_step(api, step, scope, plan.schedule, policy, base=_base_of(failed))
    lost: list[Send] = []
    try:
        response, outcome = yield from save_before_sending(record, _collect_lost(sending, lost))
    except (AuthenticationError, RedirectError, UnavailableError) as error:
        if not (isinstance(error, UnavailableError) and repair.is_repeatable):
            yield SaveSubmission(record)
        raise error.set_job(failed.identifier, failed.status) from error.__cause__
    except (RequestRejectedError, JobFailedError) as error:
        if lost or may_be_repaired:
            # A job that runs again can't be repaired, and another one would run beside it.
            if repair.lookup is None:
                raise (
                    AmbiguousSubmitError(
                        f"{error}; an earlier request, whose response was lost, may have repaired the job, so"
                        " no other job is submitted: look in the remote system, and clear the task if the job doesn't"
                        " run"
                    )
                    .set_fields_from(error)
                    .set_job(failed.identifier, failed.status)
                ) from error
            found = yield from _look_up(api, plan, repair, repair.lookup, record, failed)
            if found is not None:
                return found
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
    handle = _renew_handle(plan, record, failed, identifier, outcome)
    return (yield from save_handle(record, handle, step.captures, request, response, scope))


def _collect_lost(sending: Flow[T], lost: list[Send]) -> Flow[T]:
    """Run a flow, and collect the requests that may have been carried out without a response that says so."""
    with FlowSteps(sending) as steps:
        for effect in steps:
            yield from steps.forward(effect)
            if isinstance(effect, Send) and _is_lost(steps.error, steps.reply):
                lost.append(effect)
    return steps.result


def _is_lost(error: AsyncApiError | None, response: Response) -> bool:
    if error is not None:
        return isinstance(error, TransportError) and error.sent
    return is_transient(response.status) and not was_not_processed(response.status)


def _look_up(
    api: Api, plan: SubmitPlan, repair: Repair, lookup: Lookup, record: Submission, failed: JobHandle
) -> Flow[Submission | None]:
    """Find out whether the job was repaired; return the record with its handle, or None if it wasn't."""
    scope = _scope_of(api, record, failed)
    request = api.render_request(lookup.request, scope, reference_base=_base_of(failed))

    def find(response: Response) -> list[str | int] | None:
        found = lookup.identifier.find_only(response, scope)
        return None if found is None or found[1] is None else [check_identifier(found[1])]

    found = yield from search(api, plan, request, find, "repair.lookup")
    if found is None:
        return None
    response, (value,) = found
    # Without a selector in ``repair``, the job keeps its identifier, and the value only shows that it was repaired.
    identifier = failed.identifier if repair.identifier is None else value
    yield Log(logging.INFO, f"The lookup has found that the job runs again as {api.redact(str(identifier))}")
    handle = _renew_handle(plan, record, failed, identifier, None)
    return (yield from save_handle(record, handle, lookup.captures, request, response, scope))


def _renew_handle(
    plan: SubmitPlan, record: Submission, failed: JobHandle, identifier: str | int | None, outcome: Outcome | None
) -> JobHandle:
    """Return the handle of the job that runs again."""
    return dataclasses.replace(
        failed,
        identifier=identifier,
        outcome=outcome or Outcome.RUNNING,
        status=None,
        progress=None,
        submitted_at=record.sent_at,
        variables=_renew_variables(plan, failed, identifier),
    )


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
