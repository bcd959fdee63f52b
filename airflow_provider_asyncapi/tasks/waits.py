"""Waiting on: what Airflow keeps of a wait from try to try, and from poke to poke."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom
from airflow.providers.standard.utils.skipmixin import XCOM_SKIPMIXIN_KEY

from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.effects import FetchCallbacks, Polled
from airflow_provider_asyncapi.core.errors import NewerLayoutError
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.xcoms import (
    JOB_KEY,
    JOB_URL_KEY,
    POLL_KEY,
    RETURN_KEY,
    WAIT_KEY,
    ProgressReporter,
    reference,
    show,
)
from airflow_provider_asyncapi.tasks.base import JobTask
from airflow_provider_asyncapi.tasks.callbacks import await_call, calls_of, response_of
from airflow_provider_asyncapi.tasks.submissions import generation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Notification
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import Wait, WaitPlan
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

#: Of the layout of both; see :mod:`~.layouts`.
VERSION = 1
#: Where the task state store (Airflow 3.3) holds when a task began to wait for which job.
_BEGAN_KEY = "asyncapi_began"
#: Where it holds what the last poke in reschedule mode learnt.
_POKE_KEY = "asyncapi_poke"


def forget(context: Context) -> None:
    """Delete the XComs of an earlier try, as Airflow does where a try begins on a worker."""
    for key in (JOB_KEY, JOB_URL_KEY, WAIT_KEY, POLL_KEY, RETURN_KEY, XCOM_SKIPMIXIN_KEY):
        XCom.delete(key=key, **reference(context["ti"]))


@dataclasses.dataclass(frozen=True, slots=True)
class TimeLimits:
    """
    How long a wait may take.

    :param all_tries: seconds for all tries together, until the task is cleared.
    :param one_try: seconds for each try; None for no limit of its own.
    """

    all_tries: float
    one_try: float | None = None

    def deadline(self, wait_began: float, try_began: float) -> float:
        """Return the moment at which a try has to end; all moments in seconds since the epoch."""
        latest = wait_began + self.all_tries
        return latest if self.one_try is None else min(latest, try_began + self.one_try)


def begin_of_wait(context: Context, handle: JobHandle, try_began: float) -> float:
    """
    Return the moment at which the wait for a job began: the same for all tries, until the task is cleared.

    The task state store of Airflow 3.3 remembers it; before that, each try begins anew.

    :param try_began: when this try began, in seconds since the epoch.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return try_began
    of_this_wait: dict[str, Any] = {"identifier": handle.identifier, "generation": generation(context)}
    kept = _read_stored(store.get(_BEGAN_KEY), "the begin of the wait", (*of_this_wait, "at"))
    if "at" in kept and of_this_wait.items() <= kept.items():
        return float(kept["at"])
    store.set(_BEGAN_KEY, {"version": VERSION, **of_this_wait, "at": try_began})
    return try_began


class WaitLedger:
    """
    The record of one task instance's wait, as the process keeps it that waits, or begins to.

    :param context: of the task.
    :param hook: takes the log lines.
    :param plan: how the job is waited for.
    :param handle: the job, as the task was given it.
    :param limits: how long the wait may take.
    :ivar ti: the task instance.
    :ivar state: where the wait stands.
    """

    def __init__(
        self, context: Context, hook: AsyncApiHook, plan: WaitPlan, handle: JobHandle, limits: TimeLimits
    ) -> None:
        self._context = context
        self.ti: Any = context["ti"]
        self._store: Any = context.get("task_state_store")
        self._hook = hook
        self._limits = limits
        self._reporter = ProgressReporter()
        #: When the next poll is due, in seconds since the epoch; 0 if no poll has been made here.
        self._due = 0.0
        self._unshown: dict[str, Any] = {}
        self.state = self._begun(plan, handle)

    def _begun(self, _plan: WaitPlan, handle: JobHandle) -> Wait:
        """Return the state of a wait that begins, or begins again in another try."""
        try_began = time.time()
        began = begin_of_wait(self._context, handle, try_began)
        return plans.Wait(handle, began, self._limits.deadline(began, try_began))

    def handed_on(self, plan: WaitPlan, pause: float) -> Wait:
        """
        Give the state for somebody else to go on with, and let callbacks find the task.

        :param pause: seconds until the next poll.
        """
        if plan.callback is not None:
            await_call(self._context, self.state.handle, self.state.heard)
        return dataclasses.replace(self.state, next_poll=max(time.time() + pause, self._due))

    def take_back(self, plan: WaitPlan, state: Wait) -> None:
        """Go on with a wait that was handed on; others may have polled meanwhile, perhaps just now."""
        now = time.time()
        state = state.resumed(plan.schedule, now)
        self.state = dataclasses.replace(state, next_poll=max(state.next_poll or 0.0, now + plan.schedule.interval))

    def observe(self, event: Notification) -> Any:
        """Keep what a poll has told, look for callbacks, and log the rest."""
        self._hook.log_events(event)
        if isinstance(event, FetchCallbacks):
            return self._calls(event.callbacks_seen)
        if isinstance(event, Polled):
            self._due = event.at + (event.pause or 0.0)
            metrics.poll_made(self._hook.asyncapi_conn_id, event, self.state.started_at)
            self.state = dataclasses.replace(self.state, handle=event.handle, polls=event.polls, errors=event.errors)
            if not event.handle.outcome.is_final:
                self._keep(event)
            elif event.handle.outcome is Outcome.FAILURE:
                # Nobody else will show how the job ended.
                show(self._context, JOB_KEY, event.handle.dump())
        return None

    def _calls(self, heard: int) -> list[Response]:
        """Give the callbacks that nobody has taken notice of yet."""
        calls = calls_of(self._context, self.state.handle)[heard:]
        self.state = dataclasses.replace(self.state, heard=heard + len(calls))
        return [response_of(call) for call in calls]

    def _keep(self, poll: Polled) -> None:
        """Show what is new."""
        self.show(self._reporter.xcoms_after(poll))

    def show(self, news: Mapping[str, Any]) -> None:
        """Push XComs that people look at, and before them those that couldn't be pushed until now."""
        news = {**self._unshown, **news}
        self._unshown = {key: value for key, value in news.items() if not show(self._context, key, value)}


class PokeLedger(WaitLedger):
    """
    The same of a task in reschedule mode, where each of many pokes is a process of its own.

    Airflow counts the pokes and knows when the first was. What the last one learnt is in the task state store, which is
    there from Airflow 3.3 on; before that, only the deadline ends a row of errors, and a capture has to find its value
    in the last answer.
    """

    def _begun(self, plan: WaitPlan, handle: JobHandle) -> Wait:
        """Say where the wait stands at this poke."""
        pokes = self._context.get("task_reschedule_count") or 0
        first = self.ti.get_first_reschedule_date(self._context) if pokes else None
        try_began = first.timestamp() if first else time.time()
        began = begin_of_wait(self._context, handle, try_began)
        deadline = self._limits.deadline(began, try_began)
        if not pokes:
            return plans.Wait(handle, try_began, deadline)
        # The first poke only waited for the initial delay to pass.
        polls = pokes - bool(plan.schedule.initial_delay)
        # What is stored before the first poll of a try is of an earlier one.
        kept = self._store.get(_POKE_KEY) if self._store is not None and polls else None
        learnt = _read_stored(kept, "what the last poke learnt", ("errors", "handle", "heard", "next_poll"))
        if "handle" in learnt:
            handle = JobTask.handle_of(learnt["handle"])
        # Airflow begins a poke when it is due; only one after the deadline is told.
        due = learnt.get("next_poll") or 0.0
        next_poll = due if due > deadline else None
        errors, heard = learnt.get("errors", 0), learnt.get("heard", 0)
        return plans.Wait(handle, began, deadline, polls, errors, next_poll, heard)

    def _keep(self, poll: Polled) -> None:
        """Show the job as it is now, after each poke, for Airflow clears a task's XComs before; and tell the next."""
        super()._keep(dataclasses.replace(poll, changed=True))
        if self._store is not None:
            learnt = {"errors": poll.errors, "handle": poll.handle.dump(), "heard": self.state.heard}
            if poll.pause is not None:
                learnt["next_poll"] = poll.at + poll.pause
            self._store.set(_POKE_KEY, {"version": VERSION, **learnt})


def _read_stored(kept: Any, what: str, known: Collection[str]) -> dict[str, Any]:
    """
    Return what the task state store holds; nothing if that can't be read.

    :raises AsyncApiException: if a newer version of this provider has stored it, and this one can't read it.
    """
    try:
        return read_fields(kept, what, version=VERSION, known=known)
    except NewerLayoutError as error:
        raise to_airflow(error) from error
    except ValueError:
        return {}
