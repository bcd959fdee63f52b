"""What the operators and the sensor share: one connection, one profile, one job handle."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import cached_property, lru_cache, partial
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
_SUBREQUESTS = frozenset({"start", "lookup", "cancel", "locate", "cleanup", "batch"})
#: Arguments, and parameters of a plan, that can't be attributes of the same name: Airflow has taken it.
_ATTRIBUTES = {
    "job": "from_job",
    "output": "output_kind",
    "params": "query_params",
    "poke_interval": "given_poke_interval",
}
#: The last one that writes equal values alike; later ones also tell which objects are the same.
_MARSHAL_VERSION = 2
#: What else is among the local names of ``__init__``.
_NOT_KEPT = ("self", "kwargs", "__class__")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class JobTask:
    """
    A task that has to do with one remote job; mixed into an operator or a sensor.

    :cvar table: the table of a profile that fills in its parameters.
    """

    table: ClassVar[str]
    operator_extra_links: Collection[BaseOperatorLink] = (RemoteJobLink(),)

    if TYPE_CHECKING:
        task_id: str
        template_fields: Collection[str]
        asyncapi_conn_id: str
        from_job: Any
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

    @property
    def plan_type(self) -> Any:
        """What the parameters that describe the API are read into."""
        raise NotImplementedError

    def keep(self, arguments: dict[str, Any]) -> None:
        """
        Make attributes of the arguments of ``__init__``.

        What Airflow does at each assignment costs a DAG file more than all else here, and does nothing for a task that
        is still being made: it finds the tasks upstream afterwards.

        :param arguments: the ``locals()`` of ``__init__``, before it has others.
        """
        kept = {**arguments}
        for name in _NOT_KEPT:
            kept.pop(name, None)
        for name, attribute in _ATTRIBUTES.items():
            if name in kept:
                kept[attribute] = kept.pop(name)
        vars(self).update(kept)

    def given(self) -> dict[str, Any]:
        """Give the parameters that the DAG sets, times in seconds."""
        find = vars(self).get
        return {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name in self.plan_type.parameters
            if (value := find(_ATTRIBUTES.get(name, name))) is not None
        }

    def describe(self, *, with_connection: bool = True) -> dict[str, Any]:
        """
        Give all parameters: those of the DAG, and from the profile what the DAG leaves out.

        :param with_connection: whether the connection's own profile counts, where the task names none.
        """
        name = self.profile or (self.hook.api.settings.profile if with_connection else None)
        return plans.merged(self.table, load_profile(name), self.given()) if name else self.given()

    def parsed(self) -> Any:
        """
        Read the parameters into a plan.

        :raises AirflowFailException: naming the parameter that is wrong.
        """
        try:
            return self.plan_type.parse(self.describe())
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def variables_before(self, described: Mapping[str, Any]) -> set[str] | None:
        """
        Give the variables that the task's own request may name; None where nobody can know at parse time.

        :param described: what :meth:`describe` gives.
        """
        raise NotImplementedError

    def variables_after(self, described: Mapping[str, Any]) -> set[str] | None:
        """Give the variables that its further requests may name, such as ``start`` and ``cancel``; likewise."""
        raise NotImplementedError

    def validate(self) -> None:
        """
        Check, when the DAG is parsed, all that can be checked without rendering templates.

        :raises ConfigurationError: naming the task and the parameter.
        """
        try:
            self._refuse_params()
            described = self.describe(with_connection=False)
            final = {name: value for name, value in described.items() if self._is_final(name, value)}
            _check(self.plan_type, final)
            _check_variables(described, partial(self.variables_before, described), "")
            for name in sorted(_SUBREQUESTS & described.keys()):
                # A batch is of many jobs, so that it can't name what one of them brings.
                known = (
                    partial(set[str], ["identifiers"]) if name == "batch" else partial(self.variables_after, described)
                )
                for request in as_list(described[name]):
                    _check_variables(request, known, f"{name}.")
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
        return _ATTRIBUTES.get(name, name) not in self.template_fields

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
        return operator.variables_after(operator.describe(with_connection=False))
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


def _check(plan_type: Any, description: dict[str, Any]) -> None:
    """Check a description; the tasks that a loop makes are described alike, so that one check does for all of them."""
    try:
        text = marshal.dumps(description, _MARSHAL_VERSION)
    except ValueError:
        # Not plain data: a date among the variables, say.
        plan_type.parse(description, complete=False)
    else:
        _check_text(plan_type, text)


@lru_cache(maxsize=1024)
def _check_text(plan_type: Any, text: bytes) -> None:
    plan_type.parse(marshal.loads(text), complete=False)  # noqa: S302 - our own bytes


def _has_xcoms(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_xcoms, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_xcoms, value))
    return isinstance(value, XComArg)
