"""Submit a job once, and start it where that takes a second request."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import TypeVar

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission, Send, Sleep
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ConfigurationError,
    ContentError,
    JobFailedError,
    JobNotFoundError,
    MissingValueError,
    RedirectError,
    RequestRejectedError,
    ResultTooLargeError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import shown_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY, Outcome
from airflow_provider_asyncapi.core.requests.exchange import about, persist, rejection, unusable
from airflow_provider_asyncapi.core.requests.perform import ambiguous, captured, missing, perform
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.steps import Steps
from airflow_provider_asyncapi.core.submit.changed_request import settle_changed_request
from airflow_provider_asyncapi.core.submit.plan import Lookup, SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission, fingerprint, part_digests
from airflow_provider_asyncapi.core.templates import Variables

T = TypeVar("T")

#: These redirects say where to send the request instead; the Location of any other may be the job.
_MOVED = frozenset({301, 307, 308})
#: What is another one with each try, or each Clear, and makes no other request.
_OF_EACH_TRY = {IDEMPOTENCY_KEY: "key", CALLBACK_URL: "https://callback.invalid"}
#: The API has seen the request, and made nothing of it.
_REFUSED = (RequestRejectedError, RedirectError, JobFailedError)


def submit(
    api: Api, plan: SubmitPlan, new: Submission, kept: Submission | None = None, variables: Variables | None = None
) -> Flow[JobHandle]:
    """
    Submit the job and start it, unless an earlier try has.

    Each step is saved before and after it is taken (:class:`~..effects.SaveSubmission`), so that whenever this try is
    cut off, the next one can resume the submission.

    :param new: the record of this submission: its key and generation.
    :param kept: what an earlier try has kept.
    :param variables: what the request may name beside the key.
    :return: the handle; its outcome is final where an answer said so already.
    :raises AmbiguousSubmitError: where the job may have been submitted, and nothing tells.
    :raises MissingValueError: where the answer holds no identifier.
    :raises JobFailedError: where a rule says that the answer is a failure.
    :raises RequestRejectedError: where the API refused it.
    """
    _check_variables(plan)
    scope = api.variables(plan.variables, variables or {})
    request = api.request(plan.submit.request, {**scope, **_OF_EACH_TRY})
    new = dataclasses.replace(new, fingerprint=fingerprint(api, request), parts=part_digests(api, request))
    record = yield from _resumed(api, plan, new, kept, scope, request)
    scope[IDEMPOTENCY_KEY] = record.key
    if record.handle is None:
        record = yield from _submitted(api, plan, record, scope)
    handle = record.handle
    assert handle is not None, "a job that was submitted has a handle"  # noqa: S101 - for the type checker
    try:
        handle = yield from _started(api, plan, record, handle, scope)
    except AsyncApiError as error:
        error.with_job(handle.identifier, handle.status)
        raise
    if handle.outcome.is_final:
        yield Log(logging.INFO, f"The job is over already: {handle.outcome}")
    return handle


def _check_variables(plan: SubmitPlan) -> None:
    """Raise before the job is made if its handle couldn't hold the author's variables."""
    try:
        JobHandle(None).with_variables(plan.variables, "variables")
    except (ResultTooLargeError, UnstorableValueError) as error:
        raise ConfigurationError(str(error)) from None


def _resumed(
    api: Api, plan: SubmitPlan, new: Submission, kept: Submission | None, scope: Variables, request: Request
) -> Flow[Submission]:
    """Decide, and say in one line, what to do about what an earlier try has begun."""
    if kept is None:
        return new
    before = "" if kept.handle is None else f"; the one before is {api.redact(str(kept.handle.identifier))}"
    if kept.generation not in (None, new.generation):
        yield Log(logging.INFO, f"Submitting a new job, for the task was cleared{before}")
        return new
    if kept.fingerprint not in ("", new.fingerprint):
        settled = yield from settle_changed_request(api, plan, new, kept)
        if settled.handle is None and not settled.sent:
            return settled
        kept = settled
    if None not in (kept.clears, new.clears) and kept.clears != new.clears:
        # Airflow tells no task whether it was the one.
        yield Log(
            logging.INFO,
            "The DAG run was cleared since the earlier try. If this task was, while it ran, and a new job is wanted,"
            " clear it once more when it isn't running",
        )
    # An earlier try may have given away its callback URL; from now on this one's counts too.
    kept = dataclasses.replace(
        kept, callbacks=kept.callbacks + new.callbacks, connection=new.connection, clears=new.clears
    )
    if kept.handle is not None:
        yield Log(
            logging.INFO,
            f"Going on with job {api.redact(str(kept.handle.identifier))}, which an earlier try has submitted",
        )
        return kept
    record = dataclasses.replace(
        kept,
        key=kept.key or new.key,
        fingerprint=new.fingerprint,
        parts=new.parts,
        generation=new.generation,
    )
    if kept.generation is None:
        # It counts for this Clear of the task, whichever it was made for; the next Clear makes a new job.
        yield Log(logging.WARNING, "What an earlier try has kept can't be read: it may have submitted the job")
        yield SaveSubmission(record)
    return (yield from _resume_without_job(api, plan, record, scope, request)) if record.sent else record


def _resume_without_job(
    api: Api, plan: SubmitPlan, record: Submission, scope: Variables, request: Request
) -> Flow[Submission]:
    """Go on after a try that may have submitted a job, of which nothing is known."""
    if plan.lookup is not None:
        yield Log(logging.INFO, "Looking the job up, for an earlier try may have submitted it")
        return (yield from _looked_up(api, plan, plan.lookup, record, scope))
    if plan.is_repeatable:
        yield Log(
            logging.INFO, "Submitting again under the same idempotency key, for an earlier try may have submitted it"
        )
        return record
    problem = record.problem or "an earlier try was cut off while it submitted the job"
    raise ambiguous(plan.submit, request, problem)


def _submitted(api: Api, plan: SubmitPlan, record: Submission, scope: Variables) -> Flow[Submission]:
    """Send the submit; where its answer is lost, look the job up."""

    def has_identifier(response: Response) -> bool:
        # A 303 or 201 with the job's Location is the answer; following it would lead past it.
        return (
            response.status < 400  # noqa: PLR2004 - the errors
            and response.status not in _MOVED
            and any(not each.needs_body and each.find(response, scope) for each in plan.identifier.selectors)
        )

    record = dataclasses.replace(record, sent_at=record.sent_at or api.clock())
    sending = perform(api, plan.submit, scope, plan.schedule, stop=has_identifier, repeatable=plan.is_repeatable)
    try:
        response, outcome = yield from _kept_as_sent(record, sending)
    except AmbiguousSubmitError as error:
        if plan.lookup is None:
            raise
        problem = error.__cause__
        yield Log(logging.WARNING, f"{problem}; looking the job up")
        found = yield from _looked_up(api, plan, plan.lookup, record, scope)
        if found.handle is None:
            # The API may still be at work on the request, so not at once.
            raise UnavailableError(f"{problem}; the look-up finds no job, and a later try may submit it") from problem
        return found
    except (*_REFUSED, UnavailableError) as error:
        yield from _forget(record, error, repeatable=plan.is_repeatable)
        if isinstance(error, JobNotFoundError):
            # What wasn't found is the address: no job was asked for.
            raise RequestRejectedError(str(error)).with_fields_of(error) from None
        raise
    address = shown_url(response.url.partition("?")[0])
    handle = JobHandle(None, outcome or Outcome.RUNNING, submitted_at=record.sent_at, urls={"submit": address})
    try:
        handle = _identified(api, plan, response, scope, handle.with_variables(plan.variables))
    except MissingValueError as error:
        yield SaveSubmission(
            dataclasses.replace(record, sent=True, problem=f"an earlier try has submitted the job, but {error}")
        )
        raise
    if handle.identifier is not None:
        yield Log(logging.INFO, f"Submitted job {api.redact(str(handle.identifier))} ({address})")
    request = Request(plan.submit.request.method, response.url)
    return (yield from _with_handle(record, handle, plan.submit.captures, request, response, scope))


def _kept_as_sent(record: Submission, sending: Flow[T]) -> Flow[T]:
    """Keep, just before the first request of a flow goes out, that it may have been; one cut off earlier wasn't."""
    is_kept = False
    with Steps(sending) as steps:
        for effect in steps:
            # The login before it isn't a request of this flow.
            if isinstance(effect, Send) and not is_kept:
                is_kept = True
                yield SaveSubmission(dataclasses.replace(record, sent=True))
            try:
                steps.reply = yield effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result


def _with_handle(
    record: Submission,
    handle: JobHandle,
    captures: Mapping[str, SelectorChain],
    request: Request,
    response: Response,
    scope: Variables,
) -> Flow[Submission]:
    """Keep the job, with what the answer holds beside its identifier, before anything else happens."""
    record = dataclasses.replace(record, answered=record.answered + 1, sent=False, handle=handle, problem="")
    found = captured(captures, response, scope)
    try:
        handle = handle.with_variables(found)
    except (ResultTooLargeError, UnstorableValueError) as error:
        yield SaveSubmission(record)
        error.with_job(handle.identifier, handle.status)
        raise
    record = dataclasses.replace(record, handle=handle)
    yield SaveSubmission(record)
    yield from missing(captures, found, request)
    return record


def _forget(record: Submission, error: Exception, *, repeatable: bool) -> Flow[None]:
    """Keep that a request wasn't carried out, where that is sure."""
    # One that may be repeated may have been sent several times, and the last error says nothing of the others.
    if isinstance(error, _REFUSED) or not repeatable:
        yield SaveSubmission(record)


def _looked_up(api: Api, plan: SubmitPlan, lookup: Lookup, record: Submission, scope: Variables) -> Flow[Submission]:
    """
    Ask the API for the job; it may not be there at once, so more than once.

    :return: the record with the job, or as one of a job that wasn't submitted.
    """
    variables = {**scope, IDEMPOTENCY_KEY: record.key}
    request = api.request(lookup.request, variables)
    for attempt in range(1, plan.schedule.max_errors + 1):
        response = yield from persist(api, request, plan.schedule)
        if not response.ok and response.status != 404:  # noqa: PLR2004 - not found
            raise rejection(api, request, response, message=plan.submit.error_message)
        try:
            found = lookup.identifier.find(response, variables) if response.ok else None
            identifier = None if found is None or found[1] is None else check_identifier(found[1])
        except (ContentError, MissingValueError) as error:
            missing_one = MissingValueError(f"lookup: {unusable(api, request, response, error)}")
            raise about(missing_one, request, response) from None
        if found is not None and identifier is not None:
            yield Log(logging.INFO, f"The job was submitted: it is {api.redact(str(identifier))}")
            submitted = api.request(plan.submit.request, variables)
            address = shown_url(submitted.url.partition("?")[0])
            handle = JobHandle(identifier, submitted_at=record.sent_at, urls={"submit": address})
            handle = handle.with_variables({**plan.variables, found[0].text: identifier})
            return (yield from _with_handle(record, handle, lookup.captures, request, response, variables))
        if attempt < plan.schedule.max_errors:
            yield Sleep(plan.schedule.after_error(attempt, None, None, api.rng))
    yield Log(logging.INFO, "The look-up finds no job: it wasn't submitted")
    return dataclasses.replace(record, sent=False)


def _started(api: Api, plan: SubmitPlan, record: Submission, handle: JobHandle, scope: Variables) -> Flow[JobHandle]:
    """Send the further requests that the job needs, beginning with the first that wasn't answered yet."""
    for step in plan.start[max(0, record.answered - 1) :]:
        if handle.outcome.is_final:
            break
        scope = api.variables(scope, handle.scope())
        base = handle.urls.get("submit")
        if record.sent and not step.is_repeatable:
            request = api.request(step.request, scope, reference_base=base)
            raise ambiguous(step, request, "an earlier try was cut off while it started the job")
        record = dataclasses.replace(record, sent=False)
        try:
            sending = perform(api, step, scope, plan.schedule, base=base, redirect_accepts=True)
            response, outcome = yield from _kept_as_sent(record, sending)
        except (*_REFUSED, UnavailableError) as error:
            yield from _forget(record, error, repeatable=step.is_repeatable)
            raise
        handle = dataclasses.replace(handle, outcome=outcome or Outcome.RUNNING)
        yield Log(logging.INFO, f"Started job {api.redact(str(handle.identifier))}")
        request = Request(step.request.method, response.url)
        record = yield from _with_handle(record, handle, step.captures, request, response, scope)
        handle = record.handle or handle
    return handle


def _identified(api: Api, plan: SubmitPlan, response: Response, scope: Variables, handle: JobHandle) -> JobHandle:
    """Put the identifier into the handle; a job that is over may do without one."""
    try:
        found = plan.identifier.find(response, scope)
        if found is None:
            raise MissingValueError("nothing found")  # noqa: TRY301 - one message for all that can be wrong
        selector, value = found
        identifier = check_identifier(value)
    except (ContentError, MissingValueError) as error:
        if handle.outcome.is_final:
            return handle
        request = Request(plan.submit.request.method, response.url)
        answer = unusable(api, request, response, error)
        problem = MissingValueError(f"submit: there is no job identifier at {plan.identifier}: {answer}")
        raise about(problem, request, response) from None
    return dataclasses.replace(handle.with_variables({selector.text: identifier}), identifier=identifier)
