"""The part of a task's wait that runs on a worker: begin the wait, end it, and cancel the job if the task is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    redact,
)

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, JobFailedError
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.parameter_names import NOT_FOR_TRIGGERER
from airflow_provider_asyncapi.exceptions import (
    AsyncApiCancelled,
    AsyncApiJobFailed,
    AsyncApiRetryableException,
    AsyncApiTimeout,
    AsyncApiUnknownStatus,
    to_airflow,
)
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, POLL_KEY, RETURN_KEY, WAIT_KEY, push_for_users
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import WORKER_NEEDED
from airflow_provider_asyncapi.tasks.job_argument import parse_job
from airflow_provider_asyncapi.tasks.stages import STATUS
from airflow_provider_asyncapi.transports.pauses import compute_return

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import WaitCheckpoint, WaitPlan
    from airflow_provider_asyncapi.monitoring.tracing import StageTrace
    from airflow_provider_asyncapi.tasks.wait_options import PollingTask, WaitOptions
    from airflow_provider_asyncapi.tasks.wait_state import WaitState
    from airflow_provider_asyncapi.triggers.events import WaitEvent

#: Minimum seconds between two pokes in reschedule mode, whatever the API asks for. Airflow fails a task that is queued
#: again before its scheduler has read that the process of the last poke has ended, seconds later on a busy machine.
SHORTEST_RESCHEDULE = 10.0
#: Trigger rules of tasks that are skipped if there is no data; other rules run a task after a skipped one.
_RULES_THAT_NEED_SUCCESS = frozenset(
    {"all_success", "one_success", "none_failed_min_one_success", "all_done_min_one_success", "none_skipped"}
)


class JobWait:
    """
    The wait of one task instance for its job, in one process.

    :param task: the task.
    :param context: context of the task.
    :param options: the options of the wait.
    """

    def __init__(self, task: PollingTask, context: Context, options: WaitOptions) -> None:
        self._task, self._context, self._options = task, context, options
        self._ti: Any = context["ti"]
        self._state: WaitState | None = None
        self._plan: WaitPlan | None = None
        #: Whether an earlier process of this try, or the wait for an earlier job, has published something.
        self._has_waited = False
        #: The XComs that the first poll pushes.
        self._unpublished: dict[str, Any] = {}

    def begin(self, handle: JobHandle) -> JobHandle:
        """
        Begin to wait for a job; raise the exception that ends this process if another one continues the wait.

        :return: the job handle of a job that has succeeded, perhaps without data.
        :raises AirflowException: if the wait or the job has failed, or if a user has cancelled the job.
        """
        if (request := lazy.read_cancel_request(self._context, handle)) is not None:
            # The process of the earlier try that had to cancel the job has died.
            push_for_users(self._context, JOB_KEY, handle.dump())
            self._push_summary(plans.WaitCheckpoint(handle, started_at=time.time()))
            with self.publish_errors():
                raise lazy.cancel_for_user(self._task, self._context, request, handle)
        plan: WaitPlan = self._task.build_plan(STATUS)
        # During the wait, this XCom tells users and the trigger for which job the task waits.
        if self._options.deferrable and plan.callback is None and not handle.outcome.is_final:
            # The first poll follows at once, or a deferral: they push the handle as it is then.
            self._unpublished = {JOB_KEY: handle.dump()}
            self._task.push_link(self._context, handle)
        elif not handle.outcome.is_final:
            self._task.push_handle(self._context, handle)
        with self.apply_soft_fail():
            return self._submit_after_failures(partial(self._wait_from_start, plan, handle))

    def _wait_from_start(self, plan: WaitPlan, handle: JobHandle) -> JobHandle:
        if not handle.outcome.is_final:
            handle = self._wait(plan, handle)
        else:
            self._push_summary(plans.WaitCheckpoint(handle, started_at=time.time()))
        return self._finish(handle)

    def _submit_after_failures(self, wait: Callable[[], JobHandle]) -> JobHandle:
        """Return the job of a wait that has succeeded; after a failure, wait for further jobs if there are any."""
        while True:
            try:
                return wait()
            except AsyncApiJobFailed as error:
                # From now on, a kill doesn't cancel the job, which has ended.
                self._state = None
                handle = None if self._options.resubmit is None else self._options.resubmit(error)
                if handle is None:
                    raise
            wait = partial(self._wait_from_start, self._task.build_plan(STATUS), handle)

    def resume(self, event: Any, wait: Mapping[str, Any] | None, find_job: Callable[[], JobHandle]) -> JobHandle:
        """
        Continue with the event of the trigger, or with a callback of the job.

        :param wait: state of the wait at the deferral, if the job may call back.
        :param find_job: returns the job for which the wait began.
        :return: as for :meth:`begin`.
        :raises AirflowException: if the wait failed, or if the event isn't one of this provider.
        """
        return self._submit_after_failures(partial(self._resume, event, wait, find_job))

    def _resume(self, event: Any, wait: Mapping[str, Any] | None, find_job: Callable[[], JobHandle]) -> JobHandle:
        self._has_waited = True
        result = _parse_event(event)
        if result.error is not None:
            self._store_start(result)
            if result.handle:
                push_for_users(self._context, JOB_KEY, result.handle)
            raised = to_airflow(result.error)
            if _has_ended(raised):
                self._clean_up(parse_job(result.handle) if result.handle else find_job(), CleanupOn.FAILURE)
            raise raised
        match result.status:
            case "callback":
                plan: WaitPlan = self._task.build_plan(STATUS)
                deferred = None if wait is None else _parse_state(wait)
                handle = find_job() if deferred is None else deferred.handle
                return self._finish(self._wait(plan, handle, deferred))
            case "warning":
                # The next trigger overwrites the log in which the trigger has warned.
                self._task.log.warning("%s", result.message)
                plan, deferred = self._task.build_plan(STATUS), _parse_state(result.wait or {})
                lazy.publish_summary(self._context, self._summarize(deferred))
                self._call_on_warning(deferred.handle)
                return self._finish(self._wait(plan, deferred.handle, deferred))
            case "begin":
                self._task.log.info(WORKER_NEEDED, "start_from_trigger", result.message)
                lazy.delete_xcoms(self._context)
                return self.begin(find_job())
            case "cancel":
                handle = find_job() if result.wait is None else _parse_state(result.wait).handle
                raise lazy.cancel_for_user(self._task, self._context, result.message, handle)
        self._store_start(result)
        return self._finish(parse_job(result.handle))

    def _store_start(self, event: WaitEvent) -> None:
        """Store the start of the wait for the next try, if the wait began in the triggerer."""
        if event.began_at is None or event.handle is None:
            return
        try:
            lazy.find_start(self._context, parse_job(event.handle), event.began_at)
        except Exception:
            # This try doesn't need it.
            self._task.log.warning("The next try of this task will have a new deadline", exc_info=True)

    def cancel_on_kill(self) -> None:
        """Cancel the remote job of a task that is killed while it waits on a worker, unless a task still needs it."""
        if self._state is not None and self._plan is not None and self._plan.cancel is not None:
            lazy.cancel_killed_job(self._task, self._ti, self._plan, self._state.current.handle)

    def _wait(self, plan: WaitPlan, handle: JobHandle, deferred: WaitCheckpoint | None = None) -> JobHandle:
        """
        Wait on this worker until the job has ended, or until the first pause if another process continues the wait.

        Deferred waits begin here too: a job that has already ended needs no triggerer, and mistakes in the parameters
        fail at once.

        :param deferred: state of a wait that was deferred; None for a new wait.
        """
        task, options = self._task, self._options
        pokes = options.reschedule and not options.deferrable
        # Airflow doesn't enforce the execution_timeout of a deferred task; in reschedule mode it is that of each poke.
        one_try = None if pokes or task.execution_timeout is None else task.execution_timeout.total_seconds()
        limits = lazy.TimeLimits(options.find_timeout(), one_try, one_try is None and options.has_default_timeout())
        state_type = lazy.RescheduleWaitState if pokes else lazy.WaitState
        state = state_type(
            self._context,
            task.hook,
            plan,
            handle,
            limits,
            self._call_on_warning,
            is_continued=self._has_waited,
            is_first=self._ti.try_number == 1 and not task.begins_again,
            began=handle.submitted_at if options.begins_with_submit() else None,
        )
        self._has_waited = True
        if deferred is not None:
            state.resume_from(plan, deferred)
        if deferred is None or plan.logs is not None:
            self._unpublished[WAIT_KEY] = self._summarize(state.current)
        if JOB_KEY in self._unpublished:
            state.publish_later(self._unpublished)
        else:
            state.publish(self._unpublished)
        self._unpublished = {}
        self._plan, self._state = plan, state
        with lazy.trace_stage("wait", task.asyncapi_conn_id, state.current.handle.trace) as trace:
            state.trace_with(trace)
            return self._run_wait(plan, handle, state, trace)

    def _run_wait(self, plan: WaitPlan, handle: JobHandle, state: WaitState, trace: StageTrace) -> JobHandle:
        """Run the flow of the wait, until the job has ended or another process continues."""
        task, options, api = self._task, self._options, self._task.hook.api
        try:
            flow = (lazy.wait if plan.callback is None else lazy.wait_with_callbacks)(api, plan, state.current)
            flow = trace.propagate(api, flow)
            if handle.profile:
                change = lazy.explain_change(handle.profile, task.profile_version())
                flow = lazy.run_under_changed_profile(flow, change)
            if options.deferrable:
                flow = lazy.run_until_sleep(flow, partial(self._defer, plan, self._storable_params(), state))
            elif options.reschedule:
                flow = lazy.run_until_sleep(flow, _reschedule)
            return task.hook.run(flow, observe=state.observe)
        except Exception as error:
            if _has_ended(error):
                self._clean_up(state.current.handle, CleanupOn.FAILURE)
            else:
                # No poll has pushed them.
                state.publish({})
            raise

    def _storable_params(self) -> dict[str, Any]:
        """Return the parameters for the trigger, which Airflow stores in its metadata database."""
        params, api = self._task.effective_params(STATUS), self._task.hook.api
        for name in NOT_FOR_TRIGGERER:
            params.pop(name, None)
        try:
            lazy.check_storable(params, api)
            lazy.check_storable(self._options.fetch or {}, api)
        except ConfigurationError as error:
            raise to_airflow(error) from error
        return params

    def _defer(self, plan: WaitPlan, params: dict[str, Any], wait_state: WaitState, pause: float) -> NoReturn:
        """Defer to the triggerer instead of pausing for a number of seconds."""
        if plan.cancel is not None and not HAS_TRIGGER_ON_KILL:
            self._task.log.info(
                "Airflow before 3.3 doesn't notify a trigger when its task is killed: the job is cancelled only at the"
                " deadline"
            )
        state = wait_state.to_deferral(plan, pause)
        fetch = None if self._options.fetch is None else dict(self._options.fetch)
        self._task.defer(
            trigger=lazy.AsyncApiJobTrigger(
                asyncapi_conn_id=self._task.asyncapi_conn_id,
                spec=params,
                wait=state.dump(),
                end_from_trigger=self._options.end_from_trigger,
                fetch=fetch,
                resume_on_warning=self._options.on_warning is not None and wait_state.current.warned_at is None,
            ),
            method_name=self._task.execute_complete.__name__,
            kwargs={
                "job_url": self._task.find_job_url() or "",
                **({} if plan.callback is None else {"wait": state.dump()}),
            },
        )
        raise AssertionError("defer() raises")

    def _finish(self, handle: JobHandle) -> JobHandle:
        """Push the job handle, send the cleanup request, and raise an exception if the job has failed."""
        if handle.outcome is Outcome.FAILURE:
            push_for_users(self._context, JOB_KEY, handle.dump())
            self._clean_up(handle, CleanupOn.FAILURE)
            failure = JobFailedError(f"Job {handle.printable_identifier} failed when it was submitted")
            raise to_airflow(failure.set_job(handle.identifier, handle.status))
        self._task.push_handle(self._context, handle)
        self._clean_up(handle, CleanupOn.NO_DATA if handle.outcome is Outcome.NO_DATA else CleanupOn.SUCCESS)
        return handle

    def skip_dependents(self, handle: JobHandle) -> None:
        """Skip the tasks that depend on the job's data if there is none."""
        if handle.outcome is not Outcome.NO_DATA:
            return
        relatives = self._task.get_direct_relatives()
        dependent = [task for task in relatives if task.trigger_rule in _RULES_THAT_NEED_SUCCESS]
        # If the task is mapped, the fetch operator skips itself: it sees the outcome in its job handle.
        if dependent and self._ti.map_index < 0:
            self._task.log.info(
                "Job %s ended with no data: skipping %s", handle.printable_identifier, [t.task_id for t in dependent]
            )
            # The skip ends the task before Airflow pushes its return value.
            self._ti.xcom_push(RETURN_KEY, handle.result_identifier)
            self._task.skip(ti=self._ti, tasks=dependent)

    def _clean_up(self, handle: JobHandle, end: CleanupOn) -> None:
        """Send the cleanup request after a wait, if ``cleanup_on`` names this end."""
        # A wait that has ended in the triggerer doesn't need the connection for anything else, nor its plan.
        is_complete = not self._task.profile and self._task.sets(STATUS, "endpoint")
        if is_complete and not self._task.sets(STATUS, "cleanup"):
            return
        if cleanup := lazy.parse_cleanup(self._task.effective_params(STATUS)):
            self._task.hook.run(lazy.clean_up_job(self._task.hook.api, cleanup, handle, end))

    def _call_on_warning(self, handle: JobHandle) -> None:
        """Call ``on_warning_callback`` with the context of the task, and the job handle as ``job``."""
        for callback in as_list(self._options.on_warning):
            try:
                callback({**self._context, "job": handle.dump()})
            except Exception:
                # The wait doesn't depend on it.
                self._task.log.exception("on_warning_callback has failed; the wait continues")

    def _summarize(self, state: WaitCheckpoint) -> dict[str, Any]:
        return lazy.summarize_wait(self._task.asyncapi_conn_id, self._ti.id, state)

    def _push_summary(self, state: WaitCheckpoint) -> None:
        push_for_users(self._context, WAIT_KEY, self._summarize(state))

    @contextmanager
    def publish_errors(self, *, soft_fail: bool = False) -> Iterator[None]:
        """
        Publish the error that ends the task.

        :param soft_fail: whether to skip the task instead.
        """
        try:
            yield
        except (AirflowSkipException, AirflowRescheduleException, DownstreamTasksSkipped):
            raise
        except AirflowException as error:
            summary = lazy.PollSummary.ending(time.time(), str(redact(str(error))))
            push_for_users(self._context, POLL_KEY, summary.dump())
            if isinstance(error, AsyncApiTimeout):
                lazy.record_timeout(self._context, error)
            if soft_fail and not isinstance(error, AsyncApiCancelled):
                raise AirflowSkipException(f"Skipping, since soft_fail or never_fail is set: {error}") from error
            raise

    def apply_soft_fail(self) -> AbstractContextManager[None]:
        """Publish the error that ends the wait, and turn it into a skip if ``soft_fail`` is set."""
        return self.publish_errors(soft_fail=self._options.soft_fail)


def _has_ended(error: Exception) -> bool:
    """Return whether an exception means that the job has ended; a job with an unknown status may be running."""
    return isinstance(error, AsyncApiJobFailed) and not isinstance(error, AsyncApiUnknownStatus)


def _parse_event(event: Any) -> WaitEvent:
    """Return the event of the trigger; raise an exception of Airflow if it isn't an event of this provider."""
    try:
        return lazy.WaitEvent.parse(event)
    except AsyncApiError as error:
        raise to_airflow(error) from error
    except ValueError as error:
        raise AsyncApiRetryableException(f"The trigger's event can't be read: {error}") from error


def _parse_state(stored: Mapping[str, Any]) -> WaitCheckpoint:
    """Return the state of a deferred wait; raise an exception of Airflow if it can't be read."""
    try:
        return plans.WaitCheckpoint.parse(stored)
    except AsyncApiError as error:
        raise to_airflow(error) from error


def _reschedule(seconds: float) -> NoReturn:
    """End this poke, and let Airflow schedule the next one after a number of seconds."""
    raise AirflowRescheduleException(compute_return(max(seconds, SHORTEST_RESCHEDULE)))
