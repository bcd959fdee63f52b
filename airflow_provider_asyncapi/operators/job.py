"""Submit a remote job, wait for it, and fetch its result, in one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import BaseOperator, XComArg, conf

# Neither the oldest supported common-compat nor the SDK of Airflow 3.1 has it.
from airflow.providers.standard.utils.skipmixin import SkipMixin

from airflow_provider_asyncapi.core.errors import ERROR_FIELDS, AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.outcome import Rerun
from airflow_provider_asyncapi.core.parameter_names import RERUN_PARAMETERS, RESULT_LIMITS
from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets
from airflow_provider_asyncapi.exceptions import (
    AsyncApiAttemptFailed,
    AsyncApiJobFailed,
    AsyncApiUnknownStatus,
    to_airflow,
)
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import WORKER_NEEDED, to_seconds
from airflow_provider_asyncapi.tasks.jinja import has_template
from airflow_provider_asyncapi.tasks.job_argument import parse_job
from airflow_provider_asyncapi.tasks.rerunning_task import RerunningTask
from airflow_provider_asyncapi.tasks.stages import FETCH, STATUS, SUBMIT

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.tasks.job_wait import JobWait
    from airflow_provider_asyncapi.tasks.stages import Stage


class AsyncApiJobOperator(RerunningTask, BaseOperator, SkipMixin):
    """
    Submit a job to an asynchronous HTTP API, wait for it, and fetch its result, in one task.

    Returns what :class:`~.operators.asyncapi.AsyncApiFetchOperator` returns; without ``fetch`` what
    :class:`~.sensors.asyncapi.AsyncApiSensor` returns. Pushes the job handle as XCom ``job`` (:attr:`handle`).

    A retry of the task resumes the job of the earlier try. If the job has failed, the task submits ``resubmit`` further
    jobs, and then fails; a retry submits another one (Airflow 3.3).

    :param submit: the arguments of the :class:`~.operators.asyncapi.AsyncApiTriggerOperator`; None if the profile sets
        all of them. (templated)
    :param status: the arguments of the :class:`~.sensors.asyncapi.AsyncApiSensor`, ``timeout`` and ``soft_fail`` among
        them. ``start_from_trigger`` has no effect, because a worker submits the job. (templated)
    :param fetch: the arguments of the :class:`~.operators.asyncapi.AsyncApiFetchOperator`; None for no fetch, an empty
        mapping if the profile sets all of them. (templated)
    :param variables: values that all requests may name ``{like_this}``, in addition to those in ``submit``; stored in
        the job handle. (templated)
    :param deferrable: wait in the triggerer; by default ``[operators] default_deferrable``.
    :param fetch_in_trigger: fetch the result in the triggerer, and end the task there without another worker, if
        Airflow supports it (3.3), the result goes to XCom, and the response has at most 1 MiB; if not, a worker fetches
        it, and the task's log contains the reason.
    :param resubmit: number of further jobs to submit, each after the failure of the one before; 0 by default. The
        ``timeout`` of ``status`` is that of all jobs together (Airflow 3.3).
    :param resubmit_delay: seconds between the failure of a job and the next submit, or a list of them, of which the
        last one is repeated; 0 by default.
    :param resubmit_on: a list of rules without outcomes: another job is submitted only if one of them matches the
        response that reports the failure, or that of ``failure_details``. By default, another job is submitted after
        every failure that the API reports.
    :param resubmit_on_retry: whether Airflow retries the task after the failure of its last job, with another job;
        not if ``resubmit_on`` doesn't match.
    :param repair: the request that resumes the failed job, sent instead of the submit of another job: a mapping with
        the keys of a request, which names the job (``{identifier}``), ``rules``, ``capture`` and ``identifier`` (the
        selector of the identifier under which the job runs again; without it, the job keeps its identifier). If the
        API refuses the request, another job is submitted. A ``lookup`` in it is the request that finds out whether the
        job was repaired if the response was lost. (templated)
    :param repair_on: a list of rules without outcomes: the job is repaired only if one of them matches, as for
        ``resubmit_on``; after other failures, another job is submitted. By default, it is always repaired.
    :param on_warning_callback: a callable, or a list of them, such as notifiers: called with the context, and the job
        handle as ``job``, on a worker when the ``warn_after`` of ``status`` has passed.
    :param job_url: the job's page at the vendor, for the link in the UI; may name variables. (templated)
    :param profile: the profile that sets the parameters which the DAG leaves out; by default the connection's.
    :param asyncapi_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = ("asyncapi_conn_id", "submit", "status", "fetch", "variables", "repair", "job_url")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "submit": "json",
        "status": "json",
        "fetch": "json",
        "variables": "json",
        "repair": "json",
    }
    ui_color = "#e8e3f3"
    # Airflow doesn't detect the mixin. Without this, a task that was skipped for lack of data runs once it is cleared.
    inherits_from_skipmixin = True
    _wait: JobWait | None = None

    def __init__(
        self,
        *,
        submit: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
        fetch: dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        fetch_in_trigger: bool = False,
        resubmit: int | None = None,
        resubmit_delay: float | Sequence[float] | None = None,
        resubmit_on: list[dict[str, Any]] | None = None,
        resubmit_on_retry: bool = True,
        repair: dict[str, Any] | Literal[False] | None = None,
        repair_on: list[dict[str, Any]] | None = None,
        on_warning_callback: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None = None,
        job_url: str | None = None,
        profile: str | None = None,
        asyncapi_conn_id: str = AsyncApiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.submit = submit
        self.status = status
        self.fetch = fetch
        self.variables = variables
        self.deferrable = deferrable
        self.fetch_in_trigger = fetch_in_trigger
        self.resubmit = resubmit
        self.resubmit_delay = resubmit_delay
        self.resubmit_on = resubmit_on
        self.resubmit_on_retry = resubmit_on_retry
        self.repair = repair
        self.repair_on = repair_on
        self.on_warning_callback = on_warning_callback
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self.validate()

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages on which the task works."""
        return (SUBMIT, STATUS) if self.fetch is None else (SUBMIT, STATUS, FETCH)

    def is_templated(self, stage: Stage, name: str) -> bool:
        """Return whether a parameter of a stage may be a template; Airflow renders the others too."""
        return name in stage.templated

    def variables_before(self, stage: Stage) -> set[str] | None:
        """Return the variables that the job provides to a stage; None if they aren't known."""
        position = self.stages.index(stage)
        return self.provided_variables(self.stages[position - 1]) if position else set()

    def provided_variables(self, stage: Stage) -> set[str] | None:
        """Return the variables that the job provides after a stage; None if they aren't known."""
        return None if _is_template(self._get_argument(stage)) else super().provided_variables(stage)

    def explicit_params(self, stage: Stage) -> dict[str, Any]:
        """Return the parameters of a stage that the DAG sets."""
        given, own = self._get_argument(stage), dict[str, Any]()
        if stage is STATUS:
            own = to_seconds(vars(self), RERUN_PARAMETERS)
        if _is_template(given):
            # They aren't known until the task runs.
            return own
        explicit = to_seconds(stage.parse_arguments(given), stage.plan_type.parameters) | own
        if stage is SUBMIT and self.variables is not None:
            inner = explicit.get("variables") or {}
            are_known = isinstance(inner, Mapping) and isinstance(self.variables, Mapping)
            explicit["variables"] = {**inner, **self.variables} if are_known else self.variables
        return explicit

    def check_task(self) -> None:
        """Check the parameters about the next job, after one has failed."""
        has_endpoint = isinstance(self.status, Mapping) and self.status.get("endpoint") is not None
        # If the task names no profile, that of the connection may set the other parameters.
        self.check_rerun_params(is_complete=self.profile is not None or has_endpoint)

    def _get_argument(self, stage: Stage) -> Any:
        return {SUBMIT: self.submit, STATUS: self.status, FETCH: self.fetch}[stage]

    def _options(self, stage: Stage) -> Mapping[str, Any]:
        """Return the arguments of a stage in addition to the parameters of its plan."""
        given = stage.require_mapping(self._get_argument(stage))
        return {name: given[name] for name in stage.options if given.get(name) is not None}

    def sets(self, stage: Stage, name: str) -> bool:
        """Return whether the DAG sets an argument of a stage."""
        return stage.require_mapping(self._get_argument(stage)).get(name) is not None

    def validate_stage(self, stage: Stage) -> None:
        """Check the parameters of a stage, unless the whole mapping is a template."""
        if _is_template(self._get_argument(stage)):
            return
        try:
            super().validate_stage(stage)
        except ConfigurationError as error:
            is_named = error.step in {each.table for each in self.stages}
            raise (error if is_named else error.with_message(f"{stage.table}: {error}")) from None

    def check_together(self, stage: Stage, described: Mapping[str, Any]) -> None:
        """Check that there is a trigger to end from, that no secret would be stored with it, and other options."""
        options = self._options(stage)
        if stage is SUBMIT:
            self.check_next_job(described)
        elif stage is STATUS:
            if self.deferrable:
                refuse_secrets(described)
            elif options.get("end_from_trigger"):
                raise ConfigurationError("end_from_trigger: needs deferrable=True; without it no trigger runs")
            if self.on_warning_callback is not None:
                lazy.check_warning_callback(self.on_warning_callback, described, has_profile=self.profile is not None)
            if (timeout := options.get("timeout", described.get("timeout"))) is not None:
                lazy.parse_timeout(timeout)
        elif stage is FETCH:
            if self.fetch_in_trigger:
                refuse_secrets(described)
            lazy.check_destination(described, options.get("destination"), options.get("unpack"))

    def execute(self, context: Context) -> Any:
        """Submit the job, and wait for it; fetch its result if it ends with the first poll, or without deferral."""
        with closing(self.hook), self._convert_errors(context):
            if self._options(STATUS).get("start_from_trigger"):
                self.log.info(WORKER_NEEDED, "start_from_trigger", "a task that submits a job begins on a worker")
            wait = self._open_wait(context, is_first=True)
            for stage in self.stages:
                # A mistake in the rendered parameters of a later stage has to fail before a job is submitted.
                stage.plan_type.parse(self.effective_params(stage))
            handle = lazy.submit_first_job(self, context, push=False)
            self._wait = wait
            return self._end(context, wait, wait.begin(handle))

    def execute_complete(
        self,
        context: Context,
        event: Any,
        wait: dict[str, Any] | None = None,
        job_url: str | None = None,
        **_: Any,
    ) -> Any:
        """
        Continue with the event of the trigger, or with a callback of the job, and fetch the result.

        :param wait: state of the wait at the deferral, if the job may call back.
        :param job_url: template of the job's URL, empty if there is none; None if it isn't known.
        :raises AirflowException: if the wait or the fetch failed, or if the event isn't one of this provider.
        """
        self.found_job_url = job_url
        with closing(self.hook), self._convert_errors(context):
            self._wait = waiting = self._open_wait(context)
            with waiting.apply_soft_fail():
                handle = waiting.resume(event, wait, partial(self._read_job, context))
            return self._end(context, waiting, handle)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the deferral, or fail because the trigger has failed."""
        methods = (self.execute_complete, self.execute_with_slot, self.execute_next_job)
        if next_method in [method.__name__ for method in methods]:
            return super().resume_execution(next_method, next_kwargs, context)
        with self._open_wait(context).apply_soft_fail():
            return super().resume_execution(next_method, next_kwargs, context)

    def _open_wait(self, context: Context, *, is_first: bool = False) -> JobWait:
        """
        Return the wait of the task.

        :param is_first: whether this process begins the wait, and so logs which options aren't supported.
        """
        given, unsupported = self._options(STATUS), self._unsupported_options()
        if is_first:
            for name, why in unsupported.items():
                self.log.info(WORKER_NEEDED, name, why)
        options = lazy.WaitOptions(
            self._effective_timeout,
            lambda: self._find_timeout() is None,
            self.deferrable,
            soft_fail=bool(given.get("soft_fail")),
            end_from_trigger=self.fetch is None and bool(given.get("end_from_trigger")) and not unsupported,
            fetch=None if unsupported else self._params_for_trigger(),
            on_warning=self.on_warning_callback,
            resubmit=partial(self._submit_next_job, context),
            begins_with_submit=lambda: self.resubmit_plan() is None,
        )
        return lazy.JobWait(self, context, options)

    def _effective_timeout(self) -> float:
        """Return the seconds for all jobs together: the DAG's, else the profile's, else Airflow's default."""
        timeout = self._find_timeout()
        return conf.getfloat("sensors", "default_timeout") if timeout is None else lazy.parse_timeout(timeout)

    def _find_timeout(self) -> Any:
        """Return the timeout that the DAG or the profile sets; None if neither does."""
        timeout = self._options(STATUS).get("timeout")
        return self.effective_params(STATUS).get("timeout") if timeout is None else timeout

    def _submit_next_job(self, context: Context, error: AsyncApiJobFailed) -> JobHandle | None:
        """Submit another job after one has failed; return None if there is no further job."""
        plan = self.resubmit_plan()
        return lazy.resubmit_job(self, context, plan, error, self._effective_timeout()) if plan else None

    def _unsupported_options(self) -> dict[str, str]:
        """Return the options for the triggerer that are set but not supported, and the reasons."""
        given, unsupported = self._options(STATUS), dict[str, str | None]()
        if self.fetch_in_trigger and not self.deferrable:
            unsupported["fetch_in_trigger"] = "the task isn't deferrable"
        elif self.fetch_in_trigger and self.fetch is not None:
            destination = self._options(FETCH).get("destination")
            unsupported["fetch_in_trigger"] = lazy.why_unsupported_fetch(
                self, self.effective_params(FETCH), destination
            )
        elif self.fetch is None and given.get("end_from_trigger"):
            unsupported["end_from_trigger"] = lazy.why_unsupported_end(self)
        return {name: why for name, why in unsupported.items() if why is not None}

    def _params_for_trigger(self) -> dict[str, Any] | None:
        """Return the parameters with which the triggerer fetches the result; None if it doesn't."""
        if not self.fetch_in_trigger or self.fetch is None:
            return None
        limits = {name: value for name, value in self._limits().items() if name == "max_xcom_bytes"}
        return {**self.effective_params(FETCH), **limits}

    def _end(self, context: Context, wait: JobWait, handle: JobHandle) -> Any:
        """Return the result identifier, or fetch the result."""
        # From now on, a kill doesn't cancel the job, which has ended.
        self._wait = None
        if self.fetch is None:
            wait.skip_dependents(handle)
            return handle.result_identifier
        with wait.publish_errors():
            destination = self._options(FETCH).get("destination")
            return lazy.fetch_result(self, context, handle, destination, self._limits())

    def _limits(self) -> dict[str, Any]:
        """Return the limits of the result that the DAG sets."""
        return {name: value for name, value in self._options(FETCH).items() if name in RESULT_LIMITS}

    def _read_job(self, context: Context) -> JobHandle:
        """Return the job for which the task waits."""
        ti: Any = context["ti"]
        return parse_job(ti.xcom_pull(task_ids=self.task_id, key=JOB_KEY, map_indexes=ti.map_index))

    @contextmanager
    def _convert_errors(self, context: Context) -> Iterator[None]:
        """Raise exceptions of Airflow; if the job has failed, one after which a retry submits another job."""
        try:
            yield
        except AsyncApiError as error:
            raise to_airflow(error) from error
        except AsyncApiJobFailed as error:
            # A job with an unknown status may be running.
            may_run = isinstance(error, AsyncApiUnknownStatus)
            if may_run or not self.resubmit_on_retry or error.rerun == Rerun.NEVER:
                raise
            lazy.submit_in_next_try(self, context, error)
            if limit := self.hook.api.settings.max_active_jobs:
                lazy.return_slot(self, context, limit)
            failed = AsyncApiAttemptFailed(str(error))
            for name in ERROR_FIELDS:
                setattr(failed, name, getattr(error, name))
            raise failed from error

    def on_kill(self) -> None:
        """Cancel the remote job if no task needs it any more, or end the fetch, so that it removes partial files."""
        self.end_fetch()
        if self._wait is not None:
            self._wait.cancel_on_kill()

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Report the dataset that was written to OpenLineage, if its provider is installed."""
        return lazy.make_lineage(None if self.fetch is None else self._options(FETCH).get("destination"))


def _is_template(given: Any) -> bool:
    """Return whether a mapping as a whole comes from another task, or from a template."""
    return isinstance(given, XComArg) or (isinstance(given, str) and has_template(given))
