"""
The stages of a job: submit, status and fetch. Each has parameters, and variables that its requests may name.

A task works on one stage, or on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY, RESULT_IDENTIFIER
from airflow_provider_asyncapi.tasks import lazy


class Stage:
    """
    A stage of a job.

    :cvar table: name of the profile's table that fills in the parameters of the stage.
    """

    table: ClassVar[str]

    @property
    def plan_type(self) -> Any:
        """The plan that the parameters are read into."""
        raise NotImplementedError

    def allowed_variables(
        self, part: str, described: Mapping[str, Any], provided: set[str] | None, *, is_whole: bool
    ) -> set[str] | None:
        """
        Return the variables that a part of the stage may name; None if that isn't known when the DAG is parsed.

        :param part: a further request, such as ``start`` or ``cancel``, or a field of the plan; any other part may name
            what the stage's own request may name.
        :param described: all parameters of the stage that the DAG and its profile set.
        :param provided: the variables that the job provides before the stage; None if they aren't known.
        :param is_whole: whether the description is complete, so that the connection's profile adds nothing to it.
        """
        raise NotImplementedError

    def provided_variables(self, described: Mapping[str, Any], provided: set[str] | None) -> set[str] | None:
        """
        Return the variables that the job provides after the stage; None if they aren't known yet.

        :param provided: the variables that the job provides before the stage.
        """
        raise NotImplementedError


class SubmitStage(Stage):
    """The requests that create and start a job."""

    table = "submit"

    @property
    def plan_type(self) -> type[plans.SubmitPlan]:
        """The plan that the parameters are read into."""
        return plans.SubmitPlan

    def allowed_variables(
        self,
        part: str,
        described: Mapping[str, Any],
        provided: set[str] | None,
        *,
        is_whole: bool,
    ) -> set[str] | None:
        """Return the DAG's variables and the key; for ``start`` and ``cancel`` also the captures of the submit."""
        needs_job = part in ("start", "cancel")
        known = self.provided_variables(described, provided) if needs_job else _own_variables(described)
        own = {IDEMPOTENCY_KEY, CALLBACK_URL} if described.get("callback") else {IDEMPOTENCY_KEY}
        return None if known is None else own | known

    def provided_variables(
        self,
        described: Mapping[str, Any],
        provided: set[str] | None,
    ) -> set[str] | None:
        """Return the variables that the job handle will hold; None if only the connection's profile sets them."""
        own = _own_variables(described)
        if described.get("identifier") is None or own is None:
            return None
        started = [captured_names(step) for step in as_list(described.get("start"))]
        return {"identifier", RESULT_IDENTIFIER}.union(own, captured_names(described, "identifier"), *started)


class StatusStage(Stage):
    """The requests that wait for a job."""

    table = "status"

    @property
    def plan_type(self) -> type[plans.WaitPlan]:
        """The plan that the parameters are read into."""
        return plans.WaitPlan

    def allowed_variables(
        self,
        part: str,
        described: Mapping[str, Any],
        provided: set[str] | None,
        *,
        is_whole: bool,
    ) -> set[str] | None:
        """Return the variables that the job provides; requests after a poll may also name what the poll captures."""
        if part == "batch":
            # The request is about many jobs, so it can't name the variables of one of them.
            return {"identifiers"}
        if part not in ("cancel", "cleanup", "error_message", "status_details", "failure_details"):
            return provided
        if part == "status_details":
            # Its own captures are read from its response, after the request.
            return self.provided_variables({**described, part: None}, provided)
        known = self.provided_variables(described, provided)
        if known is None or part != "failure_details":
            return known
        return known.union(*map(captured_names, as_list(described.get(part))))

    def provided_variables(self, described: Mapping[str, Any], provided: set[str] | None) -> set[str] | None:
        """Return the variables that the job handle will hold; None if they aren't known yet."""
        if provided is None or described.get("completion_key") is None:
            return None
        details = captured_names(described.get("status_details"))
        return provided | captured_names(described, RESULT_IDENTIFIER) | details


class FetchStage(Stage):
    """The requests that fetch the result of a job."""

    table = "fetch"

    @property
    def plan_type(self) -> type[plans.FetchPlan]:
        """The plan that the parameters are read into."""
        return plans.FetchPlan

    def allowed_variables(
        self, part: str, described: Mapping[str, Any], provided: set[str] | None, *, is_whole: bool
    ) -> set[str] | None:
        """Return the variables of the job, the captures of ``locate``, and the position of a page if any."""
        if provided is None or part == "locate":
            return provided
        provided = provided | captured_names(described.get("locate"))
        return provided if part == "cleanup" else provided | lazy.page_variables(described, whole=is_whole)

    def provided_variables(
        self,
        described: Mapping[str, Any],
        provided: set[str] | None,
    ) -> set[str] | None:
        """Return the variables of the job, which a fetch doesn't change."""
        return provided


SUBMIT: Final = SubmitStage()
STATUS: Final = StatusStage()
FETCH: Final = FetchStage()


def _own_variables(described: Mapping[str, Any]) -> set[str] | None:
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
