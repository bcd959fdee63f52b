"""
The stages of a job: submit, status and fetch. Each has parameters, and variables that its requests may name.

A task works on one stage, or on all of them.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeAlias

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.foreign_names import describe_foreign_name
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.outcome import (
    CALLBACK_URL,
    FILE_SIZE,
    IDEMPOTENCY_KEY,
    IDENTIFIERS,
    RESULT_IDENTIFIER,
)
from airflow_provider_asyncapi.core.parameter_names import RERUN_PARAMETERS, RESULT_LIMITS
from airflow_provider_asyncapi.core.requests.bodies import FILE_PARAMETER, WHO_SENDS_FILES
from airflow_provider_asyncapi.tasks import lazy

#: Parameters of a request that Airflow renders.
_REQUEST = frozenset({"endpoint", "query_params", "headers", "json", "xml", "data", "files"})
#: Name of the part of a description that consists of the paths of the files that its requests send.
FILE_PATHS = "path"
#: Arguments that a task for several stages has itself, so they aren't in the mapping of a stage.
_OF_THE_TASK = frozenset(
    {
        "asyncapi_conn_id",
        "profile",
        "job_url",
        "deferrable",
        "variables",
        "submit",
        "status",
        "fetch",
        "fetch_in_trigger",
        "on_warning_callback",
        "resubmit_on_retry",
        *RERUN_PARAMETERS,
    }
)

#: The parameters of a stage that the DAG and its profile set.
Description: TypeAlias = Mapping[str, Any]
#: The names of variables; None if they aren't known when the DAG is parsed.
Names: TypeAlias = set[str] | None


class Stage:
    """
    A stage of a job.

    :cvar table: name of the profile's table that fills in the parameters of the stage.
    :cvar left_out: parameters of the plan that aren't arguments of a task.
    :cvar options: arguments in addition to the parameters of the plan.
    :cvar templated: arguments that Airflow renders, in addition to the further requests.
    """

    table: ClassVar[str]
    left_out: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[tuple[str, ...]] = ()
    templated: ClassVar[frozenset[str]] = _REQUEST

    @property
    def plan_type(self) -> Any:
        """The plan that the parameters are read into."""
        raise NotImplementedError

    @property
    def text_parameters(self) -> tuple[str, ...]:
        """The parameters, outside of the requests, that name variables."""
        return ()

    @property
    def assumed_variables(self) -> tuple[str, ...]:
        """The variables that the rendered value of a template in a request is assumed to name."""
        return ()

    def allowed_variables(self, part: str, described: Description, provided: Names, *, is_whole: bool) -> Names:
        """
        Return the variables that a part of the stage may name; None if that isn't known when the DAG is parsed.

        :param part: a further request, such as ``start`` or ``cancel``, or a field of the plan; any other part may name
            what the stage's own request may name.
        :param described: all parameters of the stage that the DAG and its profile set.
        :param provided: the variables that the job provides before the stage; None if they aren't known.
        :param is_whole: whether the description is complete, so that the connection's profile adds nothing to it.
        """
        raise NotImplementedError

    def provided_variables(self, described: Description, provided: Names) -> Names:
        """
        Return the variables that the job provides after the stage; None if they aren't known yet.

        :param provided: the variables that the job provides before the stage.
        """
        raise NotImplementedError

    @property
    def arguments(self) -> list[str]:
        """The arguments of the stage, in alphabetical order."""
        return sorted({*self.plan_type.parameters, *self.options} - self.left_out)

    def parse_arguments(self, given: Any) -> Mapping[str, Any]:
        """
        Return the arguments of the stage that a mapping holds.

        :param given: the mapping; None for no arguments.
        :raises ConfigurationError: if it isn't a mapping, or has a key that isn't an argument; the message names the
            stage and the nearest argument.
        """
        mapping = self.require_mapping(given)
        names = self.arguments
        for name in mapping:
            if name not in names:
                raise self._build_error(f"{name}: {self._describe_unknown(str(name), names)}")
        return mapping

    def require_mapping(self, given: Any) -> Mapping[str, Any]:
        """
        Return a mapping of arguments as it is, an empty one for None.

        :raises ConfigurationError: if it isn't a mapping; the message names the stage.
        """
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise self._build_error(f"has to be a mapping of arguments, not {type(given).__name__}")
        return given

    def _build_error(self, problem: str) -> ConfigurationError:
        """Return an error that names the stage, since the check of another stage may read this one's arguments."""
        error = ConfigurationError(f"{self.table}: {problem}")
        error.step = self.table
        return error

    def _describe_unknown(self, name: str, names: list[str]) -> str:
        """Return what is wrong with a name that isn't an argument, and what to do."""
        if problem := describe_foreign_name(name, names):
            return problem
        if name == "job":
            return "the task submits the job itself, so leave it out"
        if name in _OF_THE_TASK or name in inspect.signature(BaseOperator.__init__).parameters:
            return f"is an argument of the task itself, not of {self.table}"
        if name in (FILE_PARAMETER, "files"):
            return f"isn't an argument of {self.table}; {WHO_SENDS_FILES}"
        alike = difflib.get_close_matches(name, names, 1)
        meant = f"; did you mean {alike[0]}?" if alike else "."
        return f"isn't an argument of {self.table}{meant} It takes {', '.join(names)}"


class SubmitStage(Stage):
    """The requests that create and start a job."""

    table = "submit"
    templated = _REQUEST | {"body", "variables"}

    @property
    def plan_type(self) -> type[plans.SubmitPlan]:
        """The plan that the parameters are read into."""
        return plans.SubmitPlan

    def allowed_variables(self, part: str, described: Description, provided: Names, *, is_whole: bool) -> Names:
        """Return the DAG's variables and the key; for ``start`` and ``cancel`` also the captures of the submit."""
        if part == FILE_PATHS:
            return _own_variables(described)
        needs_job = part in ("start", "cancel")
        known = self.provided_variables(described, provided) if needs_job else _variables_before_submit(described)
        own = {IDEMPOTENCY_KEY, CALLBACK_URL} if described.get("callback") else {IDEMPOTENCY_KEY}
        if _sends_file(described):
            own.add(FILE_SIZE)
        return None if known is None else own | known

    def provided_variables(self, described: Description, provided: Names) -> Names:
        """Return the variables that the job handle will hold; None if only the connection's profile sets them."""
        own = _variables_before_submit(described)
        several = described.get("identifiers") is not None
        if own is None or (described.get("identifier") is None and not several):
            return None
        started = [captured_names(step) for step in as_list(described.get("start"))]
        if several:
            return {IDENTIFIERS}.union(own, captured_names(described), *started)
        return {"identifier", RESULT_IDENTIFIER}.union(own, captured_names(described, "identifier"), *started)


class StatusStage(Stage):
    """The requests that wait for a job."""

    table = "status"
    left_out = frozenset(RERUN_PARAMETERS)
    options = ("timeout", "soft_fail", "start_from_trigger", "end_from_trigger")

    @property
    def plan_type(self) -> type[plans.WaitPlan]:
        """The plan that the parameters are read into."""
        return plans.WaitPlan

    def allowed_variables(self, part: str, described: Description, provided: Names, *, is_whole: bool) -> Names:
        """Return the variables that the job provides; requests after a poll may also name what the poll captures."""
        if part == "batch":
            # The request is about many jobs, so it can't name the variables of one of them.
            return {"identifiers"}
        if part not in (
            "cancel",
            "cleanup",
            "error_message",
            "status_details",
            "failure_details",
            "logs",
            "repair",
            "rerun",
        ):
            return provided
        if part == "status_details":
            # Its own captures are read from its response, after the request.
            return self.provided_variables({**described, part: None}, provided)
        known = self.provided_variables(described, provided)
        if known is not None and part == "logs":
            return known | {"log_cursor"}
        if known is not None and part == "repair":
            return known | {IDEMPOTENCY_KEY}
        if known is None or part != "failure_details":
            return known
        return known.union(*map(captured_names, as_list(described.get(part))))

    def provided_variables(self, described: Description, provided: Names) -> Names:
        """Return the variables that the job handle will hold; None if they aren't known yet."""
        if provided is None or described.get("completion_key") is None:
            return None
        details = captured_names(described.get("status_details"))
        return provided | captured_names(described, RESULT_IDENTIFIER) | details


class FetchStage(Stage):
    """The requests that fetch the result of a job."""

    table = "fetch"
    options = ("destination", *RESULT_LIMITS)
    templated = _REQUEST | {"destination"}

    @property
    def plan_type(self) -> type[plans.FetchPlan]:
        """The plan that the parameters are read into."""
        return plans.FetchPlan

    @property
    def text_parameters(self) -> tuple[str, ...]:
        """The parameters that state a number of pages."""
        return lazy.text_parameters()

    @property
    def assumed_variables(self) -> tuple[str, ...]:
        """One variable of each way of paging, so that a template never lacks the one that it needs."""
        return lazy.assumed_page_variables()

    def allowed_variables(self, part: str, described: Description, provided: Names, *, is_whole: bool) -> Names:
        """Return the variables of the job, the captures of ``locate``, and the position of a page if any."""
        if provided is None or part == "locate":
            return provided
        provided = provided | captured_names(described.get("locate"))
        return provided if part == "cleanup" else provided | lazy.page_variables(described, whole=is_whole)

    def provided_variables(self, described: Description, provided: Names) -> Names:
        """Return the variables of the job, which a fetch doesn't change."""
        return provided


SUBMIT: Final = SubmitStage()
STATUS: Final = StatusStage()
FETCH: Final = FetchStage()


def _variables_before_submit(described: Description) -> Names:
    """Return the DAG's variables, and the captures of the requests before the submit."""
    own = _own_variables(described)
    return None if own is None else own.union(*map(captured_names, as_list(described.get("prepare"))))


def _sends_file(described: Description) -> bool:
    """Return whether a request of the submit sends a file, or may send one after its templates are rendered."""
    steps = [described, *as_list(described.get("prepare")), *as_list(described.get("start"))]
    requests = [step for step in steps if isinstance(step, Mapping)]
    return any(request.get(name) is not None for request in requests for name in (FILE_PARAMETER, "files"))


def _own_variables(described: Description) -> Names:
    own = described.get("variables") or {}
    return set(own) if isinstance(own, Mapping) else None


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
        texts = (each.get("selector") if isinstance(each, Mapping) else each for each in as_list(given))
        names |= {text for text in texts if isinstance(text, str)}
    return names
