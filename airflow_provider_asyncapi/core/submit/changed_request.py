"""Handle a request that has changed since an earlier try of the task, which may have submitted a job."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.errors import ChangedRequestError
from airflow_provider_asyncapi.core.jobs.cancel import cancel
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.submit.plan import OnChange, SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission


def resolve_changed_request(api: Api, plan: SubmitPlan, new: Submission, saved: Submission) -> Flow[Submission]:
    """
    Return the submission to continue with after the request has changed.

    A second job is never submitted beside a first one, unless ``on_changed_request`` says so.

    :param new: the submission with the current request.
    :param saved: the submission that an earlier try has saved.
    :raises ChangedRequestError: if there may be a job already and ``on_changed_request`` is ``fail``, or the job can't
        be cancelled.
    """
    if saved.handle is None and not saved.sent:
        yield Log(
            logging.INFO,
            "Submitting the current request; the earlier try, whose request was different, has made no job",
        )
        return new.for_new_request()
    before = "may have submitted a job"
    if saved.handle is not None:
        before = f"has submitted job {api.redact(str(saved.handle.identifier))}"
    changed = f"the request differs from that of the earlier try{_describe_differences(new, saved)}, which {before}"
    if plan.on_changed_request is OnChange.RESUME:
        yield Log(logging.WARNING, f"Resuming the earlier submission: {changed}")
        return dataclasses.replace(saved, fingerprint=new.fingerprint, parts=new.parts)
    if plan.cancel is not None and saved.handle is not None:
        cancellation = yield from cancel(api, plan.cancel, saved.handle, "the request has changed since")
        if cancellation.is_accepted or saved.handle.outcome.is_final:
            record = new.for_new_request()
            # If this try is cut off here, the next one mustn't cancel the job again.
            yield SaveSubmission(record)
            yield Log(logging.WARNING, f"Submitting a new job: {changed}")
            return record
        error = ChangedRequestError(f"submit: {changed}, and a second job would run beside it: {cancellation.summary}")
        raise error.set_job(saved.handle.identifier, saved.handle.status)
    error = ChangedRequestError(
        f"submit: {changed}, and a second job would run beside it. Replace a value that differs in each try, such as a"
        f" time or a random value, by one that stays the same, such as {{{{ run_id }}}}, {{{{ ts }}}} or"
        f" {{{IDEMPOTENCY_KEY}}}. To submit a new job, clear the task; on_changed_request='resume' continues with"
        " the first job, and 'cancel' cancels it first"
    )
    raise error if saved.handle is None else error.set_job(saved.handle.identifier, saved.handle.status)


def _describe_differences(new: Submission, saved: Submission) -> str:
    names = saved.differences(new)
    return f" (they differ in {', '.join(names)})" if names else ""
