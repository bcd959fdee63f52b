"""What the operators and the sensor share: one connection, one profile, one job handle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, XComArg

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.profiles import merged
from airflow_provider_asyncapi.core.templates import render_text
from airflow_provider_asyncapi.core.values import as_list
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.profiles import load_profile
from airflow_provider_asyncapi.links import JOB_URL_KEY, RemoteJobLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: The XCom that holds the job handle.
JOB_KEY = "job"
#: Requests within a request; what they hold beside templates can be checked when the DAG is parsed.
_SUBREQUESTS = frozenset({"start", "cancel", "locate", "cleanup"})
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class JobTask:
    """
    A task that has to do with one remote job; mixed into an operator or a sensor.

    :cvar table: the table of a profile that fills in its parameters.
    :cvar described_by: parameter → attribute, for all parameters that describe the API.
    """

    table: ClassVar[str]
    described_by: ClassVar[Mapping[str, str]]
    operator_extra_links = (RemoteJobLink(),)

    if TYPE_CHECKING:
        task_id: str
        asyncapi_conn_id: str
        profile: str | None
        job_url: str | None

    @property
    def hook(self) -> AsyncApiHook:
        """The hook of the connection, one per task and try."""
        if getattr(self, "_hook", None) is None:
            self._hook = AsyncApiHook(self.asyncapi_conn_id)
        return self._hook

    @property
    def job(self) -> XComArg:
        """The job handle that this task gives to the next."""
        return XComArg(self, key=JOB_KEY)  # type: ignore[arg-type,no-any-return]

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
        return merged(self.table, load_profile(name) if name else {}, self.given())

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

    def validate(self, parse: Any, *, known: set[str] | None) -> None:
        """
        Check, when the DAG is parsed, all that can be checked without rendering templates.

        :param parse: a plan's ``parse``.
        :param known: the variables that requests may name in endpoint, query and headers; None where nobody can know.
        :raises ConfigurationError: naming the task and the parameter.
        """
        fields = set(getattr(self, "template_fields", ()))
        try:
            described = merged(self.table, load_profile(self.profile) if self.profile else {}, self.given())
            plain = {
                name: value
                for name, value in described.items()
                if name not in self.described_by
                or self.described_by[name] not in fields
                or (name in _SUBREQUESTS and isinstance(value, Mapping) and not _has_xcoms(value))
            }
            parse(plain, complete=False)
            if known is not None:
                self._check_variables(described, known)
        except ConfigurationError as error:
            raise type(error)(f"task {self.task_id!r}: {error}") from None

    def _check_variables(self, described: Mapping[str, Any], known: set[str]) -> None:
        for name in ("endpoint", "params", "headers"):
            for text in templates.strings_in(described.get(name)):
                for variable in templates.variable_names(_JINJA.sub("", text)):
                    bare = variable.removeprefix("+")
                    if bare not in known and not bare.startswith("connection."):
                        shown = ", ".join(f"{{{key}}}" for key in sorted(known)) or "none"
                        raise UnknownVariableError(
                            f"{name}: nothing sets the variable {{{variable}}} in {text!r}; known: {shown}, and"
                            " {connection.<name>}. What the connection's profile captures is known only where the"
                            " operator names the profile"
                        )

    def handle_of(self, given: Any) -> JobHandle:
        """
        Read the ``job`` that this task was given.

        :raises AirflowFailException: where it is none.
        """
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
        job_url = self.job_url or self.describe().get("job_url")
        if job_url:
            try:
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
    if getattr(job, "key", None) == JOB_KEY and hasattr(operator, "variables_set"):
        known: set[str] | None = operator.variables_set()
        return known
    return None


def captured_names(described: Mapping[str, Any], *selectors: str) -> set[str]:
    """Give the variables that the captures of a description set: their names, and the selectors themselves."""
    captures = described.get("capture") or {}
    names = set(captures)
    for given in (*captures.values(), *(described.get(name) for name in selectors)):
        names |= {text for text in as_list(given) if isinstance(text, str)}
    return names


def _has_xcoms(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_xcoms, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_xcoms, value))
    return isinstance(value, XComArg)

