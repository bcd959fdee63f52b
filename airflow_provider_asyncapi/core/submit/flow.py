"""Submit a job exactly once, and send the further requests that start it."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ConfigurationError,
    FileUnavailableError,
    JobNotFoundError,
    MissingValueError,
    RequestRejectedError,
    ResultTooLargeError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.http.file_bodies import BODY_VARIABLES
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.profile_version import advise_on_address
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY, Outcome
from airflow_provider_asyncapi.core.requests.request_files import inspect_files
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.step_flow import (
    build_ambiguous_error,
    send_step,
)
from airflow_provider_asyncapi.core.submit.identifiers import add_identifier
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.prepare import make_placeholders, send_prepare_requests
from airflow_provider_asyncapi.core.submit.saving import (
    NOT_SUBMITTED,
    save_before_sending,
    save_handle,
    save_if_not_submitted,
)
from airflow_provider_asyncapi.core.submit.submission import Submission, digest_parts, fingerprint
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.submit import changed_request, lookup_flow
else:
    # Only a later try needs them, after a request whose response was lost or that has changed.
    changed_request = LazyModule("airflow_provider_asyncapi.core.submit.changed_request")
    lookup_flow = LazyModule("airflow_provider_asyncapi.core.submit.lookup_flow")

#: Status codes of redirects that name another address for the same request; the Location of others may be the job.
_MOVED = frozenset({301, 307, 308})
#: Placeholders for the values that differ in each try or Clear, so that they don't change the fingerprint.
_PLACEHOLDERS = {IDEMPOTENCY_KEY: "key", CALLBACK_URL: "https://callback.invalid"}
#: Placeholders for values that aren't known without reading the files of a request.
_BODY_PLACEHOLDERS = dict.fromkeys(BODY_VARIABLES, "body")


def submit(
    api: Api, plan: SubmitPlan, new: Submission, saved: Submission | None = None, variables: Variables | None = None
) -> Flow[JobHandle]:
    """
    Submit the job and start it, unless an earlier try has done so.

    Each step is saved before and after it is taken (:class:`~..effects.SaveSubmission`), so that whenever this try is
    cut off, the next one can resume the submission.

    :param new: the submission of this try, with its key and generation.
    :param saved: the submission that an earlier try has saved.
    :param variables: variables for the request, beside the key.
    :return: the handle; its outcome is final if a response already says so.
    :raises AmbiguousSubmitError: if the job may have been submitted, and there is no way to find out.
    :raises MissingValueError: if the response contains no identifier.
    :raises JobFailedError: if a rule classifies the response as a failure.
    :raises RequestRejectedError: if the API rejects the request.
    """
    _check_variables(plan)
    scope = api.merge_variables(plan.variables, variables or {})
    request, new = yield from _identify_requests(
        api, plan, new, saved, {**scope, **_PLACEHOLDERS, **make_placeholders(api, plan)}
    )
    captured = {} if saved is None else saved.captured
    record = yield from _resume_submission(api, plan, new, saved, api.merge_variables(scope, captured), request)
    scope[IDEMPOTENCY_KEY] = record.key
    if record.handle is None:
        record = yield from send_prepare_requests(api, plan, record, scope)
        scope = api.merge_variables(record.captured, scope)
        record = yield from _send_submit(api, plan, record, scope)
    handle = record.handle
    assert handle is not None, "a job that was submitted has a handle"  # noqa: S101 - for the type checker
    try:
        handle = yield from _send_start_requests(api, plan, record, handle, scope)
    except AsyncApiError as error:
        error.set_job(handle.identifier, handle.status)
        raise
    if handle.outcome.is_final:
        yield Log(logging.INFO, f"The job is over already: {handle.outcome}")
    return handle


def _identify_requests(
    api: Api, plan: SubmitPlan, new: Submission, saved: Submission | None, variables: Variables
) -> Flow[tuple[Request, Submission]]:
    """
    Return the submit, and the submission of this try with the fingerprint of its requests.

    An earlier try may have sent a file that isn't there any more; then the requests count as unchanged.

    :param variables: all variables, with placeholders for values that differ from try to try.
    :raises FileUnavailableError: if a file isn't there, and no earlier try may have sent it.
    """
    requests: list[Request] = []
    missing: FileUnavailableError | None = None
    for step in (plan.submit, *plan.prepare):
        body = None
        if step.request.body is not None and step.request.body.files:
            try:
                files = yield from inspect_files(api, step.request, plan.variables)
            except FileUnavailableError as error:
                if saved is None or saved.generation != new.generation or not (saved.prepared or saved.sent_at):
                    raise
                missing = error
                continue
            body = step.request.body.render(variables, files)
        named = _BODY_PLACEHOLDERS if body else {}
        requests.append(api.render_request(step.request, {**named, **variables}, body=body))
    if missing is not None and saved is not None:
        yield Log(logging.WARNING, f"{missing}; the request counts as unchanged since the earlier try")
        unsent = Request(plan.submit.request.method, api.settings.base_url)
        return unsent, dataclasses.replace(new, fingerprint=saved.fingerprint, parts=saved.parts)
    request, *prepare = requests
    return request, dataclasses.replace(
        new, fingerprint=fingerprint(api, request, prepare), parts=digest_parts(api, request, prepare)
    )


def _check_variables(plan: SubmitPlan) -> None:
    """Check, before the job is submitted, that its handle can store the variables of the plan."""
    try:
        JobHandle(None).with_variables(plan.variables, "variables")
    except (ResultTooLargeError, UnstorableValueError) as error:
        raise ConfigurationError(str(error)) from None


def _resume_submission(
    api: Api, plan: SubmitPlan, new: Submission, saved: Submission | None, scope: Variables, request: Request
) -> Flow[Submission]:
    """Return the submission to continue with after an earlier try, and log the decision."""
    if saved is None:
        return new
    before = "" if saved.handle is None else f"; the previous one is {api.redact(str(saved.handle.identifier))}"
    if saved.generation not in (None, new.generation):
        yield Log(logging.INFO, f"Submitting a new job, since the task was cleared{before}")
        return new
    if saved.fingerprint not in ("", new.fingerprint):
        settled = yield from changed_request.resolve_changed_request(api, plan, new, saved)
        if settled.handle is None and not settled.sent:
            return settled
        saved = settled
    if None not in (saved.clears, new.clears) and saved.clears != new.clears:
        # Other tasks were, or this one while its worker was lost: then Airflow counts the next try as a retry.
        yield Log(
            logging.INFO,
            "Tasks of the DAG run were cleared since the earlier try. If this task was cleared while it ran, and you"
            " want a new job, clear it once more when it isn't running",
        )
    # The API may have got the callback URL of an earlier try; from now on the URL of this try is valid too.
    saved = dataclasses.replace(
        saved, callbacks=saved.callbacks + new.callbacks, connection=new.connection, clears=new.clears
    )
    if saved.handle is not None:
        yield Log(
            logging.INFO,
            f"Resuming job {api.redact(str(saved.handle.identifier))}, which an earlier try has submitted",
        )
        return saved
    record = dataclasses.replace(
        saved,
        key=saved.key or new.key,
        fingerprint=new.fingerprint,
        parts=new.parts,
        generation=new.generation,
        # An earlier try may have submitted the job as the profile described it then.
        profile=saved.profile if saved.sent else new.profile,
    )
    if saved.generation is None:
        # The record counts for this Clear of the task, even if it belongs to another; the next Clear makes a new job.
        yield Log(logging.WARNING, "The record of an earlier try can't be read; that try may have submitted the job")
        yield SaveSubmission(record)
    return (yield from _resume_without_job(api, plan, record, scope, request)) if record.sent else record


def _resume_without_job(
    api: Api, plan: SubmitPlan, record: Submission, scope: Variables, request: Request
) -> Flow[Submission]:
    """Return the submission to continue with after a try that may have submitted a job, but saved no handle."""
    if plan.lookup is not None:
        yield Log(logging.INFO, "Looking the job up, since an earlier try may have submitted it")
        return (yield from lookup_flow.look_up_job(api, plan, plan.lookup, record, scope))
    if plan.is_repeatable:
        yield Log(
            logging.INFO, "Submitting again with the same idempotency key, since an earlier try may have submitted it"
        )
        return record
    problem = record.problem or "an earlier try was cut off while it submitted the job"
    raise build_ambiguous_error(plan.submit, request, problem)


def _send_submit(api: Api, plan: SubmitPlan, record: Submission, scope: Variables) -> Flow[Submission]:
    """Send the submit request; if its response is lost, look the job up."""

    def has_identifier(response: Response) -> bool:
        # A 303 or 201 with the Location of the job is the response that counts, so its redirect isn't followed.
        return (
            response.status < 400  # noqa: PLR2004 - the errors
            and response.status not in _MOVED
            and any(not each.needs_body and each.find_all(response, scope) for each in plan.identifier.selectors)
        )

    record = dataclasses.replace(record, sent_at=record.sent_at or api.clock())
    policy = ResponsePolicy(is_final=has_identifier, is_repeatable=plan.is_repeatable)
    sending = send_step(api, plan.submit, scope, plan.schedule, policy, path_variables=plan.variables)
    try:
        response, outcome = yield from save_before_sending(record, sending)
    except AmbiguousSubmitError as error:
        if plan.lookup is None:
            raise
        problem = error.__cause__
        yield Log(logging.WARNING, f"{problem}; looking the job up")
        found = yield from lookup_flow.look_up_job(api, plan, plan.lookup, record, scope)
        if found.handle is None:
            # The API may still process the request, so this try doesn't send it again.
            raise UnavailableError(f"{problem}; the lookup finds no job; a later try may submit it") from problem
        return found
    except NOT_SUBMITTED as error:
        yield from save_if_not_submitted(record, error, policy)
        if isinstance(error, JobNotFoundError):
            # A submit asks for no job, so a 404 is about the address.
            message = f"{error}{advise_on_address(record.profile)}"
            raise RequestRejectedError(message).set_fields_from(error) from None
        raise
    address = redact_url(response.url.partition("?")[0])
    handle = JobHandle(None, outcome or Outcome.RUNNING, submitted_at=record.sent_at, urls={"submit": address})
    handle = handle.with_variables({**record.captured, **plan.variables})
    try:
        handle = add_identifier(api, plan, response, scope, handle)
    except MissingValueError as error:
        yield SaveSubmission(
            dataclasses.replace(record, sent=True, problem=f"an earlier try has submitted the job, but {error}")
        )
        raise
    if handle.identifier is not None:
        yield Log(logging.INFO, f"Submitted job {api.redact(str(handle.identifier))} ({address})")
    request = Request(plan.submit.request.method, response.url)
    return (yield from save_handle(record, handle, plan.submit.captures, request, response, scope))


def _send_start_requests(
    api: Api, plan: SubmitPlan, record: Submission, handle: JobHandle, scope: Variables
) -> Flow[JobHandle]:
    """Send the further requests that start the job, beginning with the first that has no response yet."""
    for step in plan.start[max(0, record.answered - 1) :]:
        if handle.outcome.is_final:
            break
        scope = api.merge_variables(scope, handle.scope())
        base = handle.urls.get("submit")
        if record.sent and not step.is_repeatable:
            request = api.render_address(step.request, scope, reference_base=base)
            raise build_ambiguous_error(step, request, "an earlier try was cut off while it started the job")
        record = dataclasses.replace(record, sent=False)
        policy = ResponsePolicy(is_repeatable=step.is_repeatable, redirect_accepts=True)
        try:
            sending = send_step(api, step, scope, plan.schedule, policy, base=base, path_variables=plan.variables)
            response, outcome = yield from save_before_sending(record, sending)
        except NOT_SUBMITTED as error:
            yield from save_if_not_submitted(record, error, policy)
            raise
        handle = dataclasses.replace(handle, outcome=outcome or Outcome.RUNNING)
        yield Log(logging.INFO, f"Started job {api.redact(str(handle.identifier))}")
        request = Request(step.request.method, response.url)
        record = yield from save_handle(record, handle, step.captures, request, response, scope)
        handle = record.handle or handle
    return handle
