"""Wait for a remote job."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    BaseSensorOperator,
    DownstreamTasksSkipped,
    conf,
    redact,
    timezone,
)

# Neither the oldest common-compat that we take has it, nor the SDK of Airflow 3.1.
from airflow.providers.standard.utils.skipmixin import SkipMixin

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, JobFailedError
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.exceptions import AsyncApiException, AsyncApiJobFailed, to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, POLL_KEY, RETURN_KEY, WAIT_KEY, show
from airflow_provider_asyncapi.tasks.base import JobTask, captured_names, variables_provided_by

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import Wait, WaitPlan
    from airflow_provider_asyncapi.tasks.waits import WaitLedger
    from airflow_provider_asyncapi.triggers.events import WaitEvent

#: A task that runs whether its upstream was skipped or not isn't skipped for want of data.
_RULES_THAT_NEED_SUCCESS = frozenset(
    {"all_success", "one_success", "none_failed_min_one_success", "all_done_min_one_success", "none_skipped"}
)

#: Seconds. Where a wait ends is stored as a moment, and there is none after the year 9999.
_LONGEST_TIMEOUT = 200 * 365 * 86400

#: Seconds; Airflow's own default. An object of its own, so that 60 that is given isn't taken for it: what is given goes
#: before the profile's, the default doesn't.
_AIRFLOWS_POKE_INTERVAL: Final = float("60")

_WORKER_NEEDED = "%s is set, and yet a worker is needed: %s"


class AsyncApiSensor(JobTask, BaseSensorOperator, SkipMixin):
    """
    Wait for a remote job; without a worker if it is deferrable.

    Returns the result identifier if ``result_identifier`` is given, else the job's identifier, and pushes the job
    handle as XCom ``job`` (:attr:`handle`). Deferred, in poke and in reschedule mode it does the same.

    :param job: the job handle of the trigger operator, or a bare identifier. (templated)
    :param endpoint: a path below the connection's host, or an absolute URL. (templated)
    :param completion_key: the selector of the status in the answer, or a list of selectors.
    :param completion_value: the status, or a list of them, that means that the job is done.
    :param failure_value: that it failed.
    :param running_value: that it is running; if given, a status that isn't listed anywhere is a failure.
    :param no_data_value: that it ended well, with nothing to fetch: what depends on the sensor is skipped.
    :param ignore_case: compare statuses without regard to case.
    :param rules: what an answer means if single values can't say it; applied before the values, in order.
    :param result_identifier: the selector of what the fetch needs, if that isn't the job's identifier.
    :param capture: variables for the next requests: name to selector.
    :param error_message: the selector of the reason in the answer that reports a failure.
    :param progress: how far the job is: a selector of a percentage or of ``"3/10"``, or a mapping of selectors
        (``percent``; ``fraction``; ``done`` and ``total``; ``pending`` and ``total``).
    :param method: the HTTP method; GET by default, POST with a body.
    :param query_params: the query parameters. (templated)
    :param headers: the header fields; secrets belong in the connection. (templated)
    :param json: a JSON body. (templated)
    :param xml: an XML body, as text. (templated)
    :param data: a form body as a mapping, or a text body as a string. (templated)
    :param poke_interval: seconds, or a timedelta, from one poll to the next; 60 by default, or what the profile says. A
        ``Retry-After`` goes before it, up to an hour, or to ``max_interval`` if that is longer.
    :param initial_delay: seconds before the first poll.
    :param backoff: the factor by which the interval grows with each poll; 1 by default.
    :param max_interval: seconds to which it grows at most; an hour by default.
    :param jitter: the fraction of each interval that is left to chance; 0 by default.
    :param max_iterations: how many polls at most; then the sensor fails even if the job is still running.
    :param timeout: seconds, or a timedelta, that the wait may take; fixed once as a moment, with a last poll at it; by
        default as ``[sensors] default_timeout`` says. A shorter ``execution_timeout`` ends each try of a deferred wait
        in the same way.
    :param max_consecutive_errors: how many transient errors in a row are too many; 10 by default.
    :param retry_delays: seconds to wait after an error, by status code, if the API doesn't say: ``{429: 60}``.
    :param visible_after: seconds after the submission (after the begin of the wait if ``job`` is a bare identifier) in
        which a 404 means that the job can't be seen yet.
    :param cancel: the request that stops the remote job, sent when the sensor times out or is killed: a mapping with
        the keys of a request. (templated)
    :param cleanup: a request that removes the job from the API, sent by the sensor's task once the wait has ended as
        ``cleanup_on`` says; DELETE by default. (templated)
    :param cleanup_on: the ends after which ``cleanup`` is sent, one or a list: ``no_data`` and ``failure`` (the
        default: then nothing is fetched), and ``success`` (if no task fetches anything).
    :param batch: a request that asks for many jobs at once, sent by the triggerer for all sensors that wait alike: a
        mapping with the keys of a request, which names ``{identifiers}``, and with ``items`` (the selector of the jobs
        in its answer), ``id`` (the selector of the identifier within one of them), and optionally ``size`` (how many
        jobs at a time at most; 500), ``separator`` (between identifiers in a text; a comma; None for a query parameter
        that is repeated) and ``absent`` (what it means that a job isn't in the answer: ``running``, ``success``,
        ``failure``, ``retry`` or ``poll``, which asks for it singly and is the default if there is an endpoint).
        All other selectors and rules then look at one job's item. (templated)
    :param status_details: the request that is sent when the status says success, and whose answer decides whether it is
        one: a mapping with the keys of a request, ``completion_key``, ``completion_value`` and the other parameters of
        a status, ``rules``, ``capture`` and ``error_message``. (templated)
    :param failure_details: the request that finds out why the job failed, or a list of such requests, of which the last
        one's answer holds the message: mappings with the keys of a request, ``capture`` and ``error_message``.
        (templated)
    :param callback: whether the job calls back (``callback`` of the trigger operator): True, and the callback is judged
        as a poll is (without ``completion_key`` and ``rules`` it means that the job is done), or ``"hint"``, and it
        only says when to ask. Where there is an ``endpoint``, polls go on beside it, every five minutes by default.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param start_from_trigger: begin in the triggerer, without a worker, if Airflow supports that (3.3); else the
        task's log says why not.
    :param end_from_trigger: end a wait that ends well in the triggerer, without a worker; on the same condition.
    :param job_url: the job's page at the vendor, for the link in the UI; may name variables. (templated)
    :param profile: the profile that fills in what is left out; by default the connection's.
    :param asyncapi_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "asyncapi_conn_id",
        "job",
        "endpoint",
        "query_params",
        "headers",
        "json",
        "xml",
        "data",
        "cancel",
        "cleanup",
        "batch",
        "status_details",
        "failure_details",
        "job_url",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query_params": "json",
        "headers": "json",
        "json": "json",
        "cancel": "json",
        "cleanup": "json",
        "batch": "json",
        "status_details": "json",
        "failure_details": "json",
    }
    refused: ClassVar[Mapping[str, str]] = {
        "exponential_backoff": "backoff is the factor by which the interval grows",
        "max_wait": "max_interval is how far the interval grows",
        "silent_fail": "max_consecutive_errors is how many transient errors are borne",
    }
    ui_color = "#f6eed2"
    # Airflow doesn't find out by itself; without it, a task that was skipped for want of data runs once it is cleared.
    inherits_from_skipmixin = True
    table = "status"
    _ledger: WaitLedger | None = None
    #: What of starting and ending in the triggerer was asked for and isn't carried, and why.
    _not_carried: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        *,
        job: Any,
        endpoint: str | None = None,
        completion_key: str | list[str] | None = None,
        completion_value: Any = None,
        failure_value: Any = None,
        running_value: Any = None,
        no_data_value: Any = None,
        ignore_case: bool | None = None,
        rules: list[dict[str, Any]] | None = None,
        result_identifier: str | list[str] | None = None,
        capture: dict[str, str | list[str]] | None = None,
        error_message: str | list[str] | None = None,
        progress: str | dict[str, Any] | None = None,
        method: str | None = None,
        query_params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        json: Any = None,
        xml: str | None = None,
        data: dict[str, Any] | str | None = None,
        poke_interval: float | timedelta = _AIRFLOWS_POKE_INTERVAL,
        initial_delay: float | timedelta | None = None,
        backoff: float | None = None,
        max_interval: float | timedelta | None = None,
        jitter: float | None = None,
        max_iterations: int | None = None,
        timeout: float | timedelta = conf.getfloat("sensors", "default_timeout"),  # noqa: B008 - a number
        max_consecutive_errors: int | None = None,
        retry_delays: dict[int, float] | None = None,
        visible_after: float | timedelta | None = None,
        cancel: dict[str, Any] | None = None,
        cleanup: dict[str, Any] | None = None,
        cleanup_on: str | list[str] | None = None,
        batch: dict[str, Any] | None = None,
        status_details: dict[str, Any] | None = None,
        failure_details: dict[str, Any] | list[dict[str, Any]] | None = None,
        callback: bool | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        job_url: str | None = None,
        profile: str | None = None,
        asyncapi_conn_id: str = AsyncApiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)
        self.job = job
        self.endpoint = endpoint
        self.completion_key = completion_key
        self.completion_value = completion_value
        self.failure_value = failure_value
        self.running_value = running_value
        self.no_data_value = no_data_value
        self.ignore_case = ignore_case
        self.rules = rules
        self.result_identifier = result_identifier
        self.capture = capture
        self.error_message = error_message
        self.progress = progress
        self.method = method
        self.query_params = query_params
        self.headers = headers
        self.json = json
        self.xml = xml
        self.data = data
        self.poke_interval = poke_interval  # type: ignore[assignment]
        self.initial_delay = initial_delay
        self.backoff = backoff
        self.max_interval = max_interval
        self.jitter = jitter
        self.max_iterations = max_iterations
        self.max_consecutive_errors = max_consecutive_errors
        self.retry_delays = retry_delays
        self.visible_after = visible_after
        self.cancel = cancel
        self.cleanup = cleanup
        self.cleanup_on = cleanup_on
        self.batch = batch
        self.status_details = status_details
        self.failure_details = failure_details
        self.callback = callback
        self.deferrable = deferrable
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self.validate()

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Refuse what Airflow would fail on without saying why, too."""
        super().check_arguments(arguments)
        timeout = arguments.get("timeout")
        # What is neither is refused by Airflow.
        seconds: Any = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if isinstance(seconds, int | float) and seconds > _LONGEST_TIMEOUT:
            raise ConfigurationError(f"timeout: has to be at most 200 years, in seconds, not {seconds:g}")

    def validate(self) -> None:
        """Check all that can be checked now, and prepare a start in the triggerer if one is asked for."""
        super().validate()
        if self.start_from_trigger or self.end_from_trigger:
            self._hand_over()

    def explicit_params(self) -> dict[str, Any]:
        """Return the parameters that the DAG sets: Airflow's default interval isn't one of them."""
        given = super().explicit_params()
        if self.poke_interval is _AIRFLOWS_POKE_INTERVAL:
            del given["poke_interval"]
        return given

    @property
    def plan_type(self) -> type[WaitPlan]:
        """The plan that the parameters are read into."""
        return plans.WaitPlan

    def allowed_variables(self, part: str, described: Mapping[str, Any]) -> set[str] | None:
        """Return the variables that the job brings; later requests may also name what a poll captures."""
        if part == "batch":
            # It is of many jobs, so that it can't name what one of them brings.
            return {"identifiers"}
        if part not in ("cancel", "cleanup", "error_message", "status_details", "failure_details"):
            return variables_provided_by(self.job)
        if part == "status_details":
            # Its own captures are made of its answer.
            return self.provided_variables({**described, part: None})
        known = self.provided_variables(described)
        if known is None or part != "failure_details":
            return known
        return known.union(*map(captured_names, as_list(described.get(part))))

    def provided_variables(self, described: Mapping[str, Any]) -> set[str] | None:
        """Return the variables that the job handle will hold; None if they aren't known yet."""
        before = variables_provided_by(self.job)
        if before is None or described.get("completion_key") is None:
            return None
        details = captured_names(described.get("status_details"))
        return before | captured_names(described, RESULT_IDENTIFIER) | details

    def check_together(self, described: Mapping[str, Any]) -> None:
        """Check that there is a trigger to start or end from, and that nothing secret would be stored with it."""
        from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets

        if self.deferrable:
            refuse_secrets(described)
        for name in ("start_from_trigger", "end_from_trigger"):
            if getattr(self, name) and not self.deferrable:
                raise ConfigurationError(f"{name}: needs deferrable=True, for else no trigger waits")

    def _hand_over(self) -> None:
        """Reduce what the triggerer is asked to begin and end to what Airflow supports."""
        from airflow_provider_asyncapi.tasks import without_worker

        needed = {
            "end_from_trigger": without_worker.needed_to_end,
            "start_from_trigger": without_worker.needed_to_begin,
        }
        self._not_carried = {
            name: why for name, reason in needed.items() if getattr(self, name) and (why := reason(self))
        }
        for name in self._not_carried:
            setattr(self, name, False)
        if self.start_from_trigger:
            self.start_trigger_args = without_worker.start_args(self)

    def execute(self, context: Context) -> Any:
        """Wait: in the triggerer, or here."""
        ti: Any = context["ti"]
        # Of a mapped task Airflow leaves out the start, and says nothing.
        mapped = {"start_from_trigger": "it is mapped"} if self.start_from_trigger and ti.map_index >= 0 else {}
        for name, why in {**self._not_carried, **mapped}.items():
            self.log.info(_WORKER_NEEDED, name, why)
        return self._begin(context)

    def _begin(self, context: Context) -> Any:
        handle = self.handle_of(self.job)
        plan: WaitPlan = self.build_plan()
        if not handle.outcome.is_final:
            # While waiting, the XCom shows the job to people, and to the trigger which job the task waits for.
            self.push_handle(context, handle)
        with self._forgiving(context):
            if not handle.outcome.is_final:
                handle = self._wait(context, plan, handle)
            else:
                show(context, WAIT_KEY, self._summarize_wait(context, plans.Wait(handle, started_at=time.time())))
            return self._finish(context, handle)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on after the deferral.

        Airflow's own method for sensors forgives in another way from version to version, and takes the skipping of what
        comes after for a failure of the sensor.
        """
        with self._forgiving(context):
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Any, wait: dict[str, Any] | None = None, **_: Any) -> Any:
        """
        Go on with what the triggerer found out, or with what the job has called back.

        :param wait: where a wait for a callback stood when it was deferred.
        :raises AirflowException: if the wait ended badly, or the event isn't one of ours.
        """
        from airflow_provider_asyncapi.tasks.waits import forget

        told = self._read_event(event)
        if told.error is not None:
            self._remember_begin(context, told)
            if told.handle:
                show(context, JOB_KEY, told.handle)
            raised = to_airflow(told.error)
            if isinstance(raised, AsyncApiJobFailed):
                self._clean_up(self.handle_of(told.handle or self.job), CleanupOn.FAILURE)
            raise raised
        match told.status:
            case "callback":
                plan: WaitPlan = self.build_plan()
                began = None if wait is None else self._read_state(wait)
                handle = self.handle_of(self.job) if began is None else began.handle
                return self._finish(context, self._wait(context, plan, handle, began))
            case "begin":
                self.log.info(_WORKER_NEEDED, "start_from_trigger", told.message)
                forget(context)
                return self._begin(context)
        self._remember_begin(context, told)
        return self._finish(context, self.handle_of(told.handle))

    @staticmethod
    def _read_event(event: Any) -> WaitEvent:
        """Read the event of the trigger; raise an error if it isn't one of ours."""
        from airflow_provider_asyncapi.triggers.events import WaitEvent

        try:
            return WaitEvent.parse(event)
        except AsyncApiError as error:
            raise to_airflow(error) from error
        except ValueError as error:
            raise AsyncApiException(f"The trigger's event can't be understood: {error}") from error

    def _remember_begin(self, context: Context, event: WaitEvent) -> None:
        """Keep for the next try when a wait began that began in the triggerer."""
        from airflow_provider_asyncapi.tasks.waits import begin_of_wait

        if event.began_at is None or event.handle is None:
            return
        try:
            begin_of_wait(context, self.handle_of(event.handle), event.began_at)
        except Exception:
            # How this try ends doesn't depend on it.
            self.log.warning("The next try of this task will have a deadline of its own", exc_info=True)

    @staticmethod
    def _read_state(stored: dict[str, Any]) -> Wait:
        """Read where a wait stood that is gone on with, in our exceptions."""
        try:
            return plans.Wait.parse(stored)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def on_kill(self) -> None:
        """
        Stop the remote job of a sensor that is killed while it waits on a worker, if the job is no longer wanted.

        Airflow also kills a task whose heartbeats it has missed, and workers are stopped; its next try waits on.
        """
        from airflow_provider_asyncapi.core.wait.cancel_if_running import cancel_if_running
        from airflow_provider_asyncapi.triggers.cancellation import reason_to_cancel_on_worker

        # Before the wait begins, the parameters may not have been rendered yet.
        if self._ledger is None:
            return
        plan: WaitPlan = self.build_plan()
        handle = self._ledger.state.handle
        if plan.cancel is None or (reason := reason_to_cancel_on_worker(self._ledger.ti, handle)) is None:
            return
        # The signal may have come in the middle of a request, whose locks and connections are better not touched.
        hook = AsyncApiHook(self.asyncapi_conn_id)
        hook.api = self.hook.api
        hook.run(cancel_if_running(hook.api, plan, handle, reason))

    def _storable(self) -> dict[str, Any]:
        """Return the parameters that the triggerer is given; they are stored in the metadata database."""
        from airflow_provider_asyncapi.triggers.asyncapi import check_storable

        spec, api = self.effective_params(), self.hook.api
        try:
            check_storable(spec, api)
        except ConfigurationError as error:
            raise to_airflow(error) from error
        return spec

    def _defer(self, plan: WaitPlan, spec: dict[str, Any], ledger: WaitLedger, pause: float) -> NoReturn:
        """Defer to the triggerer instead of pausing for a number of seconds."""
        from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger

        if plan.cancel is not None and not HAS_TRIGGER_ON_KILL:
            self.log.info("Before Airflow 3.3 no trigger learns of a kill: only the deadline cancels the job")
        state = ledger.handed_on(plan, pause)
        self.defer(
            trigger=AsyncApiJobTrigger(
                asyncapi_conn_id=self.asyncapi_conn_id,
                spec=spec,
                wait=state.dump(),
                end_from_trigger=self.end_from_trigger,
            ),
            method_name=self.execute_complete.__name__,
            kwargs=None if plan.callback is None else {"wait": state.dump()},
        )
        raise AssertionError("defer() raises")

    def _wait(self, context: Context, plan: WaitPlan, handle: JobHandle, began: Wait | None = None) -> JobHandle:
        """
        Wait on this worker until the job is over; or until the first pause, if the wait goes on elsewhere.

        Deferred waits begin here too: a job that is over already needs no triggerer, and mistakes are told at once.

        :param began: where the wait stands, if it goes on.
        """
        from airflow_provider_asyncapi.core.wait.callback_flow import wait_or_hear
        from airflow_provider_asyncapi.core.wait.deferral import run_until_sleep
        from airflow_provider_asyncapi.core.wait.flow import wait
        from airflow_provider_asyncapi.tasks.waits import PokeLedger, TimeLimits, WaitLedger

        pokes = self.reschedule and not self.deferrable
        # Airflow doesn't enforce the execution_timeout of a deferred task; in reschedule mode it is that of each poke.
        one_try = None if pokes or self.execution_timeout is None else self.execution_timeout.total_seconds()
        limits = TimeLimits(self.timeout, one_try)
        ledger = (PokeLedger if pokes else WaitLedger)(context, self.hook, plan, handle, limits)
        if began is None:
            ledger.show({WAIT_KEY: self._summarize_wait(context, ledger.state)})
        else:
            ledger.take_back(plan, began)
        self._ledger = ledger
        try:
            flow = (wait if plan.callback is None else wait_or_hear)(self.hook.api, plan, ledger.state)
            if self.deferrable:
                flow = run_until_sleep(flow, partial(self._defer, plan, self._storable(), ledger))
            elif pokes:
                flow = run_until_sleep(flow, _reschedule)
            return self.hook.run(flow, observe=ledger.observe)
        except AsyncApiJobFailed:
            self._clean_up(ledger.state.handle, CleanupOn.FAILURE)
            raise
        finally:
            self.hook.close()

    def _finish(self, context: Context, handle: JobHandle) -> Any:
        """Push the job handle, and skip the tasks that depend on the job if there is no data."""
        if handle.outcome is Outcome.FAILURE:
            show(context, JOB_KEY, handle.dump())
            self._clean_up(handle, CleanupOn.FAILURE)
            failure = JobFailedError(f"Job {handle.shown_identifier} failed when it was submitted")
            raise to_airflow(failure.with_job(handle.identifier, handle.status))
        self.push_handle(context, handle)
        self._clean_up(handle, CleanupOn.NO_DATA if handle.outcome is Outcome.NO_DATA else CleanupOn.SUCCESS)
        result = handle.result_identifier
        if handle.outcome is Outcome.NO_DATA:
            waiting = [task for task in self.get_direct_relatives() if task.trigger_rule in _RULES_THAT_NEED_SUCCESS]
            ti: Any = context["ti"]
            # Of a mapped task the skipped ones are told by their handle: the fetch operator skips itself.
            if waiting and ti.map_index < 0:
                self.log.info(
                    "Job %s ended with no data: skipping %s", handle.shown_identifier, [t.task_id for t in waiting]
                )
                # Skipping ends the task before Airflow pushes what it returns.
                ti.xcom_push(RETURN_KEY, result)
                self.skip(ti=ti, tasks=waiting)
        return result

    def _clean_up(self, handle: JobHandle, end: CleanupOn) -> None:
        """Send the cleanup request after a wait, if it is wanted after this end."""
        # A wait that has ended in the triggerer needs the connection for nothing else.
        if self.cleanup is None and not self.profile and self.endpoint is not None:
            return
        from airflow_provider_asyncapi.core.fetch.flow import clean_up_job
        from airflow_provider_asyncapi.core.wait.plan import parse_cleanup

        if cleanup := parse_cleanup(self.effective_params()):
            self.hook.run(clean_up_job(self.hook.api, cleanup, handle, end))

    def _summarize_wait(self, context: Context, state: Wait) -> dict[str, Any]:
        from airflow_provider_asyncapi.core.wait.poll_summary import summarize_wait

        ti: Any = context["ti"]
        return summarize_wait(self.asyncapi_conn_id, ti.id, state)

    def _show_error(self, context: Context, error: AirflowException) -> None:
        from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary

        show(context, POLL_KEY, PollSummary.ending(time.time(), str(redact(str(error)))).dump())

    @contextmanager
    def _forgiving(self, context: Context) -> Iterator[None]:
        """Show what ended the wait, and turn it into a skip if soft_fail or never_fail is set."""
        try:
            yield
        except (AirflowSkipException, AirflowRescheduleException, DownstreamTasksSkipped):
            raise
        except AirflowException as error:
            self._show_error(context, error)
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipping, since soft_fail or never_fail is set: {error}") from error
            raise


def _reschedule(seconds: float) -> NoReturn:
    """Wait without a worker: end this poke, and ask for the next."""
    raise AirflowRescheduleException(timezone.utcnow() + timedelta(seconds=seconds))  # type: ignore[no-untyped-call]
