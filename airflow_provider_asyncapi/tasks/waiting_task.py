"""The task that waits for a job that another task has submitted: its checks, its wait, and the jobs after a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.parameter_names import RERUN_PARAMETERS
from airflow_provider_asyncapi.core.parameter_values import LONGEST_TIMEOUT
from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import to_seconds
from airflow_provider_asyncapi.tasks.job_argument import parse_job
from airflow_provider_asyncapi.tasks.rerunning_task import RerunningTask
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT, Stage

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
    from airflow_provider_asyncapi.tasks.job_wait import JobWait


class DefaultSeconds(float):
    """
    A time that the DAG doesn't set, in seconds.

    Its class tells it from an explicit one, also in a copy of the task: an explicit value overrides the profile's, the
    default doesn't. Airflow and policies see a number, as of any sensor.
    """


#: Airflow's own defaults, in seconds.
AIRFLOW_POKE_INTERVAL: Final = DefaultSeconds(60)
AIRFLOW_TIMEOUT: Final = DefaultSeconds(conf.getfloat("sensors", "default_timeout"))


class WaitingTask(RerunningTask):
    """The base of the sensor: an operator of Airflow too, once it is mixed in."""

    stage = STATUS
    #: The arguments of the task that has submitted the job, for a profile of the connection that sets ``resubmit``.
    group_submit: Mapping[str, Any] | None = None
    _why_no_next_job = "resubmit of a profile has an effect in AsyncApiJobOperator and in async_api_job"
    _wait: JobWait | None = None
    _has_default_timeout = False
    #: The options among start_from_trigger and end_from_trigger that are set but not supported, and the reason.
    _unsupported_options: Mapping[str, str] = MappingProxyType({})

    if TYPE_CHECKING:
        endpoint: str | None
        submit: dict[str, Any] | None
        poke_interval: Any
        timeout: Any
        deferrable: bool
        start_from_trigger: bool
        end_from_trigger: bool
        on_warning_callback: Any
        reschedule: bool
        soft_fail: bool
        never_fail: bool
        start_trigger_args: StartTriggerArgs | None

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Check Airflow's own arguments; refuse a timeout on which Airflow would fail without naming the reason."""
        super().check_arguments(arguments)
        timeout = arguments.get("timeout")
        self._has_default_timeout = isinstance(timeout, DefaultSeconds)
        # Airflow refuses other types.
        seconds: Any = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if isinstance(seconds, int | float) and seconds > LONGEST_TIMEOUT:
            raise ConfigurationError(f"timeout: has to be at most 200 years, in seconds, not {seconds:g}")

    def validate(self) -> None:
        """Check all parameters that can be checked at parse time, and prepare a start in the triggerer if asked for."""
        if self._has_default_timeout:
            # Airflow has made a plain number of it.
            self.timeout = AIRFLOW_TIMEOUT
        super().validate()
        if self.start_from_trigger or self.end_from_trigger:
            self._prepare_trigger_start()

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages on which the task works: also the submit, if it can submit another job."""
        return (STATUS,) if self.submit is None else (SUBMIT, STATUS)

    def is_templated(self, stage: Stage, name: str) -> bool:
        """Return whether a parameter of a stage is rendered before it is read."""
        return name in stage.templated if stage is SUBMIT else super().is_templated(stage, name)

    def check_task(self) -> None:
        """Check the parameters about the next job, after one has failed."""
        if self.submit is not None:
            self.check_rerun_params(is_complete=self.profile is not None or self.endpoint is not None)
        elif given := to_seconds(vars(self), RERUN_PARAMETERS):
            raise ConfigurationError(
                f"{next(iter(given))}: needs submit, the arguments of the task that has submitted the job;"
                " async_api_job sets it"
            )

    def explicit_params(self, stage: Stage) -> dict[str, Any]:
        """Return the parameters that the DAG sets, which Airflow's default interval isn't one of."""
        if stage is SUBMIT:
            return to_seconds(SUBMIT.parse_arguments(self.submit), SUBMIT.plan_type.parameters)
        explicit = super().explicit_params(stage)
        if isinstance(self.poke_interval, DefaultSeconds):
            del explicit["poke_interval"]
        return explicit

    def has_default_timeout(self, *, with_connection: bool = True) -> bool:
        """
        Return whether the wait has Airflow's default timeout, since neither the DAG nor a profile sets one.

        :param with_connection: whether to use the connection's profile if the task has no profile.
        """
        if not isinstance(self.timeout, DefaultSeconds):
            return False
        return self.effective_params(STATUS, with_connection=with_connection).get("timeout") is None

    def effective_timeout(self, *, with_connection: bool = True) -> float:
        """
        Return the maximum duration of the wait, in seconds: the DAG's, else the profile's, else Airflow's default.

        :param with_connection: whether to use the connection's profile if the task has no profile.
        """
        if isinstance(self.timeout, DefaultSeconds):
            described = self.effective_params(STATUS, with_connection=with_connection)
            if (timeout := described.get("timeout")) is not None:
                return lazy.parse_timeout(timeout)
        # Airflow's DAG processor can't send a subclass of float, and the trigger keeps this number.
        return float(self.timeout)

    def check_together(self, stage: Stage, described: Mapping[str, Any]) -> None:
        """Check that there is a trigger to start or end from, and that no secret would be stored with it."""
        if stage is SUBMIT:
            self.check_next_job(described)
            return
        if described.get("callback") and self.submit is not None:
            self.check_next_job(described)
        if self.deferrable:
            refuse_secrets(described)
        if described.get("timeout") is not None:
            lazy.parse_timeout(described["timeout"])
        if self.on_warning_callback is not None:
            lazy.check_warning_callback(self.on_warning_callback, described, has_profile=self.profile is not None)
        for name in ("start_from_trigger", "end_from_trigger"):
            if getattr(self, name) and not self.deferrable:
                raise ConfigurationError(f"{name}: needs deferrable=True; without it no trigger runs")

    def _prepare_trigger_start(self) -> None:
        """Find out which of start and end Airflow can do in the triggerer, and prepare the start."""
        sensor: Any = self
        reasons = {
            "end_from_trigger": lazy.why_unsupported_end,
            "start_from_trigger": lazy.why_unsupported_start,
        }
        self._unsupported_options = {
            name: why for name, find_reason in reasons.items() if getattr(self, name) and (why := find_reason(sensor))
        }
        if "start_from_trigger" in self._unsupported_options:
            # The attribute has to differ from the argument here: if it is True, Airflow sends the whole serialized DAG
            # to the triggerer with each trigger of the task, and deserializes it on the triggerer's event loop.
            self.start_from_trigger = False
        if self.start_from_trigger:
            self.start_trigger_args = lazy.make_start_args(sensor, can_end=self._can_end_in_triggerer)

    @property
    def _can_end_in_triggerer(self) -> bool:
        return self.end_from_trigger and "end_from_trigger" not in self._unsupported_options

    def _find_job(self, context: Context) -> JobHandle:
        """Return the job to wait for: that of ``job``, or the one that this task has submitted since that failed."""
        job = parse_job(self.job)
        self._apply_connection_profile(context)
        return job if self.submit is None else lazy.find_next_job(self, context, job)

    def _apply_connection_profile(self, context: Context) -> None:
        """Use the submit arguments of the task group if ``resubmit`` is set by the profile of the connection alone."""
        if self.submit is not None or self.group_submit is None:
            return
        plan = self.resubmit_plan()
        if plan is None or not plan.limit:
            return
        sensor: Any = self
        self.submit = sensor.render_template(self.group_submit, context)
        try:
            self.check_next_job(self.effective_params(SUBMIT), with_connection=True)
        except ConfigurationError as error:
            self.submit = self.group_submit = None
            self._why_no_next_job = str(error)

    def _submit_next_job(self, context: Context, error: AsyncApiJobFailed) -> JobHandle | None:
        """Submit another job after one has failed; return None if there is no further job."""
        if (plan := self.resubmit_plan()) is None:
            return None
        self._apply_connection_profile(context)
        if self.submit is None:
            if plan.limit:
                self.log.warning("No further job is submitted: %s", self._why_no_next_job)
            return None
        ti: Any = context["ti"]
        first = parse_job(self.job)
        is_first_process = ti.try_number == 1 and not self.reschedule
        if not (is_first_process or lazy.lasts_between_tries(context, first)):
            self.log.warning(
                "No further job is submitted: Airflow before 3.3 keeps no record from try to try, or from poke to poke,"
                " unless a task of the same DAG run has submitted the job, so this task might submit it twice"
            )
            return None
        return lazy.resubmit_job(self, context, plan, error, self.effective_timeout(), first)

    def _open_wait(self, context: Context, *, is_poke: bool = False) -> JobWait:
        sensor: Any = self
        options = lazy.WaitOptions(
            self.effective_timeout,
            self.has_default_timeout,
            self.deferrable and not is_poke,
            reschedule=self.reschedule or is_poke,
            soft_fail=self.soft_fail or self.never_fail,
            end_from_trigger=self._can_end_in_triggerer,
            on_warning=self.on_warning_callback,
            resubmit=partial(self._submit_next_job, context),
        )
        return lazy.JobWait(sensor, context, options)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume after the deferral.

        Airflow's own method for sensors applies ``soft_fail`` differently from version to version, and takes a skip of
        downstream tasks for a failure of the sensor.
        """
        sensor: Any = self
        with self._open_wait(context).apply_soft_fail():
            return BaseOperator.resume_execution(sensor, next_method, next_kwargs, context)

    def execute_complete(
        self,
        context: Context,
        event: Any,
        wait: dict[str, Any] | None = None,
        job_url: str | None = None,
        **_: Any,
    ) -> Any:
        """
        Continue with the event of the trigger, or with a callback of the job.

        :param wait: state of the wait at the deferral, if the job may call back.
        :param job_url: template of the job's URL, empty if there is none; None if it isn't known.
        :raises AirflowException: if the wait failed, or if the event isn't one of this provider.
        """
        self.found_job_url = job_url
        self._wait = waiting = self._open_wait(context)
        with closing(self.hook):
            handle = waiting.resume(event, wait, partial(self._find_job, context))
        waiting.skip_dependents(handle)
        return handle.result_identifier

    def on_kill(self) -> None:
        """Cancel the remote job if no task needs it any more."""
        # Before the wait begins, the parameters may not have been rendered yet.
        if self._wait is not None:
            self._wait.cancel_on_kill()
