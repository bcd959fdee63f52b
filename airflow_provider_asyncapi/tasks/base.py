"""The base of the operators and the sensor: connection, profile, job handle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, XComArg

from airflow_provider_asyncapi.airflow_private.operators import RendersOwnFields, is_parsed_by_task_process
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.core.requests.bodies import FILE_PARAMETER, WHO_SENDS_FILES
from airflow_provider_asyncapi.core.requests.request_template import find_secret
from airflow_provider_asyncapi.core.templates import render_text
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.links.asyncapi import RemoteJobLink, is_web_address
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, JOB_URL_KEY, RETURN_KEY
from airflow_provider_asyncapi.tasks import lazy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.tasks.stages import Stage

WORKER_NEEDED = "%s is set, but a worker is needed: %s"


@contextmanager
def name_task_in_errors(task_id: str | None) -> Iterator[None]:
    """Add the task's id to the message of an error."""
    try:
        yield
    except ConfigurationError as error:
        raise error.with_message(f"task {task_id!r}: {error}") from None


class JobTask(RendersOwnFields):
    """
    The base of the tasks that work with one remote job; mixed into an operator or a sensor.

    :cvar stage: the stage on which the task works, if it is one.
    """

    stage: ClassVar[Stage]
    #: Whether the task may submit another job after its job has failed.
    may_resubmit: ClassVar[bool] = False
    #: Arguments that this task refuses, and what to set instead.
    refused: ClassVar[Mapping[str, str]] = MappingProxyType({})
    operator_extra_links: Collection[BaseOperatorLink] = (RemoteJobLink(),)
    #: The job's URL that this process has pushed; empty if the job has none, None if this process doesn't know.
    pushed_job_url: str | None = None
    #: The template of the job's URL that an earlier process has found, empty if there is none; None if it isn't known.
    #: To find it in the connection's profile costs a request to Airflow.
    found_job_url: str | None = None
    #: Whether this process begins the task again, after another one of the same try.
    begins_again: bool = False
    #: Whether this process is fetching the result of the job.
    is_fetching: bool = False

    if TYPE_CHECKING:
        task_id: str
        template_fields: Collection[str]
        asyncapi_conn_id: str
        job: Any
        profile: str | None
        job_url: str | None
        outlets: list[Any]
        params: Any
        dag: Any
        execution_timeout: timedelta | None
        log: Any

        def has_dag(self) -> bool: ...  # noqa: D102 - Airflow's

        def execute(self, context: Any) -> Any: ...  # noqa: D102 - Airflow's

    def __init__(self, **kwargs: Any) -> None:
        """
        Create the task.

        :param kwargs: Airflow's own arguments.
        :raises ConfigurationError: if an argument has another name in this task.
        """
        with name_task_in_errors(kwargs.get("task_id")):
            self.check_arguments(kwargs)
        super().__init__(**kwargs)

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """
        Check the arguments for Airflow's own ``__init__``, before the call.

        :raises ConfigurationError: if an argument has another name in this task.
        """
        refused = {FILE_PARAMETER: WHO_SENDS_FILES, **self.refused}
        for name in refused.keys() & arguments.keys():
            raise ConfigurationError(f"{name}: isn't a parameter of this task; {refused[name]}")

    @cached_property
    def hook(self) -> AsyncApiHook:
        """The hook of the connection, created when the task runs, because the connection id may be a template."""
        return AsyncApiHook(self.asyncapi_conn_id)

    @property
    def handle(self) -> XComArg:
        """The XCom of the job handle that this task pushes, for the parameter ``job`` of another task."""
        return XComArg(self, key=JOB_KEY)  # type: ignore[call-overload,no-any-return]  # the factory of XComArg is untyped

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages on which the task works, in order."""
        return (self.stage,)

    def explicit_params(self, stage: Stage) -> dict[str, Any]:
        """Return the parameters of a stage that the DAG sets, with times in seconds."""
        return to_seconds(vars(self), stage.plan_type.parameters)

    def sets(self, _stage: Stage, name: str) -> bool:
        """Return whether the DAG sets an argument of a stage."""
        return getattr(self, name, None) is not None

    def effective_params(self, stage: Stage, *, with_connection: bool = True) -> dict[str, Any]:
        """
        Return all parameters of a stage: the DAG's, and the profile's for the rest.

        :param with_connection: whether to use the connection's profile if the task has no profile.
        """
        return self.merge_profile(stage, self.explicit_params(stage), with_connection=with_connection)

    def merge_profile(self, stage: Stage, explicit: dict[str, Any], *, with_connection: bool = True) -> dict[str, Any]:
        """Return parameters of a stage, and the profile's for the rest."""
        name = self.profile or (self.hook.api.settings.profile if with_connection else None)
        if not name:
            # Most tasks switch nothing off, and don't need the module.
            has_switch = any(value is False for value in explicit.values())
            return plans.drop_switched_off(explicit) if has_switch else explicit
        return plans.merge_parameters(stage.table, lazy.load_profile(name), explicit)

    def profile_version(self) -> Mapping[str, str]:
        """Return name and version of the profile of the task, or of its connection; empty if there is none."""
        name = self.profile or self.hook.api.settings.profile
        return lazy.find_profile_version(name) if name else {}

    def build_plan(self, stage: Stage) -> Any:
        """
        Return the plan that the parameters of a stage describe.

        :raises AirflowFailException: if a parameter is wrong; the message names it.
        """
        try:
            described = self.effective_params(stage)
            plan = stage.plan_type.parse(described)
        except AsyncApiError as error:
            raise to_airflow(error) from error
        if found := find_secret(described):
            self.hook.log.warning(
                "%s looks like a secret. The parameters of a DAG can be read in Airflow's database and UI: store it in"
                " the connection instead (secret_headers, or secrets and {connection.<name>})",
                found,
            )
        return plan

    def variables_before(self, _stage: Stage) -> set[str] | None:
        """Return the variables that the job provides to a stage; None if they aren't known."""
        return variables_provided_by(getattr(self, "job", None))

    def provided_variables(self, stage: Stage) -> set[str] | None:
        """Return the variables that the job provides after a stage; None if they aren't known."""
        described = self.effective_params(stage, with_connection=False)
        return stage.provided_variables(described, self.variables_before(stage))

    def validate(self) -> None:
        """
        Check, when the DAG is parsed, the parameters that can be checked without rendering templates.

        The process of a task doesn't check them again: the DAG processor has parsed the same file before Airflow
        scheduled the task, and the checks import what most tasks don't use. Values that are mapped over are checked.

        :raises ConfigurationError: if a parameter is wrong; the message names the task and the parameter.
        """
        if is_parsed_by_task_process(self):
            return
        with name_task_in_errors(self.task_id):
            self._refuse_params()
            self._refuse_several_jobs()
            self.check_task()
            for stage in self.stages:
                self.validate_stage(stage)

    def check_task(self) -> None:
        """
        Check the arguments of the task that belong to none of its stages.

        :raises ConfigurationError: if they are wrong; the message names the parameter.
        """

    def validate_stage(self, stage: Stage) -> None:
        """Check the parameters of a stage."""
        described = self.effective_params(stage, with_connection=False)
        in_selectors = lazy.check_plan(
            stage.plan_type,
            described,
            partial(self.is_templated, stage),
            complete=self.profile is not None,
            assumed=stage.assumed_variables,
        )
        self.check_together(stage, described)
        provided = self.variables_before(stage)
        is_whole = bool(self.profile) or described.get("endpoint") is not None

        def find_known(part: str) -> set[str] | None:
            return stage.allowed_variables(part, described, provided, is_whole=is_whole)

        try:
            lazy.check_variables(described, in_selectors, find_known, stage.text_parameters)
            if self.profile:
                lazy.check_profile_body(described, self.explicit_params(stage), find_known)
        except UnknownVariableError as error:
            known = lazy.describe_profile_variables(lazy.load_profile(self.profile)) if self.profile else ""
            if not known:
                raise
            raise error.with_message(f"{error}. The profile {self.profile!r} has {known}") from None

    def check_together(self, stage: Stage, described: Mapping[str, Any]) -> None:
        """
        Check that the parameters of a stage fit together.

        :raises ConfigurationError: if they don't; the message names the parameter.
        """

    def _refuse_params(self) -> None:
        """Refuse query parameters that are passed as ``params``, which Airflow takes for the params of a DAG."""
        own = set(self.params) - set(self.dag.params) if self.has_dag() else set()
        if own:
            raise ConfigurationError(
                f"params: Airflow uses this name for the params of a DAG, so {sorted(own)} would not be sent; pass"
                " query parameters as query_params"
            )

    def _refuse_several_jobs(self) -> None:
        """Refuse the list of handles of a submit that makes several jobs, since this task takes one."""
        job: Any = getattr(self, "job", None)
        several = getattr(getattr(job, "operator", None), "has_several_jobs", None)
        if several is not None and job.key == RETURN_KEY and several(with_connection=False):
            raise ConfigurationError(f"job: handles is a list of job handles; {lazy.MAP_ADVICE}")

    def render_own_fields(
        self, names: Collection[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> Collection[str]:
        """Render the job so that a job handle stays one; Airflow renders all other fields."""
        # Values that were mapped over aren't rendered: they may come from an API.
        if "job" not in names or not isinstance(self.job, str) or id(self.job) in seen_oids:
            return ()
        self.job = lazy.render_job(self.job, context, jinja_env)
        return ("job",)

    def is_templated(self, _stage: Stage, name: str) -> bool:
        """Return whether a parameter of a stage is rendered before it is read."""
        return name in self.template_fields

    def push_handle(self, context: Context, handle: JobHandle) -> None:
        """Push the job handle for the next tasks, and the job's URL for the UI."""
        context["ti"].xcom_push(JOB_KEY, handle.dump())
        self.push_link(context, handle)

    def find_job_url(self) -> str | None:
        """Return the template of the job's URL, from the DAG or from a profile; None if there is none."""
        if self.found_job_url is not None:
            return self.found_job_url or None
        if self.job_url or not (self.profile or self.hook.api.settings.profile):
            return self.job_url
        return next((url for stage in self.stages if (url := self.effective_params(stage).get("job_url"))), None)

    def push_link(self, context: Context, handle: JobHandle) -> None:
        """Push the job's URL for the UI."""
        self.pushed_job_url = ""
        try:
            if not (job_url := self.find_job_url()):
                # For each link, Airflow would push an XCom at the end of the process, even if it is empty.
                self.operator_extra_links = ()
                return
            url = render_text(job_url, handle.scope(), "job_url")
            if is_web_address(url):
                context["ti"].xcom_push(JOB_URL_KEY, url)
                self.pushed_job_url = url
            else:
                self.hook.log.warning("No link to the remote job: job_url isn't an http(s) URL: %s", shorten(url))
        except (AsyncApiError, AirflowException) as error:
            # The task doesn't need the link.
            self.hook.log.warning("No link to the remote job: %s", error)

    def execute_with_slot(self, context: Context, event: Mapping[str, Any]) -> Any:
        """
        Begin again, now that the connection's ``max_active_jobs`` allows another active job.

        :raises AirflowException: if Airflow's API server couldn't grant a slot.
        """
        if event.get("status") != "success":
            raise AirflowException(str(event.get("message")))
        self.begins_again = True
        return self.execute(context)

    def end_fetch(self) -> None:
        """End the fetch of a task that is killed, so that it removes partial files."""
        # Airflow calls this from a signal handler, on the thread that fetches, and then waits for the task to end: the
        # exception ends it. After SystemExit, Airflow retries the task as after other failures.
        if self.is_fetching:
            raise SystemExit("The task was killed while it was fetching")


def variables_provided_by(job: Any) -> set[str] | None:
    """
    Return the variables that a job handle provides, as far as they are known when the DAG is parsed.

    :param job: the ``job`` argument of a task.
    :return: None if they aren't known: the job comes from another provider's task or a mapped task, or is a literal.
    """
    operator = getattr(job, "operator", None)
    if getattr(job, "key", None) == JOB_KEY and isinstance(operator, JobTask):
        return operator.provided_variables(operator.stages[-1])
    return None


def to_seconds(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the parameters of these names that are set, with times in seconds."""
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name in names
        if (value := given.get(name)) is not None
    }
