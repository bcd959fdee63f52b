"""A later try of a task whose request isn't that of the earlier one, which may have submitted a job."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.errors import ChangedRequestError
from airflow_provider_asyncapi.core.jobs.cancel import cancel
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.submit.plan import OnChange, SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission


def settle_changed_request(api: Api, plan: SubmitPlan, new: Submission, kept: Submission) -> Flow[Submission]:
    """
    Decide what to do about a request that has changed: never submit a second job beside a first without being told to.

    :param new: the record of the request as it is now.
    :param kept: what an earlier try has kept of its own.
    :return: the record to go on with.
    :raises ChangedRequestError: if there may be a job already, and the author hasn't said what to do, or it can't be
        done.
    """
    if kept.handle is None and not kept.sent:
        yield Log(logging.INFO, "Submitting the request as it is now; that of the earlier try has made no job")
        return new.of_another_request()
    before = "may have submitted a job"
    if kept.handle is not None:
        before = f"has submitted job {api.redact(str(kept.handle.identifier))}"
    changed = f"the request isn't that of the earlier try{_shown(new, kept)}, which {before}"
    if plan.on_changed_request is OnChange.RESUME:
        yield Log(logging.WARNING, f"Going on all the same: {changed}")
        return dataclasses.replace(kept, fingerprint=new.fingerprint, parts=new.parts)
    if plan.cancel is not None and kept.handle is not None:
        cancellation = yield from cancel(api, plan.cancel, kept.handle, "the request has changed since")
        if cancellation.is_accepted or kept.handle.outcome.is_final:
            record = new.of_another_request()
            # A try that ends here mustn't cancel the job again.
            yield SaveSubmission(record)
            yield Log(logging.WARNING, f"Submitting a new job: {changed}")
            return record
        error = ChangedRequestError(f"submit: {changed}, and a second job would run beside it: {cancellation.summary}")
        raise error.with_job(kept.handle.identifier, kept.handle.status)
    error = ChangedRequestError(
        f"submit: {changed}, and a second job would run beside it. A value that is another one with each try, such as a"
        f" time or a random value, has to become one that stays the same, such as {{{{ run_id }}}}, {{{{ ts }}}} or"
        f" {{{IDEMPOTENCY_KEY}}}. To submit a new job, clear the task; on_changed_request='resume' goes on with the"
        " first job, and 'cancel' cancels it first"
    )
    raise error if kept.handle is None else error.with_job(kept.handle.identifier, kept.handle.status)


def _shown(new: Submission, kept: Submission) -> str:
    names = kept.differences(new)
    return f" (they differ in {', '.join(names)})" if names else ""
