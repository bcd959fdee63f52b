"""The record of a submission, which Airflow keeps between tries so that a job is submitted once."""

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


class SubmissionState:
    """
    The state of one task instance's submission.

    The task state store of Airflow 3.3 holds it, for retries and after a Clear.

    :param context: context of the task.
    :param hook: hook that writes the log lines.
    :param callback: digest of the callback URL that this try may send to the API.
    :ivar new: the record of a new submission.
    :ivar latest: the latest record.
    """

    def __init__(self, context: Context, hook: AsyncApiHook, callback: str | None = None) -> None:
        self._context = context
        self._hook = hook
        self._store: Any = context.get("task_state_store")
        self.new = Submission(
            make_idempotency_key(context),
            count_clears(context),
            callbacks=(callback,) if callback else (),
            connection=hook.asyncapi_conn_id if callback else "",
            clears=getattr(context.get("dag_run"), "clear_number", None),
        )
        self.latest = self.new

    def load_earlier(self, plan: SubmitPlan, *, has_resubmits: bool = False) -> Submission | None:
        """
        Return the record of an earlier try; None if there is no record.

        Before Airflow 3.3 nothing is stored: an earlier try may have submitted the job, and only the API knows.

        :param has_resubmits: whether the task may submit another job in the same try, after its job has failed.
        """
        if self._store is not None:
            stored = Submission.parse(self._store.get(SUBMISSION_KEY))
            self.latest = stored or self.new
            return stored
        if has_resubmits and (stored := load_record(self._context)):
            return stored
        if not self._is_retry():
            return None
        if plan.lookup is not None:
            return Submission(self.new.key, self.new.generation, sent=True)
        if not plan.is_repeatable:
            self._hook.log.warning(
                "Submitting again: Airflow before 3.3 stores nothing between tries, so there are two jobs now if the"
                " earlier try was killed while it submitted. To prevent this, use an idempotency key in the request, or"
                " lookup"
            )
        return None

    def observe(self, event: Notification) -> None:
        """Store the record of a submission, and log all other events."""
        if not isinstance(event, SaveSubmission):
            self._hook.log_events(event)
            return
        self.latest = event.submission
        if self._store is not None:
            self._store.set(SUBMISSION_KEY, self.latest.dump())
        elif self.latest.callbacks or self.latest.attempts:
            self._context["ti"].xcom_push(SUBMISSION_KEY, self.latest.dump())

    def publish_callbacks(self) -> None:
        """
        Push the callbacks of this submission, and no others, for the tasks that wait for them.

        Airflow removes a task's XComs when it is tried again, and with them the callbacks of an earlier try; after a
        Clear, a callback of the old job may have come in just before this submission was stored. Another callback may
        come in now, so this reads the store again until nothing changes.

        The record itself becomes an XCom too: Airflow clears the task state store of a task that has succeeded, if
        ``[state_store] clear_on_success`` is set, and the job calls back after that.
        """
        if self._store is not None:
            self._context["ti"].xcom_push(SUBMISSION_KEY, self.latest.dump())
        pushed: Any = ()
        while self._store is not None and (stored := self._store.get(callbacks_key(self.latest.key))) != pushed:
            pushed = stored
            self._context["ti"].xcom_push(CALLS_KEY, pushed)

    def _is_retry(self) -> bool:
        ti: Any = self._context["ti"]
        retries = self._context["task"].retries or 0
        return bool(ti.max_tries - retries + 1 < ti.try_number <= ti.max_tries + 1)


def load_record(context: Context) -> Submission | None:
    """
    Return the stored record of the task's submission; None if there is none.

    Before Airflow 3.3 it is an XCom, which lasts until the end of the try.
    """
    store: Any = context.get("task_state_store")
    if store is not None:
        return Submission.parse(store.get(SUBMISSION_KEY))
    ti: Any = context["ti"]
    return Submission.parse(ti.xcom_pull(task_ids=ti.task_id, key=SUBMISSION_KEY, map_indexes=ti.map_index))


def store_record(context: Context, record: Submission) -> None:
    """Store the record of the task's submission where :func:`load_record` finds it."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(SUBMISSION_KEY, record.dump())
    else:
        context["ti"].xcom_push(SUBMISSION_KEY, record.dump())


def callbacks_key(submission: str) -> str:
    """
    Return the key of a submission's callbacks in the task state store.

    :param submission: idempotency key of the submission, which changes with a Clear.
    """
    return f"{CALLS_KEY}_{submission}"


def count_clears(context: Context) -> int:
    """
    Return a number that increases with each Clear of the task, and not with a retry.

    A Clear adds the tries made so far to ``max_tries``. For a Clear of a running task the scheduler does it, once the
    executor has reported the end of the process; if it hasn't, the task may have more tries than retries. The
    ``clear_number`` of the DAG run would count the Clears of its other tasks too.
    """
    ti: Any = context["ti"]
    return max(int(ti.max_tries), int(ti.try_number) - 1)


def make_idempotency_key(context: Context) -> str:
    """
    Return the idempotency key of the job, which is submitted once however often the request is sent.

    It is the same for all tries of a task, and changes with a Clear and with the map index.
    """
    ti: Any = context["ti"]
    name = "/".join(map(str, (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, count_clears(context))))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"airflow://{name}"))
