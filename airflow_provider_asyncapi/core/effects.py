"""
What a flow asks its driver to do.

A flow is a generator: it yields one of these, and is sent what came of it, or is thrown the
:class:`~.errors.TransportError` that happened. Nothing in a flow touches a socket, a file or a clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from airflow_provider_asyncapi.core.json_values import displayable

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.kinds import Token
    from airflow_provider_asyncapi.core.http.messages import Request, Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.submit.submission import Submission
    from airflow_provider_asyncapi.core.wait.batch import Answers, Batch
    from airflow_provider_asyncapi.core.wait.lateness import Delay

#: A status document is never this large; one that is would only fill the memory of the triggerer.
MAX_BODY = 1024 * 1024


class Sink(Protocol):
    """Where a streamed body goes, as it came over the wire: content codings are not undone."""

    def begin(self, head: Response, /) -> object:
        """Take the head of a 2xx answer, whose body comes next."""

    def write(self, chunk: bytes, /) -> object:
        """Take the next bytes."""

    def finish(self) -> object:
        """Take notice that the body has ended as HTTP says it should."""


@dataclass(frozen=True, slots=True)
class Send:
    """
    Send a request; answered with a :class:`~.messages.Response`.

    :param request: complete, credentials included.
    :param sink: takes the body of a 2xx answer instead of the response.
    :param limit: the largest body that is read into memory, in bytes.
    :param patient: whether it can wait while the API wants no requests; then a :class:`~.errors.HeldError` is thrown.
    :param passed: is given the answer, and gives the poll that was made where the flow needn't be woken for it; then
        the driver may tell of that poll, and send the request again after its pause.
    :param repeatable: whether doing it twice does no harm. Servers hang up on connections that nobody uses, and may do
        so just as one is used again; then the driver sends the request once more (RFC 9112, section 9.3.1). What isn't
        repeatable it sends over a new connection, so that it meets none of these.
    :param until: when it is given up, in seconds since the epoch, whatever the server sends; then a
        :class:`~.errors.TransportError` is thrown. None for no sooner than any other.
    """

    request: Request
    sink: Sink | None = None
    limit: int = MAX_BODY
    patient: bool = False
    passed: Callable[[Response], Polled | None] | None = None
    repeatable: bool = False
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """
    Ask for one of many jobs, together with all who ask alike; answered with :class:`~.batch.Answers`.

    :param batch: how.
    :param identifier: which job.
    :param interval: seconds between two requests for the same job.
    :param patient: whether it can wait for the others. While the API wants no requests, a :class:`~.errors.HeldError`
        is thrown in any case.
    :param passed: is given what was answered, and gives the poll that was made where the flow needn't be woken for it;
        then the driver may tell of that poll, and ask again an interval later.
    :param until: as for :class:`Send`.
    """

    batch: Batch
    identifier: str | int
    interval: float
    patient: bool
    passed: Callable[[Answers], Polled | None]
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """
    Wait so many seconds; answered with None.

    :param stays_here: whether this process has to wait itself, because the flow is about to end: then the wait can't be
        handed on to another process.
    """

    seconds: float
    stays_here: bool = False


@dataclass(frozen=True, slots=True)
class Authorize:
    """
    Give a valid :class:`~.kinds.Token`, logging in once for all who ask at the same time.

    :param rejected: the token that the API has just refused, if any.
    :param until: as for :class:`Send`.
    """

    rejected: Token | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """
    Call what may take a while without being a request, such as reading a file; answered with what it returns.

    :param work: touches nothing that belongs to an event loop, for there it is called on a thread.
    """

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Log:
    """
    Tell people; answered with None.

    :param level: as in :mod:`logging`.
    """

    level: int
    message: str

    def __post_init__(self) -> None:
        """Take out what an API has put there for a terminal."""
        object.__setattr__(self, "message", displayable(self.message))


@dataclass(frozen=True, slots=True)
class Polled:
    """
    Tell whoever keeps the state that a poll was made; answered with None.

    :param handle: the job as it is known now.
    :param polls: how many polls have been made.
    :param errors: how many of the last ones failed, in a row.
    :param changed: whether status or progress are new.
    :param at: when it was over, in seconds since the epoch.
    :param pause: seconds until the next; None where none follows.
    :param error: what went wrong with it.
    :param called: whether it was no poll, but the job called back.
    :param delay: by how much it was late; None if it was on time.
    """

    handle: JobHandle
    polls: int
    errors: int
    changed: bool
    at: float
    pause: float | None = None
    error: str | None = None
    called: bool = False
    delay: Delay | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """Store how far a submission has come, before anything else happens; answered with None."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Gather:
    """
    Run several flows, some at a time; answered with None.

    Of what they return no more than twice as many as run at a time is held: who is slow holds up those behind.

    :param flows: makes each flow when its turn comes.
    :param concurrency: how many at a time at most.
    :param take: is given what each has returned, in order.
    """

    flows: Iterable[Callable[[], Flow[Any]]]
    concurrency: int
    take: Callable[[Any], object]

    @property
    def window(self) -> int:
        """How many flows may have begun whose results weren't taken."""
        return 2 * self.concurrency


@dataclass(frozen=True, slots=True)
class Listen:
    """
    Look whether the job has called back; answered with the calls as :class:`~.messages.Response`, or None.

    :param heard: how many calls have been taken notice of; only those after them are wanted.
    """

    heard: int


#: What isn't done with a request: whoever runs the flow sees to it.
News: TypeAlias = Log | Polled | Keep | Listen
Effect: TypeAlias = Send | Ask | Sleep | Authorize | Call | Gather | News
T = TypeVar("T")
Flow: TypeAlias = Generator[Effect, Any, T]
