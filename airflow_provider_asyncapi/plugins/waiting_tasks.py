"""
What a user does to a task that waits for a job: cancel the job and fail the task, poll it now, or submit it again.

Each function works in the transaction that has locked the row of the task instance, and first checks its state: between
the user's look and the click the job may have ended, another user may have acted, or Airflow may have resumed the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from airflow_provider_asyncapi.airflow_private.database import (
    State,
    TaskInstance,
    TaskInstanceState,
    TaskReschedule,
    Trigger,
    XComModel,
    handle_event_submit,
)
from airflow_provider_asyncapi.airflow_private.task_actions import clear_with_downstream, mark_failed
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.published_state import PublishedState
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, POLL_KEY, WAIT_KEY, choose_part
from airflow_provider_asyncapi.plugins.cancel_requests import store_cancel_request
from airflow_provider_asyncapi.plugins.json_fields import as_json_text, load
from airflow_provider_asyncapi.tasks.job_wait import SHORTEST_RESCHEDULE
from airflow_provider_asyncapi.triggers.deferral import SHORTEST_DEFERRAL
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_asyncapi.airflow_private.api_server import BaseUser
    from airflow_provider_asyncapi.airflow_private.task_actions import DBDagBag

#: The fields that identify a task instance, and their types.
_IDS: Final = {"dag_id": str, "run_id": str, "task_id": str, "map_index": int}
#: The method with which all tasks that wait continue after a deferral.
_NEXT_METHOD: Final = "execute_complete"
#: Not imported: the API server polls nothing.
_TRIGGER: Final = "airflow_provider_asyncapi.triggers.asyncapi.AsyncApiJobTrigger"
#: States of a task in which each action may be possible; the page offers no other.
POLLABLE: Final = frozenset({"deferred", "up_for_reschedule"})
CANCELLABLE: Final = POLLABLE | {"running"}
#: States of a cleared task that no process has begun to run.
ABOUT_TO_RUN: Final = frozenset({None, "scheduled", "queued", "restarting"})
#: States in which a task that submits a job hasn't begun to, or is about to.
_SUBMITTING: Final = ABOUT_TO_RUN | {"running", "up_for_retry"}


class ActionRefusedError(Exception):
    """The state of the task doesn't allow the action; the message gives the reason, for the user."""


@dataclass(frozen=True, slots=True)
class Action:
    """
    An action of a user.

    :param session: the transaction.
    :param dag_bag: Airflow's store of serialized DAGs.
    :param user: the user.
    :param now: the time of the action.
    """

    session: Session
    dag_bag: DBDagBag
    user: BaseUser
    now: datetime

    @staticmethod
    def check_try(ti: TaskInstance, seen: int) -> None:
        """
        Check that a task hasn't begun another try.

        :param seen: the number of the try that the user has seen.
        :raises ActionRefusedError: if it has.
        """
        if ti.try_number != seen:
            raise ActionRefusedError(f"The task was run again meanwhile: this is try {ti.try_number}, not {seen}.")

    def cancel(self, ti: TaskInstance) -> str:
        """
        Cancel the job of a task, and fail the task; return what happens now.

        A worker cancels the job of a task that waits without a process, and fails the task then. Airflow's *Mark as
        failed* alone could lose the cancel: before Airflow 3.3 no process is notified, nor is any in reschedule mode,
        or while the triggerer is restarted.

        :raises ActionRefusedError: if the task has ended, or doesn't wait.
        """
        message = f"{self.user.get_name()} has cancelled the job on the page Async API jobs"
        match ti.state:
            case TaskInstanceState.DEFERRED:
                trigger = self._find_trigger(ti)
                if trigger is None:
                    mark_failed(self.session, self.dag_bag, self.user, _ids_of(ti))
                    return "The task has failed. It had no job at the moment."
                self._check_handed_over(ti, SHORTEST_DEFERRAL)
                arguments = trigger.kwargs
                self._resume_to_cancel(ti, message, arguments.get("wait"))
                if not (arguments.get("spec") or {}).get("cancel"):
                    return "A worker fails the task. There is no cancel request, so the job may still be running."
                return "A worker cancels the job and fails the task; the task's log has the answer of the API."
            case TaskInstanceState.UP_FOR_RESCHEDULE:
                self._check_waits(ti)
                self._check_handed_over(ti, SHORTEST_RESCHEDULE)
                ti.next_method = _NEXT_METHOD
                self._resume_to_cancel(ti, message)
                return (
                    "A worker cancels the job, if there is a cancel request, and fails the task; the task's log has the"
                    " answer of the API."
                )
            case TaskInstanceState.RUNNING:
                self._check_waits(ti)
                mark_failed(self.session, self.dag_bag, self.user, _ids_of(ti))
                return (
                    "The task is marked as failed. The worker that runs it cancels the job, if there is a cancel"
                    " request; the task's log has the answer of the API."
                )
        raise _refuse(ti)

    def poll(self, ti: TaskInstance) -> str:
        """
        Poll the job of a task now, without a worker if the task is deferred; return what happens now.

        :raises ActionRefusedError: if the task has ended, or no other process polls its job.
        """
        match ti.state:
            case TaskInstanceState.DEFERRED:
                trigger = self._find_trigger(ti)
                if trigger is None:
                    raise ActionRefusedError("The task has no job at the moment, so there is nothing to poll.")
                published = self._read_published_state(ti)
                arguments = _to_poll_now(trigger.kwargs, ti.id, published, self.now.timestamp())
                self._replace_trigger(ti, trigger, arguments)
                return "The triggerer polls the job within seconds."
            case TaskInstanceState.UP_FOR_RESCHEDULE:
                self._check_waits(ti)
                newest = select(TaskReschedule).where(TaskReschedule.ti_id == ti.id).order_by(TaskReschedule.id.desc())
                last = self.session.scalars(newest.limit(1)).first()
                if last is None:
                    raise _refuse(ti)
                earliest = last.end_date + timedelta(seconds=SHORTEST_RESCHEDULE)
                last.reschedule_date = min(last.reschedule_date, max(self.now, earliest))
                return "A worker polls the job as soon as one is free."
            case TaskInstanceState.RUNNING:
                self._check_waits(ti)
                raise ActionRefusedError(
                    "A worker polls the job at its own pace (mode='poke'); only a deferred task, or one in reschedule"
                    " mode, can be polled on request."
                )
        raise _refuse(ti)

    def submit_again(self, ti: TaskInstance) -> str:
        """
        Clear the task that has submitted the job, and the tasks after it; return what happens now.

        :raises ActionRefusedError: if no task of this DAG run has submitted the job, or it is submitted again already.
        """
        submitter = self._find_submitter(ti)
        if submitter.id != ti.id and submitter.state in _SUBMITTING:
            raise ActionRefusedError(
                f"Task {submitter.task_id!r} submits the job again already: its state is {_describe_state(submitter)}."
            )
        if submitter.id == ti.id and submitter.state in ABOUT_TO_RUN:
            raise _refuse(ti)
        count = clear_with_downstream(self.session, self.dag_bag, self.user, _ids_of(submitter))
        cleared = "1 task was cleared" if count == 1 else f"{count} tasks were cleared"
        return f"Task {submitter.task_id!r} submits the job again; {cleared}."

    def _find_submitter(self, ti: TaskInstance) -> TaskInstance:
        """Return the task instance that has submitted the job, locked; it is the task itself if there is no other."""
        job = self._read_xcom(ti, JOB_KEY)
        if job is None:
            if self._read_xcom(ti, WAIT_KEY) is None:
                raise ActionRefusedError("The task has no job.")
            return ti
        handle = job if isinstance(job, Mapping) else {}
        # The next job of a sensor, after a failure, was submitted by the sensor; the first one by this task.
        ids = handle.get("slot_of") or handle.get("task")
        if not isinstance(ids, Mapping) or {name: type(value) for name, value in ids.items()} != _IDS:
            raise ActionRefusedError("No task has submitted the job, or its job handle doesn't name the task.")
        if (ids["dag_id"], ids["run_id"]) != (ti.dag_id, ti.run_id):
            raise ActionRefusedError("A task of another DAG run has submitted the job; clear that task.")
        submitter = lock_task(self.session, dict(ids))
        if submitter is None:
            raise ActionRefusedError(f"The task that has submitted the job, {ids['task_id']!r}, is gone.")
        return submitter

    def _find_trigger(self, ti: TaskInstance) -> Trigger | None:
        """Return the trigger that polls the job of a deferred task; None if the task waits for something else."""
        trigger = None if ti.trigger_id is None else self.session.get(Trigger, ti.trigger_id)
        is_ours = trigger is not None and trigger.classpath == _TRIGGER and ti.next_method == _NEXT_METHOD
        if not is_ours and self._read_xcom(ti, WAIT_KEY) is None:
            raise ActionRefusedError("The task doesn't wait for a job.")
        return trigger if is_ours else None

    def _check_waits(self, ti: TaskInstance) -> None:
        """Check that this try of a task has begun to wait for a job."""
        summary = self._read_xcom(ti, WAIT_KEY)
        if not isinstance(summary, Mapping) or summary.get("task_instance") != str(ti.id):
            raise ActionRefusedError("The task hasn't begun to wait for a job yet.")

    def _check_handed_over(self, ti: TaskInstance, seconds: float) -> None:
        """Check that Airflow knows that the last process of the task has ended, so that it may start the next one."""
        left = 0.0 if ti.updated_at is None else seconds - (self.now - ti.updated_at).total_seconds()
        if left > 0:
            raise ActionRefusedError(f"The task has begun to wait only just now; try again in {left + 1:.0f} s.")

    def _resume_to_cancel(self, ti: TaskInstance, message: str, wait: Mapping[str, Any] | None = None) -> None:
        """Resume a task, so that a worker cancels its job; if the worker dies, the next try of the task cancels it."""
        job = self._read_xcom(ti, JOB_KEY)
        store_cancel_request(self.session, ti, _ids_of(ti), job if isinstance(job, Mapping) else {}, message)
        event = make_event(WaitEvent.of_cancel(message, wait))
        handle_event_submit(event, task_instance=ti, session=self.session)

    def _replace_trigger(self, ti: TaskInstance, trigger: Trigger, arguments: dict[str, Any]) -> None:
        """
        Let another trigger continue the wait; the triggerer stops the old one, which no task refers to any more.

        A triggerer that runs a trigger doesn't read its arguments again, so a new row is needed.
        """
        placement = {name: getattr(trigger, name) for name in ("queue", "team_name") if hasattr(trigger, name)}
        successor = Trigger(classpath=trigger.classpath, kwargs=arguments)
        for name, value in placement.items():
            setattr(successor, name, value)
        self.session.add(successor)
        self.session.flush()
        # The time of the last update stays: from it others conclude when the task was deferred.
        self.session.execute(
            update(TaskInstance)
            .where(TaskInstance.id == ti.id)
            .values(trigger_id=successor.id, updated_at=TaskInstance.updated_at)
            .execution_options(synchronize_session=False)
        )

    def _read_published_state(self, ti: TaskInstance) -> PublishedState:
        """Return what the trigger of a task has published: it knows more than its row, and keeps that in memory."""
        summary, poll = self._read_xcom(ti, WAIT_KEY), self._read_xcom(ti, POLL_KEY)
        return PublishedState(summary, choose_part(POLL_KEY, poll, summary), self._read_xcom(ti, JOB_KEY))

    def _read_xcom(self, ti: TaskInstance, key: str) -> Any:
        return load(self.session.scalar(select(as_json_text(XComModel.value)).filter_by(**_ids_of(ti), key=key)))


def lock_task(session: Session, task: dict[str, Any]) -> TaskInstance | None:
    """
    Return a task instance, locked until the end of the transaction; None if there is none.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    """
    # SQLite has no locks of rows: only a transaction that has begun to write keeps others from reading the state, and
    # writing what follows from it. The time of the last update stays the same.
    is_task = [getattr(TaskInstance, name) == value for name, value in task.items()]
    begin = update(TaskInstance).where(*is_task).values(updated_at=TaskInstance.updated_at)
    session.execute(begin.execution_options(synchronize_session=False))
    found = select(TaskInstance).where(*is_task).with_for_update(of=TaskInstance)
    return session.scalars(found.execution_options(populate_existing=True)).one_or_none()


def _ids_of(ti: TaskInstance) -> dict[str, Any]:
    return {name: getattr(ti, name) for name in _IDS}


def _to_poll_now(
    arguments: Mapping[str, Any], task_instance: object, published: PublishedState, now: float
) -> dict[str, Any]:
    """
    Return the arguments of a trigger that continues a wait with a poll.

    :param arguments: the arguments of the trigger that waits now.
    :param task_instance: the id of the task instance.
    :param published: what that trigger has published.
    :raises ActionRefusedError: if the job isn't polled, or another version of the provider has stored the arguments.
    """
    try:
        plan = WaitPlan.parse(arguments["spec"])
        if not plan.has_status_request:
            raise ActionRefusedError("The API isn't polled: the task waits for its callback.")
        if arguments.get("wait") is None:
            # A wait that began in the triggerer; the next trigger reads what this one has published.
            return {**arguments, "begin": {**arguments["begin"], "next_poll": now}}
        state = WaitCheckpoint.parse(arguments["wait"]).resume_from_other_process(plan.schedule, now)
        if published.belongs_to(task_instance, state):
            state = published.restore(plan, state, now)
    except (AsyncApiError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ActionRefusedError(f"The parameters of the wait can't be read: {error}") from error
    return {**arguments, "wait": state.to_poll_now(now).dump()}


def _refuse(ti: TaskInstance) -> ActionRefusedError:
    state = _describe_state(ti)
    if ti.state in State.finished:
        return ActionRefusedError(f"The task has ended meanwhile: its state is {state}.")
    return ActionRefusedError(f"The task doesn't wait now: its state is {state}. Try again when it waits.")


def _describe_state(ti: TaskInstance) -> str:
    return "none (cleared)" if ti.state is None else str(ti.state)
