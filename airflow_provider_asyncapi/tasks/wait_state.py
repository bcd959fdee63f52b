"""The state of a wait, and the parts of it that Airflow stores between tries and between pokes."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.effects import FetchCallbacks, Polled
from airflow_provider_asyncapi.core.errors import NewerLayoutError
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.history import JobHistory
from airflow_provider_asyncapi.core.wait.log_position import MAX_LINES, LogPosition
from airflow_provider_asyncapi.core.wait.summaries import summarize_wait
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.tracing import NO_TRACE
from airflow_provider_asyncapi.monitoring.xcoms import (
    HISTORY_KEY,
    JOB_KEY,
    PARTS,
    WAIT_KEY,
    ProgressReporter,
    keep_parts,
    pack_summary,
    push_for_users,
)
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.job_argument import parse_job
from airflow_provider_asyncapi.tasks.published_wait import continue_summary, read_history
from airflow_provider_asyncapi.tasks.submission_state import count_clears

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Notification
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import WaitCheckpoint, WaitPlan
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
    from airflow_provider_asyncapi.monitoring.tracing import StageTrace

#: Version of the layout of both stored values; see :mod:`~.stored_fields`.
VERSION = 1
#: Key in the task state store (Airflow 3.3) of the start of the wait and its job.
_BEGAN_KEY = "asyncapi_began"
#: Key in the task state store of the state after the last poke in reschedule mode.
_POKE_KEY = "asyncapi_poke"
_POKE_FIELDS = ("errors", "handle", "heard", "next_poll", "changed_at", "warned_at", "log", "history")


@dataclasses.dataclass(frozen=True, slots=True)
class TimeLimits:
    """
    The time limits of a wait.

    :param all_tries: seconds for all tries together, until the task is cleared.
    :param one_try: seconds for each try; None for no separate limit.
    :param are_default: whether neither the DAG nor a profile sets them.
    """

    all_tries: float
    one_try: float | None = None
    are_default: bool = False

    def deadline(self, wait_began: float, try_began: float) -> float:
        """Return the deadline of a try; all times are in seconds since the epoch."""
        latest = wait_began + self.all_tries
        return latest if self.one_try is None else min(latest, try_began + self.one_try)


def find_start(context: Context, handle: JobHandle, try_began: float) -> float:
    """
    Return the time at which the wait for a job began: the same for all tries, until the task is cleared.

    The task state store of Airflow 3.3 keeps it; before Airflow 3.3, the wait begins again with each try. It stays the
    same for the next job if :func:`save_start` was called.

    :param try_began: start of this try, in seconds since the epoch.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return try_began
    this_wait: dict[str, Any] = {"identifier": handle.identifier, "generation": count_clears(context["ti"])}
    stored = read_stored(store.get(_BEGAN_KEY), "the start of the wait", (*this_wait, "at"))
    if "at" in stored and this_wait.items() <= stored.items():
        return float(stored["at"])
    is_kept = "at" in stored and {**this_wait, "identifier": None}.items() <= stored.items()
    began = float(stored["at"]) if is_kept else try_began
    store.set(_BEGAN_KEY, {"version": VERSION, **this_wait, "at": began})
    return began


def save_start(context: Context, began: float) -> None:
    """Store the start of the wait for the job that the task submits next; its identifier isn't known yet."""
    store: Any = context.get("task_state_store")
    if store is not None:
        fields = {"identifier": None, "generation": count_clears(context["ti"]), "at": began}
        store.set(_BEGAN_KEY, {"version": VERSION, **fields})


def forget_start(context: Context) -> None:
    """Forget the start of the wait, since the next try submits a job of its own, with a new deadline."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(_BEGAN_KEY, {"version": VERSION})


log = logging.getLogger(__name__)


class WaitState:
    """
    The state of one task instance's wait, in the process that waits or begins the wait.

    :param context: context of the task.
    :param hook: hook that writes the log lines.
    :param plan: the plan of the wait.
    :param handle: the job, as the task received it.
    :param limits: the time limits of the wait.
    :param on_warning: called if the wait takes longer than ``warn_after``.
    :param is_continued: whether an earlier process, or the wait for an earlier job, has published a history.
    :param is_first: whether no other process can have pushed XComs about a wait of the task. The trigger of an earlier
        try may do so until Airflow ends it.
    :param began: start of the wait, in seconds since the epoch; None if Airflow stores it.
    :ivar ti: the task instance.
    :ivar current: the latest state of the wait.
    """

    def __init__(
        self,
        context: Context,
        hook: AsyncApiHook,
        plan: WaitPlan,
        handle: JobHandle,
        limits: TimeLimits,
        on_warning: Callable[[JobHandle], None] = lambda _: None,
        *,
        is_continued: bool = False,
        is_first: bool = True,
        began: float | None = None,
    ) -> None:
        self._context = context
        self.ti: Any = context["ti"]
        self._store: Any = context.get("task_state_store")
        self._hook = hook
        self._limits = limits
        self._on_warning = on_warning
        self._is_continued = is_continued
        self._earlier: JobHistory | None = None
        self._reporter = ProgressReporter()
        #: Time of the next poll, in seconds since the epoch; 0 if this process hasn't polled.
        self._due = 0.0
        self._unpublished: dict[str, Any] = {}
        #: The latest summary of the wait that this process has pushed, or has tried to push.
        self._summary: dict[str, Any] | None = None
        #: The XComs that this process, or another one, may have pushed in place of parts of the summary.
        self._separate = set[str]() if is_first and not is_continued else set(PARTS)
        self._began = began
        self.current = self._load(plan, handle)
        self._trace = NO_TRACE

    def _load(self, plan: WaitPlan, handle: JobHandle) -> WaitCheckpoint:
        """Return the state of a wait that begins, or begins again in another try."""
        try_began = time.time()
        began = self._find_start(handle, try_began)
        next_poll = None
        if handle.submitted_at is not None and handle.submitted_at > began:
            # The job follows one that has failed, for which the wait began.
            next_poll = handle.submitted_at + plan.schedule.initial_delay
        return plans.WaitCheckpoint(
            handle,
            started_at=began,
            deadline=self._limits.deadline(began, try_began),
            next_poll=next_poll,
            has_default_deadline=self._limits.are_default,
        )

    def _find_start(self, handle: JobHandle, try_began: float) -> float:
        return find_start(self._context, handle, try_began) if self._began is None else self._began

    def trace_with(self, trace: StageTrace) -> None:
        """Record the polls from now on, and let the handle name the job's span."""
        self._trace = trace
        self.current = dataclasses.replace(self.current, handle=trace.join(self.current.handle))

    def to_deferral(self, plan: WaitPlan, pause: float) -> WaitCheckpoint:
        """
        Return the state for another process that continues the wait, and let callbacks find the task.

        :param pause: seconds until the next poll.
        """
        # Without a poll in this process, they weren't pushed yet.
        self.publish({})
        if plan.callback is not None:
            lazy.await_callback(self._context, self.current.handle, self.current.callbacks_seen)
        return dataclasses.replace(self.current, next_poll=max(time.time() + pause, self._due), pause=pause)

    def resume_from(self, plan: WaitPlan, state: WaitCheckpoint) -> None:
        """Continue a wait that was deferred; the triggerer may have polled meanwhile, perhaps just now."""
        now = time.time()
        state = state.resume_from_other_process(plan.schedule, now)
        self.current = dataclasses.replace(state, next_poll=max(state.next_poll or 0.0, now + plan.schedule.interval))

    def observe(self, event: Notification) -> Any:
        """Save the state after a poll, return new callbacks, and log all other events."""
        self._hook.log_events(event)
        self._trace.observe(event)
        if isinstance(event, FetchCallbacks):
            return self._read_callbacks(event.callbacks_seen)
        if isinstance(event, Polled):
            self._due = event.at + (event.pause or 0.0)
            metrics.count_poll(self._hook.asyncapi_conn_id, event, self.current.started_at)
            self.current = dataclasses.replace(
                self.current.after_check(event), handle=event.handle, polls=event.polls, errors=event.errors
            )
            if event.warned:
                self.publish({WAIT_KEY: self.summarize()})
                self._on_warning(event.handle)
            if not event.handle.outcome.is_final:
                self._save(event)
            elif event.handle.outcome is Outcome.FAILURE:
                # No other code pushes the handle of a job that failed.
                self.publish({JOB_KEY: event.handle.dump()})
            else:
                self._unpublished.pop(JOB_KEY, None)
                self.publish({})
        return None

    def _read_callbacks(self, callbacks_seen: int) -> list[Response]:
        """Return the callbacks that the wait hasn't processed yet."""
        calls = lazy.read_callbacks(self._context, self.current.handle)[callbacks_seen:]
        self.current = dataclasses.replace(self.current, callbacks_seen=callbacks_seen + len(calls))
        return [lazy.to_response(call) for call in calls]

    def _save(self, poll: Polled) -> None:
        """Publish the changes of a poll."""
        self.publish(self._reporter.xcoms_after(poll))

    def summarize(self) -> dict[str, Any]:
        """Return the summary of the wait for users."""
        return summarize_wait(self._hook.asyncapi_conn_id, self.ti.id, self.current)

    def publish_later(self, updates: Mapping[str, Any]) -> None:
        """Push XComs for users with those of the next poll, each with its latest value."""
        self._unpublished |= updates

    def publish(self, updates: Mapping[str, Any]) -> None:
        """Push XComs for users, and with them the XComs that couldn't be pushed earlier."""
        updates = self._continue_history({**self._unpublished, **updates})
        packed = pack_summary(updates, self._separate)
        if (summary := packed.get(WAIT_KEY)) is not None:
            is_known = self._summary is not None or not self._is_continued
            summary = keep_parts(summary, self._summary) if is_known else continue_summary(self.ti, summary)
            packed[WAIT_KEY] = self._summary = summary
        pushed = {key for key, value in packed.items() if push_for_users(self._context, key, value)}
        self._separate |= pushed & PARTS.keys()
        in_summary = updates.keys() - packed.keys()
        self._unpublished = {
            key: value for key, value in updates.items() if (WAIT_KEY if key in in_summary else key) not in pushed
        }

    def _continue_history(self, updates: dict[str, Any]) -> dict[str, Any]:
        """Return the updates, with a history that continues the published one."""
        if HISTORY_KEY not in updates or not self._is_continued:
            return updates
        if self._earlier is None:
            try:
                self._earlier = read_history(self.ti)
            except Exception:
                # Only users read it, so the wait goes on; the next publication tries again.
                log.warning("XCom %s can't be read, so the history begins anew", HISTORY_KEY, exc_info=True)
                return updates
        return {**updates, HISTORY_KEY: JobHistory.parse(updates[HISTORY_KEY]).after(self._earlier).dump()}


class RescheduleWaitState(WaitState):
    """
    The state of a wait in reschedule mode, in which each poke is a process of its own.

    Airflow counts the pokes and stores the time of the first one. The task state store of Airflow 3.3 keeps the state
    after the last poke. Before Airflow 3.3, only the deadline ends a series of errors, and a capture has to find its
    value in the last response.
    """

    def _load(self, plan: WaitPlan, handle: JobHandle) -> WaitCheckpoint:
        """Return the state of the wait at this poke."""
        pokes = self._context.get("task_reschedule_count") or 0
        first = self.ti.get_first_reschedule_date(self._context) if pokes else None
        try_began = first.timestamp() if first else time.time()
        began = self._find_start(handle, try_began)
        deadline = self._limits.deadline(began, try_began)
        if not pokes:
            return plans.WaitCheckpoint(handle, try_began, deadline, has_default_deadline=self._limits.are_default)
        # The first poke only waited for the initial delay to pass.
        polls = pokes - bool(plan.schedule.initial_delay)
        # Before the first poll of a try, the stored value is that of an earlier try.
        value = self._store.get(_POKE_KEY) if self._store is not None and polls else None
        stored = read_stored(value, "the state after the last poke", _POKE_FIELDS)
        if "handle" in stored:
            earlier = parse_job(stored["handle"])
            # After a failure, the task waits for another job.
            handle = earlier if earlier.identifier == handle.identifier else handle
            # Airflow clears the XCom before each poke.
            self._reporter = ProgressReporter(earlier=JobHistory.parse(stored.get("history")))
        # Airflow starts each poke when it is due; only the time of a poke after the deadline matters.
        due = stored.get("next_poll") or 0.0
        next_poll = due if due > deadline else None
        return plans.WaitCheckpoint(
            handle,
            began,
            deadline,
            polls=polls,
            errors=stored.get("errors", 0),
            next_poll=next_poll,
            callbacks_seen=stored.get("heard", 0),
            changed_at=stored.get("changed_at"),
            # Without a store each poke would warn again, so none does.
            warned_at=stored.get("warned_at") if self._store is not None else 0.0,
            # Nor does each show the whole log again.
            log=LogPosition.parse(stored.get("log")) if self._store is not None else LogPosition(shown=MAX_LINES),
            has_default_deadline=self._limits.are_default,
        )

    def _save(self, poll: Polled) -> None:
        """Publish the job's state again, since Airflow clears the XComs before each poke, and store it for the next."""
        updates = self._reporter.xcoms_after(dataclasses.replace(poll, changed=True))
        history = updates[HISTORY_KEY] = self._reporter.history.dump()
        self.publish(updates)
        if self._store is not None:
            values = {"errors": poll.errors, "handle": poll.handle.dump(), "heard": self.current.callbacks_seen}
            values["history"] = history
            if poll.pause is not None:
                values["next_poll"] = poll.at + poll.pause
            for name in ("changed_at", "warned_at"):
                if (moment := getattr(self.current, name)) is not None:
                    values[name] = moment
            if self.current.log is not None:
                values["log"] = self.current.log.dump()
            self._store.set(_POKE_KEY, {"version": VERSION, **values})


def read_stored(value: Any, what: str, known: Collection[str], *, version: int = VERSION) -> dict[str, Any]:
    """
    Return the fields of a value of the task state store; an empty mapping if it can't be read.

    :param what: a name for the value, for messages.
    :param known: the names of the fields.
    :param version: the newest layout that this version of the provider reads.
    :raises AsyncApiRetryableException: if a newer version of this provider stored it, and this version can't read it.
    """
    try:
        return read_fields(value, what, version=version, known=known)
    except NewerLayoutError as error:
        raise to_airflow(error) from error
    except ValueError:
        return {}
