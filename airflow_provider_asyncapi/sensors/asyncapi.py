"""Wait for a remote job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

# Neither the oldest supported common-compat nor the SDK of Airflow 3.1 has it.
from airflow.providers.standard.utils.skipmixin import SkipMixin

from airflow_provider_asyncapi.core.json_values import SelectorParam
from airflow_provider_asyncapi.core.requests.bodies import WHO_SENDS_FILES
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.tasks.base import WORKER_NEEDED
from airflow_provider_asyncapi.tasks.waiting_task import AIRFLOW_POKE_INTERVAL, AIRFLOW_TIMEOUT, WaitingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AsyncApiSensor(WaitingTask, BaseSensorOperator, SkipMixin):
    """
    Wait for a remote job, in the triggerer if the sensor is deferrable.

    Returns the result identifier if ``result_identifier`` is set, else the job's identifier, and pushes the job handle
    as XCom ``job`` (:attr:`handle`). The results are the same in deferrable, poke and reschedule mode.

    :param job: the job handle of the submit operator, or a bare identifier. (templated)
    :param endpoint: a path below the connection's host, or an absolute URL. (templated)
    :param completion_key: the selector of the status in the response, or a list of selectors.
    :param completion_value: the status, or a list of statuses, of a job that has succeeded.
    :param failure_value: the status, or a list of statuses, of a job that has failed.
    :param running_value: the status, or a list of statuses, of a job that is running; if set, any status that isn't
        listed is a failure.
    :param no_data_value: the status, or a list of statuses, of a job that has succeeded without data: tasks that depend
        on the sensor are skipped.
    :param ignore_case: compare statuses without regard to case.
    :param rules: a list of rules that decide what a response means; applied before the values, in order.
    :param result_identifier: the selector of the identifier for the fetch, if it isn't the job's identifier.
    :param capture: variables for later requests: name to selector. A selector that may find several values captures a
        list; ``{"selector": …, "first": True}`` captures the first.
    :param error_message: the selector of the reason in a response that reports a failure.
    :param progress: the progress of the job: a selector of a percentage or of ``"3/10"``, or a mapping of selectors
        (``percent``; ``fraction``; ``done`` and ``total``; ``pending`` and ``total``).
    :param method: the HTTP method; GET by default, POST with a body.
    :param query_params: the query parameters. (templated)
    :param headers: the header fields; secrets belong in the connection. (templated)
    :param json: a JSON body. (templated)
    :param xml: an XML body, as text. (templated)
    :param data: a form body as a mapping, or a text body as a string. (templated)
    :param poke_interval: seconds, or a timedelta, between polls; by default the profile's, or 60. A ``Retry-After``
        overrides it, up to an hour, or to ``max_interval`` if that is longer.
    :param initial_delay: seconds before the first poll.
    :param backoff: the factor by which the interval grows with each poll; 1 by default.
    :param max_interval: the maximum interval, in seconds; an hour by default.
    :param jitter: the fraction of each interval that is random; 0 by default.
    :param max_iterations: the maximum number of polls; after them the sensor fails even if the job is still running.
    :param timeout: the maximum duration of the wait, in seconds or as a timedelta; by default the profile's, or
        ``[sensors] default_timeout``. The deadline is fixed when the wait begins, with a last poll at the deadline. A
        shorter ``execution_timeout`` ends each try of a deferred wait in the same way.
    :param max_consecutive_errors: the number of transient errors in a row after which the wait fails; 10 by default.
    :param retry_delays: seconds to wait after an error, by status code, if the response has no ``Retry-After``:
        ``{429: 60}``.
    :param retry_after: the selector of another hint than ``Retry-After``, or a list of selectors: of seconds, of an
        HTTP date or ISO time, or of seconds or milliseconds since the epoch. A field of a rate limit
        (``header:X-RateLimit-Reset``) counts only if the response isn't 2xx.
    :param visible_after: seconds after the submission (after the start of the wait if ``job`` is a bare identifier) in
        which a 404 means that the job isn't visible yet.
    :param cancel: the request that cancels the remote job, sent if the sensor times out or is killed: a mapping with
        the keys of a request. (templated)
    :param cleanup: a request that removes the job from the API, sent by the sensor's task after the wait has ended in
        one of the ways in ``cleanup_on``; DELETE by default. (templated)
    :param cleanup_on: the ends after which ``cleanup`` is sent, one or a list: ``no_data`` and ``failure`` (the
        default: then nothing is fetched), and ``success`` (if no task fetches anything).
    :param batch: a request about many jobs at once, sent by the triggerer for all sensors with the same parameters: a
        mapping with the keys of a request, which names ``{identifiers}``, and with ``items`` (the selector of the jobs
        in its response), ``id`` (the selector of the identifier within a job), and optionally ``size`` (the maximum
        number of jobs in a request; 500), ``separator`` (between identifiers in a text; a comma; None for a query
        parameter that is repeated) and ``absent`` (the meaning of a job that isn't in the response: ``running``,
        ``success``, ``failure``, ``retry`` or ``poll``, which polls it with a request of its own and is the default if
        there is an endpoint). With ``absent``, the request may be one that lists jobs without naming them. All other
        selectors and rules then apply to one job's item. (templated)
    :param status_details: a further request after a status that means success, whose response decides whether the job
        has succeeded: a mapping with the keys of a request, ``completion_key``, ``completion_value`` and the other
        parameters of a status, ``rules``, ``capture`` and ``error_message``. (templated)
    :param failure_details: the request for the reason of a failure, or a list of requests, of which the last one's
        response holds the message: mappings with the keys of a request, ``capture`` and ``error_message``.
        (templated)
    :param stall_timeout: seconds, or a timedelta, without a change of status or progress after which the wait fails;
        the job is cancelled if ``cancel`` is set.
    :param warn_after: seconds, or a timedelta, after which a warning about the wait is logged, counted and shown on the
        page, once.
    :param logs: the log of the job, whose new lines appear in the task's log while it waits: a selector of a text, or
        of a list of texts, in the response to each poll; or a request, a mapping with the keys of a request, and
        optionally ``lines`` (the selector of the lines; the whole body by default) and ``cursor`` (the selector of the
        next ``{log_cursor}``; without it the bytes of the log are counted). (templated)
    :param on_warning_callback: a callable, or a list of them, such as notifiers: called with the context, and the job
        handle as ``job``, on a worker when ``warn_after`` has passed.
    :param callback: whether the job calls back (``callback`` of the submit operator): True if a callback reports the
        status as a poll does (without ``completion_key`` and ``rules``, that the job has succeeded), or ``"hint"`` if a
        callback only triggers a poll. If there is an ``endpoint``, polling continues as a fallback, every five minutes
        by default.
    :param submit: the arguments of the :class:`~.operators.asyncapi.AsyncApiTriggerOperator` that has submitted the
        job, with which this task submits another one after the job has failed; :func:`~.job.async_api_job` sets it.
        (templated)
    :param resubmit: the number of further jobs, each after the failure of the one before; 0 by default. The ``timeout``
        is that of all jobs together.
    :param resubmit_delay: seconds between the failure of a job and the next submit, or a list of them, of which the
        last one is repeated; 0 by default.
    :param resubmit_on: a list of rules without outcomes: another job is submitted only if one of them matches the
        response that reports the failure, or that of ``failure_details``.
    :param repair: the request that resumes the failed job, sent instead of the submit of another job: a mapping with
        the keys of a request, which names the job (``{identifier}``), ``rules``, ``capture`` and ``identifier`` (the
        selector of the identifier under which the job runs again). A ``lookup`` in it is the request that finds out
        whether the job was repaired if the response was lost. (templated)
    :param repair_on: a list of rules without outcomes: the job is repaired only if one of them matches; after other
        failures, another job is submitted.
    :param deferrable: wait in the triggerer; by default ``[operators] default_deferrable``.
    :param start_from_trigger: begin in the triggerer, without a worker, if Airflow supports it (3.3); if not, the
        task's log contains the reason.
    :param end_from_trigger: end a successful wait in the triggerer, without a worker, under the same condition.
    :param job_url: the job's page at the vendor, for the link in the UI; may name variables. (templated)
    :param profile: the profile that sets the parameters which the DAG leaves out; by default the connection's.
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
        "logs",
        "submit",
        "repair",
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
        "logs": "json",
        "submit": "json",
        "repair": "json",
    }
    refused: ClassVar[Mapping[str, str]] = {
        "files": WHO_SENDS_FILES,
        "exponential_backoff": "backoff is the factor by which the interval grows",
        "max_wait": "max_interval is the limit of the interval",
        "silent_fail": "max_consecutive_errors is the number of transient errors that are tolerated",
    }
    ui_color = "#f6eed2"
    # Airflow doesn't detect the mixin. Without this, a task that was skipped for lack of data runs once it is cleared.
    inherits_from_skipmixin = True

    def __init__(  # noqa: PLR0915 - an assignment for each argument
        self,
        *,
        job: Any,
        endpoint: str | None = None,
        completion_key: SelectorParam | None = None,
        completion_value: Any = None,
        failure_value: Any = None,
        running_value: Any = None,
        no_data_value: Any = None,
        ignore_case: bool | None = None,
        rules: list[dict[str, Any]] | None = None,
        result_identifier: SelectorParam | None = None,
        capture: Mapping[str, SelectorParam] | None = None,
        error_message: SelectorParam | None = None,
        progress: str | Mapping[str, Any] | None = None,
        method: str | None = None,
        query_params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        json: Any = None,
        xml: str | None = None,
        data: dict[str, Any] | str | None = None,
        poke_interval: float | timedelta = AIRFLOW_POKE_INTERVAL,
        initial_delay: float | timedelta | None = None,
        backoff: float | None = None,
        max_interval: float | timedelta | None = None,
        jitter: float | None = None,
        max_iterations: int | None = None,
        timeout: float | timedelta = AIRFLOW_TIMEOUT,
        max_consecutive_errors: int | None = None,
        retry_delays: dict[int, float] | None = None,
        retry_after: SelectorParam | None = None,
        visible_after: float | timedelta | None = None,
        cancel: dict[str, Any] | Literal[False] | None = None,
        cleanup: dict[str, Any] | Literal[False] | None = None,
        cleanup_on: str | list[str] | None = None,
        batch: dict[str, Any] | Literal[False] | None = None,
        status_details: dict[str, Any] | Literal[False] | None = None,
        failure_details: dict[str, Any] | list[dict[str, Any]] | Literal[False] | None = None,
        stall_timeout: float | timedelta | None = None,
        warn_after: float | timedelta | None = None,
        logs: SelectorParam | dict[str, Any] | Literal[False] | None = None,
        on_warning_callback: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None = None,
        callback: bool | str | None = None,
        submit: dict[str, Any] | None = None,
        resubmit: int | None = None,
        resubmit_delay: float | Sequence[float] | None = None,
        resubmit_on: list[dict[str, Any]] | None = None,
        repair: dict[str, Any] | Literal[False] | None = None,
        repair_on: list[dict[str, Any]] | None = None,
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
        self.poke_interval = poke_interval
        self.initial_delay = initial_delay
        self.backoff = backoff
        self.max_interval = max_interval
        self.jitter = jitter
        self.max_iterations = max_iterations
        self.max_consecutive_errors = max_consecutive_errors
        self.retry_delays = retry_delays
        self.retry_after = retry_after
        self.visible_after = visible_after
        self.cancel = cancel
        self.cleanup = cleanup
        self.cleanup_on = cleanup_on
        self.batch = batch
        self.status_details = status_details
        self.failure_details = failure_details
        self.stall_timeout = stall_timeout
        self.warn_after = warn_after
        self.logs = logs
        self.on_warning_callback = on_warning_callback
        self.callback = callback
        self.submit = submit
        self.resubmit = resubmit
        self.resubmit_delay = resubmit_delay
        self.resubmit_on = resubmit_on
        self.repair = repair
        self.repair_on = repair_on
        self.deferrable = deferrable
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self.validate()

    def execute(self, context: Context) -> Any:
        """Wait for the job: in the triggerer, or on this worker."""
        ti: Any = context["ti"]
        # Airflow starts mapped tasks on a worker, without a log line about it.
        mapped = {"start_from_trigger": "it is mapped"} if self.start_from_trigger and ti.map_index >= 0 else {}
        for name, why in {**self._unsupported_options, **mapped}.items():
            self.log.info(WORKER_NEEDED, name, why)
        self._wait = wait = self._open_wait(context)
        with closing(self.hook):
            with wait.apply_soft_fail():
                job = self._find_job(context)
            handle = wait.begin(job)
        wait.skip_dependents(handle)
        return handle.result_identifier

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Poll the job once, unless the initial delay hasn't passed, as each process does in reschedule mode.

        Airflow doesn't call it: :meth:`execute` waits, also in poke mode, and skips the tasks that depend on the data
        of a job without data.

        :return: whether the job has succeeded, and what :meth:`execute` returns then.
        :raises AirflowException: if the job or the wait has failed.
        """
        self._wait = wait = self._open_wait(context, is_poke=True)
        with closing(self.hook):
            try:
                handle = wait.begin(self._find_job(context))
            except AirflowRescheduleException:
                return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=handle.result_identifier)
