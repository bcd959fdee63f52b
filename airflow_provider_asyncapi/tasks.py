"""What the operators and the sensor share: one connection, one profile, one job handle."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, XComArg

from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.core.values import as_list
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.profiles import load_profile
from airflow_provider_asyncapi.links import RemoteJobLink
from airflow_provider_asyncapi.xcoms import JOB_KEY, JOB_URL_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_asyncapi.core.handle import JobHandle

#: Requests within a request; what they hold beside templates can be checked when the DAG is parsed.
_SUBREQUESTS = frozenset({"start", "lookup", "cancel", "locate", "cleanup"})
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class JobTask:
    """
    A task that has to do with one remote job; mixed into an operator or a sensor.

    :cvar table: the table of a profile that fills in its parameters.
    :cvar described_by: parameter → attribute, for all parameters that describe the API.
    """

    table: ClassVar[str]
    described_by: ClassVar[Mapping[str, str]]
    operator_extra_links: Collection[BaseOperatorLink] = (RemoteJobLink(),)

    if TYPE_CHECKING:
        task_id: str
        template_fields: Collection[str]
        asyncapi_conn_id: str
        profile: str | None
        job_url: str | None
        params: Any
        dag: Any

        def has_dag(self) -> bool: ...  # noqa: D102 - Airflow's

    @cached_property
    def hook(self) -> AsyncApiHook:
        """The hook of the connection; asked for when the task runs, for its id may be a template."""
        return AsyncApiHook(self.asyncapi_conn_id)

    @property
    def job(self) -> XComArg:
        """The job handle that this task gives to the next."""
        return XComArg(self, key=JOB_KEY)  # type: ignore[call-overload,no-any-return]

    def given(self) -> dict[str, Any]:
        """Give the parameters that the DAG sets."""
        values = {name: getattr(self, attribute) for name, attribute in self.described_by.items()}
        return {name: value for name, value in values.items() if value is not None}

    def describe(self, *, with_connection: bool = True) -> dict[str, Any]:
        """
        Give all parameters: those of the DAG, and from the profile what the DAG leaves out.

        :param with_connection: whether the connection's own profile counts, where the task names none.
        """
        name = self.profile or (self.hook.api.settings.profile if with_connection else None)
        return plans.merged(self.table, load_profile(name) if name else {}, self.given())

    def parsed(self, parse: Any, *, complete: bool = True) -> Any:
        """
        Read the parameters into a plan.

        :param parse: a plan's ``parse``.
        :raises AirflowFailException: naming the parameter that is wrong.
        """
        try:
            return parse(self.describe(), complete=complete)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def variables_before(self) -> set[str] | None:
        """Give the variables that the task's own request may name; None where nobody can know at parse time."""
        raise NotImplementedError

    def variables_after(self) -> set[str] | None:
        """Give the variables that its further requests may name, such as ``start`` and ``cancel``."""
        raise NotImplementedError

    def validate(self, parse: Any) -> None:
        """
        Check, when the DAG is parsed, all that can be checked without rendering templates.

        :param parse: a plan's ``parse``.
        :raises ConfigurationError: naming the task and the parameter.
        """
        try:
            self._refuse_params()
            described = self.describe(with_connection=False)
            parse({name: value for name, value in described.items() if self._is_final(name, value)}, complete=False)
            _check_variables(described, self.variables_before, "")
            for name in sorted(_SUBREQUESTS & described.keys()):
                for request in as_list(described[name]):
                    _check_variables(request, self.variables_after, f"{name}.")
        except ConfigurationError as error:
            raise type(error)(f"task {self.task_id!r}: {error}") from None

    def _refuse_params(self) -> None:
        """Refuse what was meant for the query, and would be taken for Airflow's own params without a word."""
        own = set(self.params) - set(self.dag.params) if self.has_dag() else set()
        if own:
            raise ConfigurationError(
                f"params: Airflow keeps this name for the params of a DAG, so {sorted(own)} would not be sent; the"
                " query's parameters are query_params"
            )

    def _is_final(self, name: str, value: Any) -> bool:
        """Tell whether a parameter is now as it will be when the task runs, as far as it is checked."""
        if name in _SUBREQUESTS:
            return not _has_xcoms(value) and not (isinstance(value, str) and _JINJA.search(value))
        return self.described_by.get(name) not in self.template_fields

    def handle_of(self, given: Any) -> JobHandle:
        """
        Read the ``job`` that this task was given.

        :raises AirflowFailException: where it is none.
        """
        from airflow_provider_asyncapi.core.handle import JobHandle

        try:
            return JobHandle.parse(given)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def push_handle(self, context: Context, handle: JobHandle) -> None:
        """Give the job handle to the next tasks, and the job's address to the UI."""
        context["ti"].xcom_push(JOB_KEY, handle.dump())
        self.push_link(context, handle)

    def push_link(self, context: Context, handle: JobHandle) -> None:
        """Give the job's address to the UI."""
        from airflow_provider_asyncapi.core.templates import render_text

        try:
            job_url = self.job_url or self.describe().get("job_url")
            if job_url:
                context["ti"].xcom_push(JOB_URL_KEY, render_text(job_url, handle.scope(), "job_url"))
        except (AsyncApiError, AirflowException) as error:
            # The link is a convenience; the job is what matters.
            self.hook.log.warning("No link to the remote job: %s", error)


def known_after(job: Any) -> set[str] | None:
    """
    Give the variables that a job handle brings, when the DAG is parsed.

    :param job: what a task takes as its job.
    :return: None where nobody can know: another provider's task, a mapped one, a literal handle.
    """
    operator = getattr(job, "operator", None)
    if getattr(job, "key", None) == JOB_KEY and isinstance(operator, JobTask):
        return operator.variables_after()
    return None


def captured_names(described: Any, *selectors: str) -> set[str]:
    """
    Give the variables that the captures of a description set: their names, and the selectors themselves.

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


def _check_variables(request: Any, find_known: Callable[[], set[str] | None], where: str) -> None:
    from airflow_provider_asyncapi.core import templates

    if not isinstance(request, Mapping):
        return
    for name in ("endpoint", "params", "headers"):
        for text in templates.strings_in(request.get(name)):
            for variable in templates.variable_names(_JINJA.sub("", text)) if "{" in text else ():
                bare = variable.removeprefix("+")
                known = find_known()
                if known is not None and bare not in known and not bare.startswith("connection."):
                    shown = ", ".join(f"{{{key}}}" for key in sorted(known)) or "none"
                    raise UnknownVariableError(
                        f"{where}{name}: nothing sets the variable {{{variable}}} in {text!r}; known: {shown}, and"
                        " {connection.<name>}. What the connection's profile captures is known only where the"
                        " operator names the profile"
                    )


def _has_xcoms(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_xcoms, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_xcoms, value))
    return isinstance(value, XComArg)
