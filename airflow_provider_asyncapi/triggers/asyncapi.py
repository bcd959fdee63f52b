"""Wait for a remote job in the triggerer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.effects import Log, Notification, Polled
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    DeadlineExceededError,
    NewerLayoutError,
    SlowResponseError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.stored_fields import TRIGGER_LAYOUT, read_fields
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.summaries import PollSummary, summarize_wait
from airflow_provider_asyncapi.monitoring import late_polls, metrics
from airflow_provider_asyncapi.monitoring.tracing import NO_TRACE, ContinuedElsewhereError, trace_stage
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, WAIT_KEY, ProgressReporter, task_ids
from airflow_provider_asyncapi.triggers import lazy
from airflow_provider_asyncapi.triggers.deferral import SHORTEST_DEFERRAL
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event, to_storable_error
from airflow_provider_asyncapi.triggers.storable_parameters import check_storable

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.triggers.shared_plans import SharedPlan
    from airflow_provider_asyncapi.triggers.xcom_publisher import XComPublisher

#: Seconds after the shortest deferral in which a callback may still be on its way into the database.
_CALLBACK_MARGIN = 1.0


class _WarningDueError(ContinuedElsewhereError):
    """
    A worker has to call the task's ``on_warning_callback``.

    :param state: the state from which the worker continues the wait.
    """

    def __init__(self, state: WaitCheckpoint) -> None:
        super().__init__()
        self.state = state


class AsyncApiJobTrigger(BaseTrigger):
    """
    Poll until the job has ended, then pass its handle, or the error, to the sensor.

    The trigger only reads, except that it cancels the remote job when its deadline passes or its task is killed, if the
    sensor has a ``cancel`` request. Its arguments are plain text in the metadata database: none of them is a secret.

    :param asyncapi_conn_id: the connection.
    :param spec: the parameters of the sensor; complete, unless the wait begins in the triggerer.
    :param wait: state of the wait, as :meth:`~.checkpoint.WaitCheckpoint.dump` returns it; None if the wait begins in
        the triggerer.
    :param begin: start of a wait that begins in the triggerer: the ``job``, or ``task_id`` and ``key`` of its XCom;
        ``timeout``, and ``airflow_timeout`` after which Airflow ends the wait, in seconds; ``names_profile``,
        whether the sensor has a profile, which overrides the connection's; and ``is_default_timeout``, whether nobody
        has set the timeout.
    :param end_from_trigger: whether a successful wait ends in the triggerer, without a worker.
    :param fetch: the parameters of a fetch, with ``max_xcom_bytes`` if it is set: the triggerer fetches the result
        after a successful wait, and ends the task. None if it doesn't.
    :param resume_on_warning: whether a worker resumes the task if the wait takes longer than ``warn_after``.
    :param version: version of the layout of these arguments; see :mod:`~.stored_fields`.
    :param unknown: arguments that a newer version of this provider has stored; they are ignored.
    """

    #: Set by Airflow from the row of the task instance: it stays the same across restarts.
    timeout_after: datetime | None = None

    def __init__(
        self,
        *,
        asyncapi_conn_id: str,
        spec: dict[str, Any],
        wait: dict[str, Any] | None = None,
        begin: dict[str, Any] | None = None,
        end_from_trigger: bool = False,
        fetch: dict[str, Any] | None = None,
        resume_on_warning: bool = False,
        version: int = TRIGGER_LAYOUT,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.asyncapi_conn_id = asyncapi_conn_id
        self.spec = spec
        self.wait: WaitCheckpoint | None = None
        self._parse_error: AsyncApiError | None = None
        try:
            read_fields({**unknown, "version": version}, "the trigger of the wait", version=TRIGGER_LAYOUT, known=())
            self.wait = WaitCheckpoint.parse(wait) if wait else None
        except AsyncApiError as error:
            # The task would get an exception from __init__ as a traceback.
            self._parse_error = error
        self.begin = begin
        self.end_from_trigger = end_from_trigger
        self.fetch = fetch
        self.resume_on_warning = resume_on_warning
        self._latest = self.wait.handle if self.wait else None
        self._reporter = ProgressReporter()
        self._xcom_publisher: XComPublisher | None = None
        #: Whether no trigger has polled since the worker did.
        self._is_first_to_poll = False
        #: Keeps the shared plan alive while the trigger uses it.
        self._shared_plan: SharedPlan | None = None
        self._polled: Polled | None = None
        self._trace = NO_TRACE
        #: The state whose summary was published last.
        self._published: WaitCheckpoint | None = self.wait

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        arguments = {name: getattr(self, name) for name in ("asyncapi_conn_id", "spec", "begin", "end_from_trigger")}
        optional: dict[str, Any] = {} if self.fetch is None else {"fetch": self.fetch}
        if self.resume_on_warning:
            optional["resume_on_warning"] = True
        return path, {"version": TRIGGER_LAYOUT, **arguments, **optional, "wait": self.wait and self.wait.dump()}

    def __repr__(self) -> str:
        job = None if self._latest is None else self._latest.identifier
        return f"<AsyncApiJobTrigger {self.asyncapi_conn_id} job={job}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Wait, and yield one event.

        The event has a ``status`` (``success``, ``error``, ``callback``, ``begin``) and a ``message``; see
        :class:`WaitEvent`. A wait that ends in the triggerer yields the task's success instead.
        """
        if self._parse_error is not None:
            await asyncio.sleep(SHORTEST_DEFERRAL)
            yield make_event(WaitEvent.of_error(self._parse_error))
            return
        if self.begin is not None and (why := await self._begin_wait(self.begin)):
            yield make_event(WaitEvent.of_begin(why))
            return
        began, handle = time.monotonic(), None
        try:
            handle = await (self._wait_or_check_callbacks() if self.spec.get("callback") else self._wait())
            event = WaitEvent.of_callback() if handle is None else WaitEvent.of_success(handle)
        except _WarningDueError as warning:
            event = WaitEvent.of_warning(warning.state)
        except (AsyncApiError, AirflowUnavailableError) as error:
            # The client has tried until the deadline.
            problem = DeadlineExceededError(str(error)) if isinstance(error, AirflowUnavailableError) else error
            if self._latest is not None:
                problem.set_job(self._latest.identifier, self._latest.status)
            event = WaitEvent.of_error(problem, self._latest)
        except Exception as error:  # noqa: BLE001 - raised again in a form that Airflow can store
            raise to_storable_error(error) from None
        finally:
            # The final handle is pushed after this, and a late update must not overwrite it.
            await self._publisher().close()
        if self.begin is not None:
            # The triggerer has no task state store, so the sensor stores the time for the next try.
            event = dataclasses.replace(event, began_at=self._initial_state().started_at)
        elif self.task_instance is not None:
            # In ``airflow dags test`` there is no task instance, and no other process has to end first.
            await asyncio.sleep(began + SHORTEST_DEFERRAL - time.monotonic())
        if handle is not None and await self._end_task(handle):
            yield TaskSuccessEvent()
        else:
            yield make_event(event)

    async def _wait_or_check_callbacks(self) -> JobHandle | None:
        """
        Wait, and return the handle; return None if the job called back during the transfer from worker to triggerer.

        A callback within the shortest deferral doesn't resume the task; each later one does so by itself.
        """
        state = self._initial_state()
        waiting = asyncio.create_task(self._wait())
        checking = asyncio.create_task(self._has_missed_callback(state))
        try:
            # The wait ends by its deadline at the latest, even if Airflow doesn't answer the question about callbacks.
            await asyncio.wait({waiting, checking}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and await checking:
                return None
            return await waiting
        finally:
            for task in (waiting, checking):
                task.cancel()
            await asyncio.wait({waiting, checking})

    async def _has_missed_callback(self, state: WaitCheckpoint) -> bool:
        """Return whether the job called back during the transfer from the worker to the triggerer."""
        await asyncio.sleep(SHORTEST_DEFERRAL + _CALLBACK_MARGIN)
        return await lazy.has_called_back(state.handle, state.callbacks_seen)

    async def _wait(self) -> JobHandle:
        state = self._initial_state()
        with trace_stage("wait", self.asyncapi_conn_id, state.handle.trace) as self._trace:
            self.wait = dataclasses.replace(state, handle=self._trace.join(state.handle))
            return await self._run_wait()

    async def _run_wait(self) -> JobHandle:
        now = time.time()
        start: tuple[WaitPlan, WaitCheckpoint] | None = None
        slow: SlowResponseError | None = None
        while True:
            async with lazy.CurrentClient(self.asyncapi_conn_id, self._seconds_left) as (api, driver):
                plan, state = start = start or await self._load_state(api, now)
                try:
                    if slow is not None:
                        return await driver.run(
                            lazy.raise_deadline_error(api, plan, state, slow), observe=self._observe
                        )
                    make_flow = wait if plan.callback is None else lazy.wait_with_callbacks
                    flow = self._trace.propagate(api, make_flow(api, plan, state, spread=plan.batch is None))
                    return await driver.run(flow, observe=self._observe)
                except SlowResponseError as error:
                    if slow is not None:
                        # This was the response to the cancel request.
                        raise DeadlineExceededError(f"{slow}; {error}") from None
                    slow = error
            start = plan, state if self._polled is None else state.after_poll(self._polled)

    async def _load_state(self, api: Api, now: float) -> tuple[WaitPlan, WaitCheckpoint]:
        """Return the plan, and the state of the wait when this process begins or resumes it."""
        if self.begin is not None:
            if not self.begin["names_profile"] and api.settings.profile is not None:
                profile = await asyncio.to_thread(lazy.load_profile, api.settings.profile)
                self.spec = plans.merge_parameters("status", profile, self.spec)
            self.spec = plans.drop_switched_off(self.spec)
            check_storable(self.spec, api)
        try:
            shared = await lazy.SharedPlan.load(self.spec)
        except ConfigurationError as error:
            if self.begin is not None:
                raise
            # The worker that stored the parameters could read them.
            raise NewerLayoutError(
                "another version of airflow-provider-asyncapi stored the sensor's parameters, and this process can't"
                f" read them: {error}; install the same version on all workers and triggerers"
            ) from None
        self._shared_plan, self.spec, plan = shared, shared.spec, shared.plan
        state = self._initial_state().resume_from_other_process(plan.schedule, now)
        self._is_first_to_poll = bool(state.polls and state.next_poll and state.next_poll > now)
        if self._is_first_to_poll and state.next_poll and not state.errors:
            # The sensor has published its first poll, and no process has polled since.
            shown = PollSummary(now, state.next_poll - now)
            self._reporter = ProgressReporter(shown, is_status_shown=state.changed_at is not None)
        if self.begin is not None and plan.callback is not None:
            raise ConfigurationError("callback: needs a worker to begin the wait; remove start_from_trigger")
        state = await self._restore_state(plan, state, now)
        if self.begin is not None:
            ti: Any = self.task_instance
            summary = summarize_wait(self.asyncapi_conn_id, ti.id, state)
            self._publisher().publish({JOB_KEY: state.handle.dump(), WAIT_KEY: summary})
        return plan, state

    async def _restore_state(self, plan: WaitPlan, state: WaitCheckpoint, now: float) -> WaitCheckpoint:
        """Return the state with what a trigger in a triggerer that has stopped since has published about this wait."""
        is_late = plan.warn_after is not None and now >= state.started_at + plan.warn_after
        ti: Any = self.task_instance
        # A wait that began in the triggerer has no other state that a user's request for a poll could continue.
        is_requested = self.begin is not None and self.begin.get("next_poll") is not None
        with_polls = is_requested or (plan.stall_timeout is not None and not self._is_first_to_poll)
        if not (is_late or plan.logs is not None or with_polls) or ti is None or not HAS_TRIGGER_XCOMS:
            return state
        try:
            reading = lazy.read_published_state(task_ids(ti), with_polls=with_polls)
            published = await lazy.finish_despite_cancel(reading)
        except Exception as error:  # noqa: BLE001 - an XCom backend raises its own exceptions
            self.logger().debug("The summary of the wait can't be read: %s", error)
            return state
        if published.belongs_to(ti.id, state):
            self._published = state = published.restore(plan, state, now)
        return state

    def _seconds_left(self) -> float | None:
        """Return the seconds until the deadline; None if there is no deadline."""
        deadline = self._initial_state().deadline
        return None if deadline is None else deadline - time.time()

    def _initial_state(self) -> WaitCheckpoint:
        """Return the state of the wait when it was deferred, or began in the triggerer."""
        assert self.wait is not None, "a wait in the triggerer begins once its job is known"  # noqa: S101 - for mypy
        return self.wait

    async def _begin_wait(self, begin: Mapping[str, Any]) -> str | None:
        """Begin the wait with its job; return the reason if a worker has to begin it instead."""
        try:
            self.wait = await lazy.begin_wait(begin, self.task_instance, self.timeout_after)
        except lazy.WorkerNeededError as reason:
            return str(reason)
        self._latest = self.wait.handle
        return None

    async def _end_task(self, handle: JobHandle) -> bool:
        """Push what the task returns after a successful wait; return whether the task can end without a worker."""
        # There is no task instance in dag.test(), which doesn't support TaskSuccessEvent.
        if handle.outcome is not Outcome.SUCCESS or self.task_instance is None:
            return False
        if self.fetch is not None:
            try:
                value = await lazy.fetch_value(self.asyncapi_conn_id, self.fetch, handle, self._log_event)
            except Exception as error:  # noqa: BLE001 - a worker fetches again, and raises what is wrong
                self.logger().info("A worker fetches the result of job %s: %s", handle.printable_identifier, error)
                return False
        elif self.end_from_trigger and not isinstance(handle.result_identifier, list | Mapping):
            # Tasks may be mapped over a list or mapping, whose length Airflow records on a worker only.
            value = handle.result_identifier
        else:
            return False
        return await lazy.push_result(self.task_instance, handle, value)

    async def on_kill(self) -> None:
        """
        Cancel the remote job when a user ends the task (Airflow 3.3).

        Airflow also calls it when the trigger moves to another triggerer, or when the task is resumed from outside.
        """
        if self._latest is not None and self.task_instance is not None:
            await lazy.cancel_in_background(
                self.asyncapi_conn_id, self.spec, self._latest, self.task_instance, self._log_event
            )

    def _observe(self, event: Notification) -> None:
        self._log_event(event)
        if isinstance(event, Polled):
            self._record_poll(event)

    def _log_event(self, event: Notification) -> None:
        if isinstance(event, Log):
            # Not self.log, which creates a logger for each trigger.
            self.logger().log(event.level, "%s", event.message)

    def _publisher(self) -> XComPublisher:
        # Airflow sets the task instance after __init__.
        if self._xcom_publisher is None:
            self._xcom_publisher = lazy.XComPublisher(self.task_instance, is_first=self._is_first_to_poll)
        return self._xcom_publisher

    def _record_poll(self, event: Polled) -> None:
        metrics.count_poll(self.asyncapi_conn_id, event, self._initial_state().started_at)
        self._trace.observe(event)
        if event.delay is not None:
            late_polls.record(self.asyncapi_conn_id, event.delay)
        self._latest, self._polled = event.handle, event
        before = self._published or self._initial_state()
        if event.warned or (event.log is not None and event.log != before.log):
            self._publish_summary(before.after_poll(event), event)
        if not event.handle.outcome.is_final:
            self._publisher().publish(self._reporter.xcoms_after(event))

    def _publish_summary(self, state: WaitCheckpoint, event: Polled) -> None:
        """
        Publish that the wait takes longer than ``warn_after``, and how much of the job's log was shown.

        :param state: the state after the poll.
        :raises _WarningDueError: if a worker has to call the task's callback.
        """
        if event.warned and self.resume_on_warning:
            # Within a try, Airflow overwrites the log of a task's trigger by that of the next one in the same
            # triggerer, which therefore shows the lines of the job's log again.
            raise _WarningDueError(dataclasses.replace(state, log=self._initial_state().log))
        self._published, ti = state, self.task_instance
        if ti is not None:
            summary = summarize_wait(self.asyncapi_conn_id, ti.id, state)
            # With the handle, by which a trigger of an earlier try notices that it is outdated.
            self._publisher().publish({JOB_KEY: event.handle.dump(), WAIT_KEY: summary})
