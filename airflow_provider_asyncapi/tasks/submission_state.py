"""The record of a submission, which Airflow keeps between tries so that a job is submitted once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom

from airflow_provider_asyncapi.core.effects import SaveSubmission
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, SUBMISSION_KEY, task_ids

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Notification
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.core.plans import SubmitPlan
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook


class SubmissionState:
    """
    The state of one task instance's submission.

    The task state store of Airflow 3.3 holds it, for retries and after a Clear.

    :param context: context of the task.
    :param hook: hook that writes the log lines.
    :param callback: digest of the callback URL that this try may send to the API.
    :param profile: name and version of the profile that describes the submit.
    :param first: the job that another task has submitted, and that this one follows after its failure.
    :ivar new: the record of a new submission.
    :ivar latest: the latest record.
    """

    def __init__(
        self,
        context: Context,
        hook: AsyncApiHook,
        callback: str | None = None,
        profile: Mapping[str, str] | None = None,
        first: JobHandle | None = None,
    ) -> None:
        self._context, self._first = context, first
        self._hook = hook
        self._store: Any = context.get("task_state_store")
        self.new = Submission(
            make_idempotency_key(context),
            count_clears(context["ti"]),
            callbacks=(callback,) if callback else (),
            connection=hook.asyncapi_conn_id if callback else "",
            clears=getattr(context.get("dag_run"), "clear_number", None),
            profile=profile or {},
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
        if has_resubmits and (stored := load_record(self._context, self._first)):
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

    def find_trace(self, earlier: Submission | None) -> Mapping[str, JsonValue]:
        """Return the trace of the job if an earlier try has begun to submit it; empty for a new job."""
        return earlier.trace if earlier is not None and earlier.generation == self.new.generation else {}

    def observe(self, event: Notification) -> None:
        """Store the record of a submission, and log all other events."""
        if not isinstance(event, SaveSubmission):
            self._hook.log_events(event)
            return
        self.latest = event.submission
        if self._store is not None or self.latest.callbacks or self.latest.attempts:
            store_record(self._context, self.latest, self._first)

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


def load_record(context: Context, first: JobHandle | None = None) -> Submission | None:
    """
    Return the stored record of the task's submission; None if there is none.

    Before Airflow 3.3 it is an XCom, which lasts until the end of the try if it is the task's own.

    :param first: the job that another task has submitted, and that this one follows after its failure.
    """
    store: Any = context.get("task_state_store")
    if store is not None:
        return Submission.parse(store.get(SUBMISSION_KEY))
    ti: Any = context["ti"]
    owner, key = _find_xcom(context, first)
    return Submission.parse(ti.xcom_pull(task_ids=owner["task_id"], key=key, map_indexes=owner["map_index"]))


def store_record(context: Context, record: Submission, first: JobHandle | None = None) -> None:
    """Store the record of the task's submission where :func:`load_record` finds it."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(SUBMISSION_KEY, record.dump())
        return
    owner, key = _find_xcom(context, first)
    if owner == task_ids(context["ti"]):
        context["ti"].xcom_push(key, record.dump())
    else:
        XCom.set(key=key, value=record.dump(), **owner)


def lasts_between_tries(context: Context, first: JobHandle) -> bool:
    """Return whether the next try or poke of the task finds its record again."""
    return context.get("task_state_store") is not None or _find_xcom(context, first)[0] != task_ids(context["ti"])


def _find_xcom(context: Context, first: JobHandle | None) -> tuple[Mapping[str, Any], str]:
    """Return the task instance and the key of the XCom with the record."""
    own = task_ids(context["ti"])
    return find_lasting_xcom(own, {} if first is None else first.task, SUBMISSION_KEY) or (own, SUBMISSION_KEY)


def find_lasting_xcom(
    task: Mapping[str, Any], submitter: Mapping[str, Any], key: str
) -> tuple[dict[str, Any], str] | None:
    """
    Return the task instance and the key of an XCom that lasts while a task is tried again; None if there is none.

    Airflow deletes the XComs of a task at each try and each poke. Those of the task that has submitted its job stay
    until that task is cleared, after which they are of no use.

    :param task: the task instance that is tried again: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param submitter: the task instance that has submitted the job; empty if it isn't known.
    :param key: the beginning of the key.
    """
    owner = {name: submitter.get(name) for name in task}
    is_other_task_of_run = owner != task and all(owner[name] == task[name] for name in ("dag_id", "run_id"))
    return (owner, f"{key}_{task['task_id']}_{task['map_index']}") if is_other_task_of_run else None


def callbacks_key(submission: str) -> str:
    """
    Return the key of a submission's callbacks in the task state store.

    :param submission: idempotency key of the submission, which changes with a Clear.
    """
    return f"{CALLS_KEY}_{submission}"


def count_clears(ti: Any) -> int:
    """
    Return a number that increases with each Clear of the task, and not with a retry.

    A Clear adds the tries made so far to ``max_tries``. For a Clear of a running task the scheduler does it, once the
    executor has reported the end of the process; if it hasn't, the task may have more tries than retries. The
    ``clear_number`` of the DAG run would count the Clears of its other tasks too.

    :param ti: the task instance, of a task's context or of Airflow's database.
    """
    return max(int(ti.max_tries), int(ti.try_number) - 1)


def make_idempotency_key(context: Context) -> str:
    """
    Return the idempotency key of the job, which is submitted once however often the request is sent.

    It is the same for all tries of a task, and changes with a Clear and with the map index.
    """
    ti: Any = context["ti"]
    name = "/".join(map(str, (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, count_clears(ti))))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"airflow://{name}"))
