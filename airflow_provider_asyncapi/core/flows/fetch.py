"""Fetch what a job made: the requests, what their answers mean, and the values or files in them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_provider_asyncapi.core import decoding, templates
from airflow_provider_asyncapi.core.effects import MAX_BODY, Flow, Log, Sink
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    JobNotFoundError,
    MissingValueError,
    RefusedContentError,
    ResponseError,
    ResultError,
    ResultExpiredError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.flows.exchange import (
    Patience,
    persist,
    rejection,
    said_in,
    speaks_of_status,
    unusable,
)
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.messages import Request, Response
from airflow_provider_asyncapi.core.names import Outcome
from airflow_provider_asyncapi.core.plans.fetch import FetchPlan
from airflow_provider_asyncapi.core.plans.step import Step
from airflow_provider_asyncapi.core.rules import Rule
from airflow_provider_asyncapi.core.selectors import capture
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import JsonValue

T = TypeVar("T")
_GONE = frozenset({404, 410})


class NoDataError(ResultError):
    """
    A rule says that there is nothing to fetch.

    :param response: the answer that it was asked about.
    """

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


@dataclass(frozen=True, slots=True)
class Fetching:
    """
    One fetch: the plan, the job, and the variables known so far.

    :param api: the connection.
    :param plan: how to fetch.
    :param handle: the job.
    :param located: what the ``locate`` request captured; used at once, and kept nowhere.
    :param base: the URL against which references from the API are resolved.
    """

    api: Api
    plan: FetchPlan
    handle: JobHandle
    located: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    base: str | None = field(default=None, repr=False)

    @property
    def scope(self) -> dict[str, JsonValue]:
        """All variables that the requests may name."""
        return {**self.api.scope, **self.handle.scope(), **self.located}

    def inline_value(self) -> JsonValue:
        """Give the result that the job's answers held already; None where they didn't."""
        return None if self.plan.inline is None else self.scope.get(self.plan.inline)

    def locate(self) -> Flow[Fetching]:
        """
        Find out where the result is, with a request of its own where that needs one.

        :raises MissingValueError: where its answer lacks what it should hold.
        """
        step = self.plan.locate
        if step is None:
            return self
        request = self.request(step, self.scope)
        response = yield from self.answer(step, request, self.scope)

        def read() -> dict[str, JsonValue]:
            found = capture(step.captures, response, self.scope)
            for name, selection in step.captures.items():
                if name not in found:
                    raise MissingValueError(f"locate: {selection} found nothing for {name!r}")
            return found

        found = self.readable(request, response, read)
        return dataclasses.replace(self, located=found, base=response.url)

    def value(self, limit: int) -> Flow[tuple[JsonValue, list[Response]]]:
        """
        Fetch the result into memory.

        :param limit: bytes of an answer.
        :return: the value, and the answers that it was made of; a list of values where the endpoint is a list of URLs.
        """
        values, responses = [], []
        for scope in self._targets():
            request = self.request(self.plan.step, scope)
            response = yield from self.answer(self.plan.step, request, scope, limit=limit)
            values.append(self.decoded(decoding.decode, request, response, scope))
            responses.append(response)
        return (values if self._urls() is not None else values[0]), responses

    def files(self, open_sink: Callable[[int], Sink]) -> Flow[list[Response]]:
        """
        Fetch the result as it is, each URL of it into a sink of its own.

        :param open_sink: gives the sink for the file of this number.
        :return: the answers, without bodies.
        """
        responses = []
        for index, scope in enumerate(self._targets()):
            request = self.request(self.plan.step, scope)
            responses.append((yield from self.answer(self.plan.step, request, scope, sink=open_sink(index))))
        return responses

    def clean_up(self) -> Flow[None]:
        """Send the cleanup request; the result is safe already, so a failure is only logged."""
        if self.plan.cleanup is None:
            return
        try:
            request = self.request(self.plan.cleanup, self.scope)
            response = yield from self.answer(self.plan.cleanup, request, self.scope, also=_GONE)
        except AsyncApiError as error:
            what = "the result is kept, the job's remains may stay at the API"
            yield Log(logging.WARNING, f"cleanup: {error}; {what}")
        else:
            yield Log(logging.INFO, f"cleanup: {request} answered {response.status}")

    def request(self, step: Step, scope: Variables) -> Request:
        """Make the request of a step."""
        base = self.base or self.handle.urls.get("status") or self.handle.urls.get("submit")
        return step.request.render(scope, self.api.settings.base_url, reference_base=base)

    def decoded(self, decode: Callable[..., T], request: Request, response: Response, scope: Variables) -> T:
        """
        Read an answer as the plan says.

        :param decode: :func:`~..decoding.decode` or one like it.
        :raises ResponseError: saying what was asked, and what came instead.
        """
        plan = self.plan
        return self.readable(request, response, lambda: decode(response, plan.format, plan.result_path, scope))

    def readable(self, request: Request, response: Response, read: Callable[[], T]) -> T:
        """Read an answer, and say what it was where it can't be used."""
        try:
            return read()
        except ResponseError as error:
            raise type(error)(unusable(self.api, request, response, error)) from None

    def answer(
        self,
        step: Step,
        request: Request,
        scope: Variables,
        *,
        sink: Sink | None = None,
        limit: int = MAX_BODY,
        also: frozenset[int] = frozenset(),
    ) -> Flow[Response]:
        """
        Get a good answer.

        :param sink: takes its body.
        :param limit: bytes of a body without a sink.
        :param also: error status codes that are good answers too.
        :raises NoDataError: where a rule says that there is nothing.
        :raises ResultExpiredError: on 404 and 410.
        :raises ResultError: where a rule takes the answer for a failure.
        :raises RequestRejectedError: where the API refused the request.
        :raises UnavailableError: after too many transient errors, or a rule that says to come again, in a row.
        """
        patience = Patience(self.plan.schedule)
        watched = _Watched(sink) if sink is not None and step.rules else None

        def is_answer(response: Response) -> bool:
            return speaks_of_status(step.rules, response, scope)

        while True:
            try:
                response = yield from persist(
                    self.api, request, self.plan.schedule, stop=is_answer, sink=watched or sink, limit=limit
                )
            except RefusedContentError as error:
                raise RefusedContentError(f"{error}; a large result can be streamed: output='file'") from error
            seen = dataclasses.replace(response, body=watched.head) if watched and response.ok else response
            outcome = _outcome(step.rules, seen, scope)
            if outcome is Outcome.SUCCESS or (outcome is None and (response.ok or response.status in also)):
                if sink is not None and not response.ok:
                    sink.restart()
                    sink.write(response.body)
                return response
            said = f"{request} answered {response.status}, and a rule takes it for"
            if outcome is None:
                raise self._rejection(step, request, response)
            if outcome is Outcome.NO_DATA:
                raise NoDataError(f"{said} no data", response)
            if outcome is Outcome.FAILURE:
                raise ResultError(f"{said} a failure: {said_in(self.api, seen, step.error_message, scope)}")
            yield from patience.pause(self.api, UnavailableError(f"{said} not yet"), response)

    def _rejection(self, step: Step, request: Request, response: Response) -> AsyncApiError:
        error = rejection(self.api, request, response, message=step.error_message)
        if isinstance(error, JobNotFoundError):
            return ResultExpiredError(f"the result isn't there (any more): {error}{self._age()}")
        return error

    def _age(self) -> str:
        if self.handle.submitted_at is None:
            return ""
        age = self.api.clock() - self.handle.submitted_at
        days, hours, minutes = age / 86400, age / 3600, age / 60
        shown = f"{days:.1f} days" if days >= 1 else f"{hours:.1f} hours" if hours >= 1 else f"{minutes:.0f} minutes"
        return f" (the job was submitted {shown} ago)"

    def _urls(self) -> list[JsonValue] | None:
        """Give the URLs where the endpoint is a list of them."""
        found = self.scope.get(templates.whole_variable(self.plan.step.request.endpoint) or "")
        return found if isinstance(found, list) else None

    def _targets(self) -> list[dict[str, JsonValue]]:
        """Give the variables of each request: one, or one for each URL where the endpoint is a list of them."""
        name = templates.whole_variable(self.plan.step.request.endpoint) or ""
        urls = self._urls()
        return [self.scope] if urls is None else [{**self.scope, name: url} for url in urls]


class _Watched:
    """
    Hands a body on to a sink, and keeps it while it is small, for rules to look into: what says no is never large.

    :param sink: where it goes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.head = b""
        self._is_large = False

    def write(self, chunk: bytes) -> None:
        self._sink.write(chunk)
        self._is_large = self._is_large or len(self.head) + len(chunk) > MAX_BODY
        self.head = b"" if self._is_large else self.head + chunk

    def restart(self) -> None:
        self._sink.restart()
        self.head, self._is_large = b"", False


def _outcome(rules: tuple[Rule, ...], response: Response, scope: Variables) -> Outcome | None:
    """Ask the rules; one that looks for JSON in a file of another kind doesn't match."""
    for rule in rules:
        try:
            if rule.matches(response, scope):
                return rule.outcome
        except ResponseError:
            continue
    return None
