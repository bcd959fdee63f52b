"""
The effects that a flow yields to its driver.

A flow is a generator: it yields effects, and its driver sends the result of each into it, or throws the
:class:`~.errors.AsyncApiError` that the effect raised. A flow itself uses no socket, no file and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from airflow_provider_asyncapi.core.http.messages import MAX_BODY
from airflow_provider_asyncapi.core.text import make_displayable

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import Token
    from airflow_provider_asyncapi.core.http.delays import Delay
    from airflow_provider_asyncapi.core.http.messages import Request, Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.core.submit.submission import Submission
    from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse
    from airflow_provider_asyncapi.core.wait.log_position import LogPosition
    from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem


class Sink(Protocol):
    """The receiver of a streamed body, as it came over the wire: with its content codings."""

    def begin(self, head: Response, /) -> object:
        """Handle the head of a 2xx response, before its body."""

    def write(self, chunk: bytes, /) -> object:
        """Handle a chunk of the body."""

    def finish(self) -> object:
        """Handle the end of the body, which has been received completely."""


@dataclass(frozen=True, slots=True)
class Send:
    """
    Send a request; the result is the :class:`~.messages.Response`.

    :param request: the complete request, with credentials.
    :param sink: the receiver of the body of a 2xx response; None to read the body into the response.
    :param limit: largest body that is read into memory, in bytes.
    :param can_wait: whether the flow can wait while the API asks clients to pause; then the request isn't sent, and
        :class:`~.errors.ThrottledError` is raised.
    :param is_repeatable: whether it does no harm if the server receives the request twice. A server closes idle
        connections, perhaps just as one is used again; then the driver sends a repeatable request once more (RFC 9112,
        section 9.3.1). Any other request is sent over a new connection, so that this can't happen to it.
    :param until: time at which to give up, in seconds since the epoch, even if data still arrives; then a
        :class:`~.errors.TransportError` is raised. None for the usual timeouts only.
    """

    request: Request
    sink: Sink | None = None
    limit: int = MAX_BODY
    can_wait: bool = False
    is_repeatable: bool = False
    until: float | None = None


@dataclass(frozen=True, slots=True)
class PollUntilChanged:
    """
    Send a status request, and send it again as long as its response is unchanged; the result is the last response.

    Drivers don't see this effect: :func:`~.unchanged_polls.perform_each_poll` turns it into the effects of each poll.

    :param send: the request.
    :param skip_if_unchanged: called with each response; returns the :class:`Polled` of a poll that has found nothing
        new, with the pause before the next one; None if the flow has to process the response.
    """

    send: Send
    skip_if_unchanged: Callable[[Response], Polled | None]


@dataclass(frozen=True, slots=True)
class PollBatch:
    """
    Poll a job in one request with other jobs that have the same batch; the result is a :class:`~.BatchResponse`.

    :class:`~.errors.ThrottledError` is raised while the API asks clients to pause.

    :param batch: the description of the request.
    :param identifier: the identifier of the job.
    :param interval: seconds between two polls of the same job.
    :param skip_if_unchanged: as for :class:`PollUntilChanged`, with the :class:`~.BatchResponse`. The driver may skip
        unchanged responses: the job is polled again an interval later.
    :param until: as for :class:`Send`.
    """

    batch: Batch
    identifier: str | int
    interval: float
    skip_if_unchanged: Callable[[BatchResponse], Polled | None]
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """
    Sleep; the result is None.

    :param seconds: the time to sleep.
    :param is_deferrable: whether the task may be deferred or rescheduled for that time. If not, this process has to
        sleep itself, since the flow is about to end.
    """

    seconds: float
    is_deferrable: bool = True


@dataclass(frozen=True, slots=True)
class GetToken:
    """
    Get a valid access token; the result is a :class:`~.tokens.Token`.

    Flows that need a token at the same time share the request for it.

    :param rejected: the token that the API has just refused, if any.
    :param until: as for :class:`Send`.
    """

    rejected: Token | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class RunBlocking:
    """
    Call a function that may block, such as one that reads a file; the result is what the function returns.

    :param work: the function. It must not use an event loop: the asynchronous driver calls it on a thread.
    """

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Log:
    """
    Log a message; the result is None.

    :param level: as in :mod:`logging`.
    :param message: the text, without secrets.
    """

    level: int
    message: str

    def __post_init__(self) -> None:
        """Remove control characters, which an API may have sent to confuse a terminal."""
        object.__setattr__(self, "message", make_displayable(self.message))


class PauseReason(StrEnum):
    """What the pause before the next poll follows from."""

    #: The schedule: ``poke_interval``, ``backoff``, the deadline.
    INTERVAL = "interval"
    #: The API has asked for it, with ``Retry-After`` or ``retry_after``.
    REQUESTED = "requested"
    #: The poll has failed, and is repeated.
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Polled:
    """
    Report a poll, or a callback, to the keeper of the wait's state; the result is None.

    :param handle: the job as it is known now.
    :param polls: number of polls so far.
    :param errors: number of consecutive failed polls up to now.
    :param changed: whether the status or the progress has changed.
    :param at: end of the poll, in seconds since the epoch.
    :param pause: seconds until the next poll; None if there is none.
    :param error: the message of the error if the poll failed.
    :param by_callback: whether this reports a callback of the job instead of a poll.
    :param delay: the delay of the poll; None if it was on time.
    :param warned: whether the wait was found to take longer than ``warn_after``; True at most once in a wait.
    :param log: the position in the job's log up to which its lines have been shown; None if it isn't shown.
    :param pause_reason: what the pause follows from; None if there is no pause.
    :param status_problem: why the job only counts as running; None if its status is known.
    :param status_code: the status code of the response if the poll failed; None if there was no response.
    :param stalled_at: time from which a job without a change counts as stalled, in seconds since the epoch; None for
        never.
    :param unchanged_since: time of the last change, or the start of the wait, in seconds since the epoch; None if the
        job never counts as stalled.
    :param shown_response: the response as users see it (:func:`~.poll_report.describe_response`); None if the poll has
        found nothing new.
    """

    handle: JobHandle
    polls: int
    errors: int
    _: KW_ONLY
    changed: bool
    at: float
    pause: float | None = None
    error: str | None = None
    by_callback: bool = False
    delay: Delay | None = None
    warned: bool = False
    log: LogPosition | None = None
    pause_reason: PauseReason | None = None
    status_problem: StatusProblem | None = None
    status_code: int | None = None
    stalled_at: float | None = None
    unchanged_since: float | None = None
    shown_response: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class SaveSubmission:
    """Store the state of a submission before the flow continues; the result is None."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class RunConcurrently:
    """
    Run several flows concurrently; the result is None.

    A slow flow blocks later ones: :class:`~.concurrent_tasks.ConcurrentTasks` limits the results that are buffered.

    :param flows: factories of the flows; each is called when its flow is due to start.
    :param concurrency: largest number of flows that run at the same time.
    :param on_result: called with the result of each flow, in the order of the flows.
    """

    flows: Iterable[Callable[[], Flow[Any]]]
    concurrency: int
    on_result: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class FetchCallbacks:
    """
    Fetch the callbacks of the job; the result is a list of :class:`~.messages.Response`, or None if there are none.

    :param callbacks_seen: number of callbacks that the wait has processed already; the result begins after them.
    """

    callbacks_seen: int


#: The effects that send no request: the caller of the driver handles them (see ``Observer``).
Notification: TypeAlias = Log | Polled | SaveSubmission | FetchCallbacks
#: The effects that a driver performs.
DriverEffect: TypeAlias = Send | PollBatch | Sleep | GetToken | RunBlocking | RunConcurrently | Notification
Effect: TypeAlias = DriverEffect | PollUntilChanged
T = TypeVar("T")
Flow: TypeAlias = Generator[Effect, Any, T]
#: A flow as a driver runs it, in which each poll is an effect of its own.
DriverFlow: TypeAlias = Generator[DriverEffect, Any, T]
