"""Wait for a remote job."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    BaseSensorOperator,
    SkipMixin,
    conf,
    timezone,
)
from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_provider_asyncapi.core.effects import Log, Polled
from airflow_provider_asyncapi.core.errors import error_of_kind
from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.flows.pausing import ended_by_pause
from airflow_provider_asyncapi.core.flows.wait import RESULT_IDENTIFIER, Wait, WaitPlan, wait
from airflow_provider_asyncapi.core.rules import Outcome
from airflow_provider_asyncapi.core.schedule import PollSchedule
from airflow_provider_asyncapi.exceptions import AsyncApiException, to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.tasks import JobTask, captured_names, known_after
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger, check_storable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.handle import JobHandle

#: Where a sensor in reschedule mode keeps the number of errors in a row.
_ERRORS_KEY = "asyncapi_errors"
#: A task that runs whether its upstream was skipped or not isn't skipped for want of data.
_RULES_THAT_NEED_SUCCESS = frozenset(
    {"all_success", "one_success", "none_failed_min_one_success", "all_done_min_one_success", "none_skipped"}
)


class AsyncApiSensor(JobTask, BaseSensorOperator, SkipMixin):
    """
    Wait for a remote job, without a worker where it is deferrable.

    Returns the result identifier where ``result_identifier`` is given, else the job's identifier, and pushes the job
    handle as XCom ``job`` (:attr:`job`). Deferred, in poke and in reschedule mode it does the same.

    :param job: the job handle of the trigger operator, or a bare identifier. (templated)
    :param endpoint: a path below the connection's host, or an absolute URL. (templated)
    :param completion_key: the selector of the status in the answer, or a list of selectors.
    :param completion_value: the status, or a list of them, that means that the job is done.
    :param failure_value: that it failed.
    :param running_value: that it is running; where given, a status that isn't listed anywhere is a failure.
    :param no_data_value: that it ended well, with nothing to fetch: what depends on the sensor is skipped.
    :param ignore_case: compare statuses without regard to case.
    :param rules: what an answer means where single values can't say it; asked before the values, in order.
    :param result_identifier: the selector of what the fetch needs, where that isn't the job's identifier.
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
    :param poke_interval: seconds, or a timedelta, from one poll to the next; a ``Retry-After`` goes before it.
    :param initial_delay: seconds before the first poll.
    :param backoff: the factor by which the interval grows with each poll; 1 by default.
    :param max_interval: seconds to which it grows at most; an hour by default.
    :param jitter: the fraction of each interval that is left to chance; 0 by default.
    :param max_iterations: how many polls at most; then the sensor fails even if the job is still running.
    :param timeout: seconds, or a timedelta, that the wait may take; fixed once as a moment, with a last poll at it.
    :param max_consecutive_errors: how many transient errors in a row are too many; 10 by default.
    :param error_waits: seconds to wait after an error, by status code, where the API doesn't say: ``{429: 60}``.
    :param visible_after: seconds after the submission in which a 404 means that the job can't be seen yet.
    :param cancel: the request that stops the remote job, sent when the sensor times out or is killed: a mapping with the
        keys of a request. (templated)
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param job_url: the job's page at the vendor, for the link in the UI; may name variables. (templated)
    :param profile: the profile that fills in what is left out; by default the connection's.
    :param asyncapi_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "asyncapi_conn_id",
        "from_job",
        "endpoint",
        "query_params",
        "headers",
        "json",
        "xml",
        "data",
        "cancel",
        "job_url",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query_params": "json",
        "headers": "json",
        "json": "json",
        "cancel": "json",
    }
    ui_color = "#f6eed2"
    table = "status"
    described_by: ClassVar[Mapping[str, str]] = {
        "params": "query_params",
        "poke_interval": "given_poke_interval",
        **{
            name: name
            for name in (
                "endpoint",
                "method",
                "headers",
                "json",
                "xml",
                "data",
                "completion_key",
                "completion_value",
                "failure_value",
                "running_value",
                "no_data_value",
                "ignore_case",
                "rules",
                "result_identifier",
                "capture",
                "error_message",
                "progress",
                "initial_delay",
                "backoff",
                "max_interval",
                "jitter",
                "max_iterations",
                "max_consecutive_errors",
                "error_waits",
                "visible_after",
                "cancel",
            )
        },
    }

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
        poke_interval: float | timedelta | None = None,
        initial_delay: float | timedelta | None = None,
        backoff: float | None = None,
        max_interval: float | timedelta | None = None,
        jitter: float | None = None,
        max_iterations: int | None = None,
        max_consecutive_errors: int | None = None,
        error_waits: dict[int, float] | None = None,
        visible_after: float | timedelta | None = None,
        cancel: dict[str, Any] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        job_url: str | None = None,
        profile: str | None = None,
        asyncapi_conn_id: str = AsyncApiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        # Kept beside Airflow's own, which can't tell a default from a choice: a profile fills in only what is left out.
        self.given_poke_interval = _seconds(poke_interval)
        interval = PollSchedule.parse({"poke_interval": self.given_poke_interval}).interval
        super().__init__(poke_interval=interval, **kwargs)
        self.from_job = job
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
        self.initial_delay = _seconds(initial_delay)
        self.backoff = backoff
        self.max_interval = _seconds(max_interval)
        self.jitter = jitter
        self.max_iterations = max_iterations
        self.max_consecutive_errors = max_consecutive_errors
        self.error_waits = error_waits
        self.visible_after = _seconds(visible_after)
        self.cancel = cancel
        self.deferrable = deferrable
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self._latest: JobHandle | None = None
        self.validate(WaitPlan.parse, known=known_after(job))

    def variables_set(self) -> set[str] | None:
        """Give the variables that the job handle will hold; None where nobody can know."""
        before = known_after(self.from_job)
        described = self.describe(with_connection=False)
        if before is None or described.get("completion_key") is None:
            return None
        return before | captured_names(described, RESULT_IDENTIFIER)

    def execute(self, context: Context) -> Any:
        """Wait: in the triggerer, or here."""
        handle = self.handle_of(self.from_job)
        plan: WaitPlan = self.parsed(WaitPlan.parse)
        if handle.outcome.is_final:
            return self._finish(context, handle)
        state = self._state(context, handle)
        if self.deferrable:
            spec = self.describe()
            check_storable(spec, self.hook.api)
            self.defer(
                trigger=AsyncApiJobTrigger(asyncapi_conn_id=self.asyncapi_conn_id, spec=spec, wait=state.dump()),
                method_name=self.execute_complete.__name__,
            )
        self._latest = handle
        try:
            flow = wait(self.hook.api, plan, state)
            if self.reschedule:
                flow = ended_by_pause(flow, _reschedule)
            handle = self.hook.run(flow, observe=partial(self._observe, context))
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except AirflowException as error:
            self._fail(error)
        finally:
            self.hook.close()
        return self._finish(context, handle)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """
        Go on with what the triggerer found out.

        :raises AirflowException: where the wait ended badly, or the event isn't one of ours.
        """
        if not isinstance(event, dict) or not {"handle", "error"} & set(event):
            raise AsyncApiException(f"The trigger's event can't be understood: {type(event).__name__}")
        if error := event.get("error"):
            raise to_airflow(error_of_kind(error["kind"], error["message"]))
        return self._finish(context, self.handle_of(event["handle"]))

    def on_kill(self) -> None:
        """Stop the remote job of a sensor that is killed while it waits on a worker."""
        if self._latest is None:
            return
        plan: WaitPlan = self.parsed(WaitPlan.parse)
        if plan.cancel is not None:
            self.hook.run(cancel(self.hook.api, plan.cancel, self._latest, "the task was killed"))

    def _finish(self, context: Context, handle: JobHandle) -> Any:
        """Hand the job on; what depends on it is skipped where there is no data."""
        if handle.outcome is Outcome.FAILURE:
            self._fail(to_airflow(error_of_kind("JobFailedError", f"Job {handle.identifier} failed when submitted")))
        self.push_handle(context, handle)
        result = handle.variables.get(RESULT_IDENTIFIER, handle.identifier)
        if handle.outcome is Outcome.NO_DATA:
            waiting = [task for task in self.get_direct_relatives() if task.trigger_rule in _RULES_THAT_NEED_SUCCESS]
            self.log.info("Job %s ended with no data: skipping %s", handle.identifier, [t.task_id for t in waiting])
            ti = context["ti"]
            ti.xcom_push("return_value", result)
            # Of a mapped task the skipped ones are told by their handle: the fetch operator skips itself.
            if waiting and ti.map_index < 0:
                self.skip(ti=ti, tasks=waiting)
        return result

    def _fail(self, error: AirflowException) -> NoReturn:
        """Raise what ended the wait; a skip where the author asked for that, as Airflow does for a deferred sensor."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(f"Skipping, since soft_fail or never_fail is set: {error}") from error
        raise error

    def _state(self, context: Context, handle: JobHandle) -> Wait:
        """
        Say where the wait stands: at its beginning, or in reschedule mode at one of many pokes in new processes.

        Airflow counts the pokes and knows when the first was. The errors in a row are in the task state store, which is
        there from Airflow 3.3 on; before that only the deadline ends a row of errors in reschedule mode.
        """
        now = time.time()
        pokes = context.get("task_reschedule_count") or 0
        if not self.reschedule or pokes == 0:
            return Wait(handle, now, now + self.timeout)
        first = context["ti"].get_first_reschedule_date(context)
        started = first.timestamp() if first else now
        store = context.get("task_state_store")
        errors = store.get(_ERRORS_KEY) if store is not None else 0
        # A poke that only waited for the initial delay to pass hasn't polled.
        return Wait(handle, started, started + self.timeout, max(0, pokes - bool(self.initial_delay)), errors or 0)

    def _observe(self, context: Context, event: Log | Polled) -> None:
        self.hook.log_events(event)
        if not isinstance(event, Polled):
            return
        self._latest = event.handle
        store = context.get("task_state_store") if self.reschedule else None
        if store is not None:
            store.set(_ERRORS_KEY, event.errors)


def _reschedule(seconds: float) -> NoReturn:
    """Wait without a worker: end this poke, and ask for the next."""
    raise AirflowRescheduleException(timezone.utcnow() + timedelta(seconds=seconds))


def _seconds(value: float | timedelta | None) -> float | None:
    return value.total_seconds() if isinstance(value, timedelta) else value
