"""Retry requests after transient errors."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, TransportError, UnavailableError
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Request, Response
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import build_transient_error
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE, ResponsePolicy
from airflow_provider_asyncapi.core.requests.retry_hints import read_retry_after
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.text import format_number

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.http.downloads import Download


@dataclass(slots=True)
class RetryBudget:
    """
    Count consecutive transient errors, and return the delay after each until there are too many.

    :param schedule: the number of errors that is too many, and the delays.
    :param errors: the number of errors so far.
    :param reached: the largest number of bytes that an interrupted transfer has kept.
    """

    schedule: PollSchedule
    errors: int = 0
    reached: int = 0

    def count_progress(self, kept: int) -> None:
        """
        End the row of errors if a transfer that is resumed after each of them makes progress.

        :param kept: the number of bytes that it has kept.
        """
        if kept > self.reached:
            self.reached, self.errors = kept, min(self.errors, 1)

    def next_delay(self, api: Api, problem: AsyncApiError, response: Response | None = None) -> float:
        """
        Count one more error, and return the seconds until the next try.

        :param problem: the error.
        :param response: the response; None if there was none.
        :raises UnavailableError: if there were too many errors.
        """
        self.errors += 1
        if self.errors >= self.schedule.max_errors:
            if isinstance(problem, ContentError):
                raise problem
            count = f"{self.errors} error{'s in a row' * (self.errors != 1)}"
            raise UnavailableError(f"{problem} ({count})").set_fields_from(problem) from problem
        if response is None:
            return self.schedule.delay_after_error(self.errors, None, None, api.rng)
        retry_after = read_retry_after(api, self.schedule, response)
        return self.schedule.delay_after_error(self.errors, response.status, retry_after, api.rng)

    def wait_before_retry(self, api: Api, problem: AsyncApiError, response: Response | None = None) -> Flow[None]:
        """
        Count one more error, log it, and wait until the next try.

        :raises UnavailableError: if there were too many errors, or the API asks for a longer wait than a worker may
            make.
        """
        delay = self.next_delay(api, problem, response)
        if delay > self.schedule.max_retry_delay:
            retry_after = read_retry_after(api, self.schedule, response)
            advice = f"the next try may be in {retry_after or delay:.0f} s, which is too long for a worker to wait"
            raise UnavailableError(f"{problem}; {advice}").set_fields_from(problem)
        yield Log(logging.WARNING, f"{problem}; trying again in {format_number(delay)} s")
        yield Sleep(delay)


def send_with_retries(
    api: Api,
    request: Request,
    schedule: PollSchedule,
    policy: ResponsePolicy = REPEATABLE,
    *,
    download: Download | None = None,
    limit: int = MAX_BODY,
) -> Flow[Response]:
    """
    Send a request that may be repeated, until its response isn't transient.

    :param policy: the responses that are no transient errors, whatever their status code.
    :param download: receives the body of a 2xx response; an interrupted transfer is resumed if possible.
    :return: the response, whatever its status code.
    :raises UnavailableError: after too many transient errors in a row. A transfer that makes progress ends the row.
    """
    budget = RetryBudget(schedule)
    while True:
        response: Response | None = None
        sent = request if download is None else download.prepare_request(request)
        if download is not None:
            budget.count_progress(download.kept_bytes)
        try:
            response = yield from send(api, sent, policy, sink=download, limit=limit)
            if download is not None and download.refuses_range(response):
                problem: AsyncApiError = build_transient_error(api, sent, response)
            elif policy.takes_for_transient(response):
                problem = build_transient_error(api, request, response)
            else:
                return response
        except TransportError as error:
            problem = error
        yield from budget.wait_before_retry(api, problem, response)
