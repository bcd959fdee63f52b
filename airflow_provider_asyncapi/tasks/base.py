"""What the operators and the sensor have in common: a connection, a profile, a job handle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, XComArg

from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.former_names import find_former_name
from airflow_provider_asyncapi.core.json_values import as_list, shorten
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.links.asyncapi import RemoteJobLink, is_web_address
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, JOB_URL_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle

HANDLE_ADVICE = "job: the job handle that a task pushes is its attribute handle (job=submit.handle)"


@contextmanager
def naming(task_id: str | None) -> Iterator[None]:
    """Put the task's name before the message of an error."""
    try:
        yield
    except ConfigurationError as error:
        raise error.with_message(f"task {task_id!r}: {error}") from None


class JobTask:
    """
    The base of the tasks that work with one remote job; mixed into an operator or a sensor.

    :cvar table: the profile's table that fills in parameters.
    """

    table: ClassVar[str]
    #: Airflow's own arguments that this task takes none of, and what to give instead.
    refused: ClassVar[Mapping[str, str]] = MappingProxyType({})
    operator_extra_links: Collection[BaseOperatorLink] = (RemoteJobLink(),)
    #: The job's address as this process has pushed it; empty if the job has none, None if that isn't known here.
    pushed_job_url: str | None = None

    if TYPE_CHECKING:
        task_id: str
        template_fields: Collection[str]
        asyncapi_conn_id: str
        job: Any
        profile: str | None
        job_url: str | None
        params: Any
        dag: Any

        def has_dag(self) -> bool: ...  # noqa: D102 - Airflow's

    def __init__(self, **kwargs: Any) -> None:
        """
        Make the task.

        :param kwargs: Airflow's own arguments.
        :raises ConfigurationError: on an argument that goes by another name here.
        """
        with naming(kwargs.get("task_id")):
            self.check_arguments(kwargs)
        super().__init__(**kwargs)

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """
        Check arguments that Airflow takes, before it does.

        :raises ConfigurationError: on one that goes by another name here.
        """
        for name in self.refused.keys() & arguments.keys():
            raise ConfigurationError(f"{name}: isn't a parameter of this task; {self.refused[name]}")
        # Airflow adds the DAG's params to each task.
        if problem := find_former_name(arguments.keys() - {"params"}, self.plan_type.parameters):
            raise ConfigurationError(problem)

    @cached_property
    def hook(self) -> AsyncApiHook:
        """The hook of the connection; asked for when the task runs, for its id may be a template."""
        return AsyncApiHook(self.asyncapi_conn_id)

    @property
    def handle(self) -> XComArg:
        """The job handle that this task pushes, for the ``job`` of the next."""
        return XComArg(self, key=JOB_KEY)  # type: ignore[call-overload,no-any-return]

    @property
    def plan_type(self) -> Any:
        """The plan that the parameters are read into."""
        raise NotImplementedError

    def explicit_params(self) -> dict[str, Any]:
        """Return the parameters that the DAG sets, times in seconds."""
        attributes = vars(self)
        return {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name in self.plan_type.parameters
            if (value := attributes.get(name)) is not None
        }

    def effective_params(self, *, with_connection: bool = True) -> dict[str, Any]:
        """
        Return all parameters: those that the DAG sets, and the profile's for the rest.

        :param with_connection: whether the connection's profile counts if the task names none.
        """
        name = self.profile or (self.hook.api.settings.profile if with_connection else None)
        return plans.merged(self.table, load_profile(name), self.explicit_params()) if name else self.explicit_params()

    def build_plan(self) -> Any:
        """
        Read the parameters into a plan.

        :raises AirflowFailException: naming the parameter that is wrong.
        """
        from airflow_provider_asyncapi.core.requests.request_template import find_secret

        try:
            described = self.effective_params()
            plan = self.plan_type.parse(described)
        except AsyncApiError as error:
            raise to_airflow(error) from error
        if found := find_secret(described):
            self.hook.log.warning(
                "%s looks like a secret, and a DAG's parameters can be read in Airflow's database and pages: it belongs"
                " into the connection (secret_headers, or secrets and {connection.<name>})",
                found,
            )
        return plan

    def allowed_variables(self, part: str, described: Mapping[str, Any]) -> set[str] | None:
        """
        Return the variables that a part of the task may name; None if that isn't known when the DAG is parsed.

        :param part: a further request, such as ``start`` or ``cancel``, or a field of the plan; any other part may name
            what the task's own request may name.
        :param described: what :meth:`effective_params` returns.
        """
        raise NotImplementedError

    def provided_variables(self, described: Mapping[str, Any]) -> set[str] | None:
        """Return the variables that the job handle brings to the next tasks; None if that isn't known yet."""
        raise NotImplementedError

    def is_whole(self, described: Mapping[str, Any]) -> bool:
        """Return whether a description is complete, so that the connection's profile adds nothing to it."""
        return bool(self.profile) or described.get("endpoint") is not None

    def validate(self) -> None:
        """
        Check, when the DAG is parsed, all that can be checked without rendering templates.

        :raises ConfigurationError: naming the task and the parameter.
        """
        # A DAG file that only imports the operators needn't pay for it.
        from airflow_provider_asyncapi.tasks import validation

        with naming(self.task_id):
            self._refuse_params()
            described = self.effective_params(with_connection=False)
            in_selectors = validation.check(
                self.plan_type, described, self._is_templated, complete=self.profile is not None
            )
            self.check_together(described)
            validation.check_variables(described, in_selectors, lambda part: self.allowed_variables(part, described))

    def check_together(self, described: Mapping[str, Any]) -> None:
        """
        Check what else of this task goes together.

        :raises ConfigurationError: naming the parameter.
        """

    def _refuse_params(self) -> None:
        """Refuse query parameters that are given as ``params``, which Airflow takes for the params of a DAG."""
        own = set(self.params) - set(self.dag.params) if self.has_dag() else set()
        if own:
            raise ConfigurationError(
                f"params: Airflow keeps this name for the params of a DAG, so {sorted(own)} would not be sent; the"
                " query's parameters are query_params"
            )

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Render the job so that a handle stays one, and the rest as Airflow does."""
        names = list(template_fields)
        # Values that were mapped over are complete: what an API gave is never rendered.
        if "job" in names and isinstance(self.job, str) and id(self.job) not in seen_oids:
            from airflow_provider_asyncapi.tasks.job_templates import render_job

            names.remove("job")
            self.job = render_job(self.job, context, jinja_env)
        super()._do_render_template_fields(parent, names, context, jinja_env, seen_oids)  # type: ignore[misc]

    def _is_templated(self, name: str) -> bool:
        return name in self.template_fields

    @staticmethod
    def handle_of(given: Any) -> JobHandle:
        """
        Read the ``job`` that a task was given.

        :raises AirflowFailException: if it is neither a handle nor an identifier.
        """
        from airflow_provider_asyncapi.core.jobs.handle import JobHandle

        try:
            return JobHandle.parse(given)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def push_handle(self, context: Context, handle: JobHandle) -> None:
        """Push the job handle for the next tasks, and the job's address for the UI."""
        context["ti"].xcom_push(JOB_KEY, handle.dump())
        self.push_link(context, handle)

    def find_job_url(self) -> str | None:
        """Return the template of the job's address, of the DAG or of a profile; None if there is none."""
        return self.job_url or self.effective_params().get("job_url")

    def push_link(self, context: Context, handle: JobHandle) -> None:
        """Push the job's address for the UI."""
        from airflow_provider_asyncapi.core.templates import render_text

        self.pushed_job_url = ""
        try:
            if not (job_url := self.find_job_url()):
                return
            url = render_text(job_url, handle.scope(), "job_url")
            if is_web_address(url):
                context["ti"].xcom_push(JOB_URL_KEY, url)
                self.pushed_job_url = url
            else:
                self.hook.log.warning("No link to the remote job: job_url isn't an http(s) address: %s", shorten(url))
        except (AsyncApiError, AirflowException) as error:
            # The link is a convenience; the job is what matters.
            self.hook.log.warning("No link to the remote job: %s", error)


def variables_provided_by(job: Any) -> set[str] | None:
    """
    Return the variables that a job handle brings, as far as they are known when the DAG is parsed.

    :param job: what a task takes as its job.
    :return: None if they aren't known: the job is of another provider's task or of a mapped one, or a literal handle.
    """
    operator = getattr(job, "operator", None)
    if getattr(job, "key", None) == JOB_KEY and isinstance(operator, JobTask):
        return operator.provided_variables(operator.effective_params(with_connection=False))
    return None


def captured_names(described: Any, *selectors: str) -> set[str]:
    """
    Return the variables that the captures of a description set: their names, and the selectors themselves.

    :param described: the description; anything but a mapping captures nothing.
    :param selectors: further parameters that are selectors.
    """
    if not isinstance(described, Mapping):
        return set()
    captures = described.get("capture") or {}
    names = set(captures)
    for given in (*captures.values(), *(described.get(name) for name in selectors)):
        names |= {text for text in as_list(given) if isinstance(text, str)}
    return names
