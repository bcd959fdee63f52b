"""Fetch the result of a job: the requests, the meaning of their responses, and the values or files."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, RunConcurrently
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    BodyTooLargeError,
    JobNotFoundError,
    MissingValueError,
    ResponseError,
    ResultError,
    ResultExpiredError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.fetch import result_value
from airflow_provider_asyncapi.core.fetch.outputs.registry import RESULT
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.http.checksums import Checksum, parse_checksum
from airflow_provider_asyncapi.core.http.compression import gunzip
from airflow_provider_asyncapi.core.http.downloads import Download, DownloadTarget
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Request, Response
from airflow_provider_asyncapi.core.jobs.cleanup import Cleanup, CleanupOn
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.classification import rule_handles_error_body, rule_handles_status_code
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_errors import (
    GONE_CODES,
    NO_MESSAGE,
    build_bad_response_error,
    build_rejection_error,
    describe_answered_request,
    extract_error_message,
    set_error_fields,
)
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.retries import RetryBudget, send_with_retries
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.selectors.captures import capture_values
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables

T = TypeVar("T")
#: Returns the current variables of a request.
GetVariables = Callable[[], Variables]
_SAFE = frozenset({"GET", "HEAD"})
#: Status codes of storage for an expired signed URL.
EXPIRED_CODES = GONE_CODES | {400, 401, 403}


class NoDataError(ResultError):
    """
    According to a rule there is nothing to fetch.

    :param response: the response that matches the rule.
    """

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


@dataclass(slots=True)
class Location:
    """
    The location of the result, as the ``locate`` request has found it: used at once, and stored nowhere.

    :param variables: the captured variables.
    :param base_url: the URL against which references in it are resolved.
    """

    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    base_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FetchedResponse:
    """
    A response that is neither an error nor rejected by a rule.

    :param request: the request.
    :param response: the response.
    :param variables: the variables that the request may have named.
    """

    request: Request
    response: Response
    variables: Variables = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResultFetcher:
    """
    One fetch: the plan, the job, and the variables known so far.

    :param api: the connection.
    :param plan: the plan of the fetch.
    :param handle: the job.
    :param location: the location of the result, if it is known; found again if a URL has expired.
    """

    api: Api
    plan: FetchPlan
    handle: JobHandle
    location: Location = field(default_factory=Location)

    @property
    def variables(self) -> dict[str, JsonValue]:
        """All variables that the requests may name."""
        return self.api.merge_variables(self.handle.scope(), self.location.variables)

    @property
    def has_url_list(self) -> bool:
        """Whether the endpoint is a list of URLs."""
        return self._find_urls() is not None

    @property
    def url_count(self) -> int:
        """The number of URLs to fetch."""
        return len(self._list_requests())

    def inline_value(self) -> JsonValue:
        """Return the result that the job's responses held already; None if they held none."""
        return None if self.plan.inline is None else self.variables.get(self.plan.inline)

    def locate(self) -> Flow[None]:
        """
        Find the location of the result, if that takes a request of its own.

        :raises MissingValueError: if a captured value isn't in the response.
        """
        step = self.plan.locate
        if step is None:
            return
        fetched = yield from self.fetch_response(step, lambda: self.variables)

        def read() -> dict[str, JsonValue]:
            found = capture_values(step.captures, fetched.response, self.variables)
            for name, selection in step.captures.items():
                if name not in found:
                    nearest = selection.describe_nearest(fetched.response, self.variables)
                    raise MissingValueError(f"locate: {selection} found nothing for {name!r}{nearest}")
            return found

        self.location.variables = self.read_with_context(fetched, read)
        self.location.base_url = fetched.response.url

    def fetch_value(self, limit: int) -> Flow[tuple[JsonValue, list[Response]]]:
        """
        Fetch the result into memory.

        :param limit: bytes of a response.
        :return: the value, and the responses that held it; a list of values if the endpoint is a list of URLs.
        """
        values, responses = [], []
        for get_variables in self._list_requests():
            fetched = yield from self.fetch_response(self.plan.step, get_variables, limit=limit)
            self.read_with_context(fetched, partial(_unpack, fetched.response, limit))
            values.append(self.decode(result_value.decode, fetched))
            responses.append(fetched.response)
        return (values if self.has_url_list else values[0]), responses

    def fetch_files(self, open_file: Callable[[int], DownloadTarget]) -> Flow[list[Response]]:
        """
        Fetch each URL of the result into a file of its own, several at a time.

        :param open_file: opens the file of this number.
        :return: the responses in order, without bodies.
        """
        responses: list[Response] = []

        def one(number: int, get_variables: GetVariables) -> Flow[Response]:
            trusts_headers = self.plan.checksum is not False
            download = Download(open_file(number), self._find_checksum(number), trusts_headers=trusts_headers)
            return (yield from self.fetch_response(self.plan.step, get_variables, download=download)).response

        flows = [partial(one, number, get_variables) for number, get_variables in enumerate(self._list_requests())]
        if len(flows) == 1:
            return [(yield from flows[0]())]
        yield RunConcurrently(flows, self.plan.concurrency, responses.append)
        return responses

    def clean_up(self, end: CleanupOn) -> Flow[None]:
        """
        Send the cleanup request if it is wanted; a failure of it is only logged.

        :param end: the end of the task.
        """
        cleanup = self.plan.cleanup
        if cleanup is None or end not in cleanup.ends:
            return
        # A 303 means success; the page that it redirects to is about something else (RFC 9110, section 15.4.4).
        done = GONE_CODES if cleanup.step.request.method in _SAFE else GONE_CODES | {HTTPStatus.SEE_OTHER}
        try:
            fetched = yield from self.fetch_response(cleanup.step, lambda: self.variables, also_accepted=done)
        except AsyncApiError as error:
            yield Log(logging.WARNING, f"cleanup: {error}; the API may keep the job's data")
        else:
            shown = describe_answered_request(fetched.request, fetched.response)
            yield Log(logging.INFO, f"cleanup: {shown} answered {fetched.response.status}")

    def decode(self, decode: Callable[..., T], fetched: FetchedResponse) -> T:
        """
        Decode a response in the format of the plan.

        :param decode: :func:`~.result_value.decode` or one like it.
        :raises ResponseError: if the response can't be decoded; the error holds the request and the response.
        """
        plan = self.plan
        return self.read_with_context(
            fetched, lambda: decode(fetched.response, plan.format, plan.result_path, fetched.variables)
        )

    def read_with_context(self, fetched: FetchedResponse, read: Callable[[], T]) -> T:
        """Read a response; if that fails, add the request and the response to the error."""
        try:
            return read()
        except ResponseError as error:
            raise build_bad_response_error(self.api, fetched.request, fetched.response, error) from None

    def fetch_response(
        self,
        step: RequestStep,
        get_variables: GetVariables,
        *,
        download: Download | None = None,
        limit: int = MAX_BODY,
        also_accepted: frozenset[int] = frozenset(),
    ) -> Flow[FetchedResponse]:
        """
        Send a request until the response is final, and return the response if it is good.

        :param step: the request.
        :param get_variables: returns the variables that it may name; called again if the result had to be located
            again.
        :param download: the download that its body is written to.
        :param limit: bytes of a body without a download.
        :param also_accepted: other status codes that mean success; a redirect among them isn't followed.
        :raises NoDataError: if there is no data according to a rule.
        :raises ResultExpiredError: if the status is 404 or 410.
        :raises ResultError: if the response is a failure according to a rule.
        :raises RequestRejectedError: if the API refused the request.
        :raises UnavailableError: after too many transient errors, or responses that are "not yet" by a rule, in a row.
        """
        budget = RetryBudget(self.plan.schedule)
        # The number of bytes received when the result was last located: without progress it isn't located again.
        located_at = -1
        charset = self.plan.format.charset if self._is_result(step) else None
        while True:
            variables = get_variables()
            request = self._build_request(step, variables)

            def is_answer(response: Response, variables: Variables = variables) -> bool:
                is_meant = response.status in also_accepted
                return is_meant or rule_handles_status_code(step.rules, response.with_charset(charset), variables)

            policy = ResponsePolicy(
                is_final=is_answer, is_readable=partial(_is_readable, step.rules, charset, variables)
            )
            try:
                response = yield from send_with_retries(
                    self.api, request, self.plan.schedule, policy, download=download, limit=limit
                )
            except BodyTooLargeError as error:
                raise error.with_message(f"{error}; a large result can be streamed: output_type='file'") from error
            response = response.with_charset(charset)
            seen = dataclasses.replace(response, body=download.head) if download and response.ok else response
            # The meaning of a status code here has priority over a rule that only reads the body.
            has_expired = self._has_expired(step, request, response)
            has_meaning = response.status in also_accepted or has_expired
            is_ruled = rule_handles_status_code(step.rules, response, variables)
            outcome = None if has_meaning and not is_ruled else _find_outcome(step.rules, seen, variables)
            if outcome is Outcome.SUCCESS or (outcome is None and (response.ok or response.status in also_accepted)):
                if download is not None and not response.ok:
                    download.replace_content(response)
                return FetchedResponse(request, response, variables)
            prefix = (
                f"{describe_answered_request(request, response)} answered {response.status}, and a rule takes it for"
            )
            reached = download.kept_bytes if download else 0
            if outcome is None and has_expired and reached > located_at:
                located_at = reached
                shown = describe_answered_request(request, response)
                yield Log(logging.INFO, f"{shown} answered {response.status}: locating the result again")
                yield from self.locate()
                continue
            if outcome is None:
                raise self._make_rejection_error(step, request, response)
            if outcome is Outcome.NO_DATA:
                raise set_error_fields(NoDataError(f"{prefix} no data", response), request, response)
            if outcome is Outcome.FAILURE:
                message = extract_error_message(self.api, seen, step.error_message, variables)
                failure = ResultError(f"{prefix} a failure: {message or NO_MESSAGE}")
                raise set_error_fields(failure, request, response, message)
            yield from budget.wait_before_retry(
                self.api, set_error_fields(UnavailableError(f"{prefix} not yet"), request, response), response
            )

    def _build_request(self, step: RequestStep, variables: Variables) -> Request:
        base = self.location.base_url or self.handle.urls.get("status") or self.handle.urls.get("submit")
        return self.api.render_request(step.request, variables, reference_base=base)

    def _has_expired(self, step: RequestStep, request: Request, response: Response) -> bool:
        """Return whether the response means that a located URL or the target of a redirect has expired."""
        is_given = self.plan.locate is not None or response.is_redirected(request)
        return is_given and self._is_result(step) and response.status in EXPIRED_CODES

    def _is_result(self, step: RequestStep) -> bool:
        """Return whether a request is the one for the result itself."""
        cleanup = self.plan.cleanup
        return step is not self.plan.locate and (cleanup is None or step is not cleanup.step)

    def _make_rejection_error(self, step: RequestStep, request: Request, response: Response) -> AsyncApiError:
        error = build_rejection_error(self.api, request, response, message=step.error_message)
        if isinstance(error, JobNotFoundError):
            gone = ResultExpiredError(f"the result doesn't exist (any more): {error}{self._describe_age()}")
            return gone.set_fields_from(error)
        return error

    def _describe_age(self) -> str:
        if self.handle.submitted_at is None:
            return ""
        age = self.api.clock() - self.handle.submitted_at
        days, hours, minutes = age / 86400, age / 3600, age / 60
        shown = f"{days:.1f} days" if days >= 1 else f"{hours:.1f} hours" if hours >= 1 else f"{minutes:.0f} minutes"
        return f" (the job was submitted {shown} ago)"

    def _find_checksum(self, number: int) -> Checksum | None:
        """Return the checksum that the API has stated for the file of this number."""
        if not self.plan.checksum:
            return None
        stated = templates.render_json(self.plan.checksum, self.variables)
        if isinstance(stated, list):
            stated = stated[number] if number < len(stated) else None
        return None if stated in (None, "") else parse_checksum(as_text(stated), "checksum")

    def _find_urls(self) -> list[JsonValue] | None:
        """Return the URLs if the endpoint is a list of URLs; otherwise None."""
        found = self.variables.get(templates.find_whole_variable(self.plan.step.request.endpoint) or "")
        return found if isinstance(found, list) else None

    def _list_requests(self) -> list[GetVariables]:
        """Return the variables of each request: of one, or of one for each URL if the endpoint is a list."""
        name = templates.find_whole_variable(self.plan.step.request.endpoint) or ""
        urls = self._find_urls()
        if urls is None:
            return [lambda: self.variables]

        def variables_for(number: int) -> dict[str, JsonValue]:
            found = self._find_urls() or []
            if len(found) != len(urls):
                raise ResultError(f"{{{name}}}: there were {len(urls)} URLs, and there are {len(found)} now")
            return {**self.variables, name: found[number]}

        return [partial(variables_for, number) for number in range(len(urls))]


def _is_readable(rules: tuple[Rule, ...], charset: str | None, variables: Variables, response: Response) -> bool:
    return rule_handles_error_body(rules, response.with_charset(charset), variables)


def clean_up_job(api: Api, cleanup: Cleanup, handle: JobHandle, end: CleanupOn) -> Flow[None]:
    """Send the cleanup request of a task that fetches nothing."""
    plan = FetchPlan(
        output=RESULT,
        step=cleanup.step,
        schedule=PollSchedule.parse_retries({}),
        cleanup=cleanup,
    )
    yield from ResultFetcher(api, plan, handle).clean_up(end)


def _unpack(response: Response, limit: int) -> None:
    response.body = gunzip(response.body, limit)


def _find_outcome(rules: tuple[Rule, ...], response: Response, variables: Variables) -> Outcome | None:
    """Return the outcome of the first rule that matches; one that needs JSON doesn't match another format."""
    for rule in rules:
        try:
            if rule.matches(response, variables):
                return rule.outcome
        except ResponseError:
            continue
    return None
