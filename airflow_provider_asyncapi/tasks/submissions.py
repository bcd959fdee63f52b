"""Submitting once: what Airflow keeps of a submission from try to try."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.effects import SaveSubmission
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, SUBMISSION_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Notification
    from airflow_provider_asyncapi.core.plans import SubmitPlan
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook


class SubmissionLedger:
    """
    The record of one task instance's submission.

    The task state store of Airflow 3.3 holds it; a retry finds it there, and so does a Clear.

    :param context: of the task.
    :param hook: takes the log lines.
    :param callback: the digest of the callback URL that this try may give away.
    :ivar new: the record of a new submission.
    :ivar record: the latest one.
    """

    def __init__(self, context: Context, hook: AsyncApiHook, callback: str | None = None) -> None:
        self._context = context
        self._hook = hook
        self._store: Any = context.get("task_state_store")
        self.new = Submission(
            idempotency_key(context),
            generation(context),
            callbacks=(callback,) if callback else (),
            connection=hook.asyncapi_conn_id if callback else "",
            clears=getattr(context.get("dag_run"), "clear_number", None),
        )
        self.record = self.new

    def kept(self, plan: SubmitPlan) -> Submission | None:
        """
        Give what an earlier try has kept.

        Before Airflow 3.3 no try keeps anything, so of an earlier one everything is possible; only the API can tell.
        """
        if self._store is not None:
            kept = Submission.parse(self._store.get(SUBMISSION_KEY))
            self.record = kept or self.new
            return kept
        if not self._is_retry():
            return None
        if plan.lookup is not None:
            return Submission(self.new.key, self.new.generation, sent=True)
        if not plan.is_repeatable:
            self._hook.log.warning(
                "Submitting again: before Airflow 3.3 nothing is kept from try to try, so if the earlier one was killed"
                " while it submitted, there are two jobs now. An idempotency key in the request, or lookup, prevents it"
            )
        return None

    def observe(self, event: Notification) -> None:
        """Store what has to be kept, and log the rest."""
        if not isinstance(event, SaveSubmission):
            self._hook.log_events(event)
            return
        self.record = event.submission
        if self._store is not None:
            self._store.set(SUBMISSION_KEY, self.record.dump())
        elif self.record.callbacks:
            self._context["ti"].xcom_push(SUBMISSION_KEY, self.record.dump())

    def keep_calls(self) -> None:
        """
        Give the callbacks of this submission to those who wait, and no others.

        Airflow removes a task's XComs when it is tried again, and with them what an earlier try was called with; after
        a Clear, a call of the old job may have come in just before this submission was kept. Another one may come in
        now, so it is looked again.

        The record itself becomes an XCom too: Airflow clears the task state store of a task that has succeeded, if
        ``[state_store] clear_on_success`` is set, and the job calls back after that.
        """
        if self._store is not None:
            self._context["ti"].xcom_push(SUBMISSION_KEY, self.record.dump())
        kept: Any = ()
        while self._store is not None and (latest := self._store.get(calls_key(self.record.key))) != kept:
            kept = latest
            self._context["ti"].xcom_push(CALLS_KEY, kept)

    def _is_retry(self) -> bool:
        ti: Any = self._context["ti"]
        retries = self._context["task"].retries or 0
        return bool(ti.max_tries - retries + 1 < ti.try_number <= ti.max_tries + 1)


def calls_key(submission: str) -> str:
    """
    Give the key under which the task state store holds the callbacks of a submission.

    :param submission: its idempotency key, which is another one after a Clear.
    """
    return f"{CALLS_KEY}_{submission}"


def generation(context: Context) -> int:
    """
    Give a number that a Clear of the task raises, and a retry doesn't.

    A Clear adds the tries made so far to ``max_tries``; one of a task that is running doesn't, but then the task has
    more tries than it has retries. The ``clear_number`` of the DAG run would count the Clears of its other tasks too.
    """
    ti: Any = context["ti"]
    return max(int(ti.max_tries), int(ti.try_number) - 1)


def idempotency_key(context: Context) -> str:
    """
    Give the key under which a job is submitted once, however often the request is sent.

    The same for all tries of a task, another one after a Clear and for each map index.
    """
    ti: Any = context["ti"]
    name = "/".join(map(str, (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, generation(context))))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"airflow://{name}"))
