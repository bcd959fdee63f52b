"""
The errors of this package, one class for each kind of failure.

A message contains the request, the response, what was expected and what to change, and never a secret. The class alone
shows whether a retry may help, so no code parses messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import make_displayable

#: The fields of an error, beside its text, and the name that each is stored under: ``message`` is that of the text.
_STORED_AS = {
    "method": "method",
    "url": "url",
    "status_code": "status_code",
    "job": "job",
    "status": "status",
    "message": "api_message",
    "rerun": "rerun",
    "ended_at": "ended_at",
    "cancellation": "cancellation",
}
#: The names of what versions before this one have stored.
_STORED_BEFORE = {"status_code": "http_status"}
ERROR_FIELDS = tuple(_STORED_AS)
E = TypeVar("E", bound="AsyncApiError")


class AsyncApiError(Exception):
    """
    Base of all errors of this package. Its text can be logged, shown and stored, whatever an API has put into it.

    :ivar method: the method of the request; None if the error isn't about a request.
    :ivar url: the URL of the response, or of the request if there was none, without its query.
    :ivar status_code: the status code of the response; None if there was none.
    :ivar job: the identifier of the remote job; None if it isn't known.
    :ivar status: the status that the job last had; None if it isn't known.
    :ivar message: the API's own message about the failure, without secrets; None if the response contains none.
    :ivar rerun: how the failed job is run again, by the rules for that (:class:`~.outcome.Rerun`); None without rules.
    :ivar ended_at: when the deadline or ``stall_timeout`` has ended the wait, in seconds since the epoch; None for
        other errors.
    :ivar cancellation: the result of the cancel request that was sent then, in words; None if there was none.
    """

    method: str | None = None
    url: str | None = None
    status_code: int | None = None
    job: str | int | None = None
    status: JsonValue = None
    message: str | None = None
    rerun: str | None = None
    ended_at: float | None = None
    cancellation: str | None = None

    def __str__(self) -> str:
        return make_displayable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is by default, the constructor is called, which may need more than the text.
        return _restore, (type(self), self.args, vars(self))

    def with_message(self, message: str) -> Self:
        """Return the same error, of the same class and with the same fields, under another message."""
        return _restore(type(self), (message,), vars(self))

    def set_fields_from(self, error: AsyncApiError) -> Self:
        """Set the fields of this error to those of another error; return this error."""
        for name in ERROR_FIELDS:
            setattr(self, name, getattr(error, name))
        return self

    def set_job(self, identifier: str | int | None, status: JsonValue) -> Self:
        """Set the job that this error is about, unless it is known already; return this error."""
        if self.job is None:
            self.job, self.status = identifier, status
        return self

    def dump(self) -> dict[str, Any]:
        """Return the error as plain data, which :func:`read_error` reads."""
        fields = {key: value for name, key in _STORED_AS.items() if (value := getattr(self, name)) is not None}
        return {"kind": type(self).__name__, "message": str(self), **fields}


class ConfigurationError(AsyncApiError, ValueError):
    """
    An invalid parameter, profile or connection.

    :ivar step: the request step with whose name the message begins, such as ``submit``; None if there is none.
    """

    step: str | None = None


class SelectorError(ConfigurationError):
    """A selector is malformed."""


class UnknownVariableError(ConfigurationError):
    """A template contains a variable that nothing has set."""


class UnsafeValueError(ConfigurationError):
    """A value from the API can't be put in its place in a template (a ``..`` in a path, a line break)."""


class InvalidHandleError(ConfigurationError):
    """A job handle is of another version, or isn't one."""


class NewerLayoutError(AsyncApiError):
    """Something that a newer version of this provider has stored, and this version can't read."""


class TransportError(AsyncApiError):
    """
    No response: the connection failed, broke, or took too long.

    :param sent: whether the request may have reached the server.
    """

    sent: bool = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class SlowResponseError(TransportError):
    """Reading a response took longer than the time limit; its flow can't continue."""


class FileUnavailableError(AsyncApiError):
    """
    A file that is to be sent can't be read, or isn't there. The server hasn't received the whole request.

    :ivar sent: whether it may have received it when the same request was sent before.
    """

    sent: bool = False


class FileChangedError(FileUnavailableError):
    """A file has changed while it was sent. The server hasn't received all of it."""


class FileTooLargeError(ConfigurationError):
    """A file that is to be sent is larger than ``max_bytes``."""


class ThrottledError(TransportError):
    """
    The request wasn't sent: the API has asked for a pause, which holds for all requests.

    :param seconds: the rest of the pause, in seconds.
    """

    seconds: float = 0.0

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message, sent=False)
        self.seconds = seconds


class ResponseError(AsyncApiError):
    """A response that can't be used."""


class ContentError(ResponseError):
    """The body isn't in the expected format: HTML, empty or broken instead of JSON or XML."""


class UnsafeContentError(ContentError):
    """The body isn't read, because that is dangerous: XML with entities, or larger than allowed."""


class BodyTooLargeError(UnsafeContentError):
    """
    The body has more bytes than are read into memory.

    :ivar head: the :class:`~.messages.Response` without its body; None if it isn't known.
    """

    head: object = None


class RedirectError(ResponseError):
    """A redirect that isn't followed: a loop, from https to http, or with a body to another origin."""


class MissingValueError(ResponseError):
    """A value that the next step needs isn't in the response."""


class UnstorableValueError(ResponseError):
    """A value that Airflow can't store: NaN, half a character, NUL, nested too deeply."""


class RequestRejectedError(ResponseError):
    """The API rejected the request, with a status code that a repetition won't change."""


class AuthenticationError(RequestRejectedError):
    """The API doesn't accept the credentials, not even after they were renewed."""


class JobNotFoundError(RequestRejectedError):
    """The API doesn't know the job (404 or 410)."""


class UnavailableError(AsyncApiError):
    """Too many transient errors in a row; a later try may succeed."""


class AmbiguousSubmitError(AsyncApiError):
    """The job may or may not have been submitted, and submitting again could make two."""


class ChangedRequestError(AmbiguousSubmitError):
    """The request differs from that of an earlier try, which has or may have submitted a job."""


class InvalidCallbackError(AsyncApiError):
    """A callback that isn't genuine: forged, too old, malformed, or about an unknown job."""


class JobFailedError(AsyncApiError):
    """The remote job failed, or has a status that counts as a failure."""


class UnknownStatusError(JobFailedError):
    """The remote job has a status that isn't in a closed list, so the API hasn't reported a failure."""


class DeadlineExceededError(AsyncApiError):
    """The remote job didn't end by the deadline, or within the maximum number of polls."""


class JobStalledError(DeadlineExceededError):
    """Neither the status nor the progress of the remote job has changed for ``stall_timeout``."""


class ResultError(AsyncApiError):
    """The result can't be used."""


class ResultExpiredError(ResultError):
    """The result is gone from the API."""


class ResultTooLargeError(ResultError):
    """The result is larger than its destination allows."""


class PartialResultError(ResultError):
    """Some records of the result failed."""


class ArchiveError(ResultError):
    """The archive is broken, or a member of it is refused."""


def _subclasses(cls: type[AsyncApiError]) -> dict[str, type[AsyncApiError]]:
    found = {cls.__name__: cls}
    for sub in cls.__subclasses__():
        found |= _subclasses(sub)
    return found


def _restore(cls: type[E], args: tuple[Any, ...], fields: Mapping[str, Any]) -> E:
    """Return an error of a class without its constructor, which may need more than a message."""
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(fields)
    return error


def read_error(given: Mapping[str, Any]) -> AsyncApiError:
    """
    Return the error that :meth:`AsyncApiError.dump` wrote; one of an unknown class as the base class.

    :param given: a mapping with ``kind`` and ``message``; unknown keys are ignored.
    """
    kind = _subclasses(AsyncApiError).get(given["kind"], AsyncApiError)
    fields = {name: given.get(key, given.get(_STORED_BEFORE.get(name, key))) for name, key in _STORED_AS.items()}
    return _restore(kind, (given["message"],), fields)
