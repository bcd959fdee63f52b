"""Poll jobs with the same batch and interval in common requests, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Protocol

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, PollBatch, Polled, RunConcurrently, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.wait.batch_flow import poll_batch
from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse

#: Time that the first job waits for other jobs: a fraction of the interval, and the longest time in seconds.
_GATHER_SHARE, _MAX_GATHER_SECONDS = 0.05, 0.5


class BatchWaiter(Protocol):
    """A wait whose flow is suspended until there is a response that it has to process."""

    @property
    def poll(self) -> PollBatch:
        """The effect that the flow has yielded."""

    @property
    def is_gone(self) -> bool:
        """Whether the flow needs no response any more, because it has one or was cancelled."""

    def report(self, polled: Polled, /) -> object:
        """Report a poll whose response was unchanged."""

    def resume(self, response: BatchResponse, /) -> object:
        """Resume the flow with a response."""

    def fail(self, error: Exception, /) -> object:
        """Resume the flow with an error."""


class BatchRounds:
    """
    Polls many jobs in rounds, as long as a flow waits for one of them.

    A round begins an interval after the responses of the previous one, when the resumed flows have asked again; a flow
    that comes between two rounds joins the next one. So each job is polled at most once in an interval. A flow that
    skips an unchanged response joins the next round, too.

    :param batch: the description of the requests.
    :param interval: seconds from one round to the next.
    """

    def __init__(self, api: Api, batch: Batch, interval: float) -> None:
        self._api, self._batch, self._interval = api, batch, interval
        self._gather = min(_GATHER_SHARE * interval, _MAX_GATHER_SECONDS)
        self._waiting: list[BatchWaiter] = []
        self._in_round: list[BatchWaiter] = []

    def join(self, waiter: BatchWaiter) -> None:
        """Poll a job in the next round."""
        self._waiting.append(waiter)

    def poll_in_rounds(self) -> Flow[None]:
        """Poll until no flow has waited for a whole interval."""
        yield Sleep(self._gather)
        while self._waiting:
            # A flow that has been cancelled meanwhile needs no response.
            self._in_round = [waiter for waiter in self._waiting if not waiter.is_gone]
            self._waiting = []
            size = self._batch.size
            parts = [self._in_round[start : start + size] for start in range(0, len(self._in_round), size)]
            # Reading the responses for thousands of jobs at once would block the event loop.
            polls = [
                partial(self._poll_part, part, number * self._gather / len(parts)) for number, part in enumerate(parts)
            ]
            yield RunConcurrently(polls, concurrency=len(polls) or 1, on_result=_ignore)
            # The resumed flows sleep for the interval, and are awake when the next round begins.
            yield Sleep(self._interval + self._gather)

    def fail(self, error: Exception) -> None:
        """Resume all flows with an error, since no further round follows."""
        _fail_each([*self._in_round, *self._waiting], error)

    def _poll_part(self, part: Sequence[BatchWaiter], delay: float) -> Flow[None]:
        """Poll the jobs of one request."""
        yield Sleep(delay)
        # A job that two flows wait for is polled once.
        identifiers = list(dict.fromkeys(waiter.poll.identifier for waiter in part))
        try:
            response = yield from poll_batch(self._api, self._batch, identifiers, can_wait=True)
        except AsyncApiError as error:
            _fail_each(part, error)
            return
        # A driver may read a large response on a thread; the flows have to be resumed on the event loop.
        yield Sleep(0)
        for waiter in part:
            if not waiter.is_gone:
                self._deliver(waiter, response)

    def _deliver(self, waiter: BatchWaiter, response: BatchResponse) -> None:
        """Resume a flow with a response; if it is unchanged, poll the job again in the next round."""
        try:
            if (polled := waiter.poll.skip_if_unchanged(response)) is None:
                waiter.resume(response)
            else:
                waiter.report(polled)
                self._waiting.append(waiter)
        except Exception as error:  # noqa: BLE001 - an error of one wait is raised in that wait, not in all of them
            waiter.fail(error)


def _fail_each(waiters: Sequence[BatchWaiter], error: Exception) -> None:
    for waiter in waiters:
        if not waiter.is_gone:
            # Each flow gets a copy, since a traceback is added to it.
            waiter.fail(copy(error))


def _ignore(_: object) -> None:
    """Ignore the result of the flow of one request, which has resumed the waits itself."""
