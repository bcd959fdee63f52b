"""
The exceptions of the operators and the sensor, one for each kind of failure, for callbacks and retry policies.

All of them are :class:`AsyncApiException`. Failures that a retry can't fix are
:class:`~airflow.exceptions.AirflowFailException`; Airflow retries the others.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.json_values import JsonValue


class AsyncApiException(AirflowException):
    """
    Any failure. Its fields describe the request and response in which it happened, and the job.

    :ivar method: the method of the request; None if the exception isn't about a request.
    :ivar url: the URL of the response, or of the request if there was none, without its query.
    :ivar status_code: the status code of the response; None if there was none.
    :ivar job: the identifier of the remote job; None if the exception isn't about a known job.
    :ivar status: the latest status of the job, as the API returned it; None if it isn't known.
    :ivar message: the API's own message about the failure; None if the response contains none.
    :ivar rerun: how the failed job may be run again by ``resubmit_on`` and ``repair_on``: ``repair``, ``submit`` or
        ``never``; None if neither is set, or the exception isn't about a failed job.
    :ivar ended_at: when the deadline or ``stall_timeout`` has ended the wait, in seconds since the epoch; None for
        other exceptions.
    :ivar cancellation: the result of the cancel request that was sent then, in words; None if there was none.
    """

    method: str | None = None
    url: str | None = None
    status_code: int | None = None  # type: ignore[assignment]  # Airflow's is that of its own API
    job: str | int | None = None
    status: JsonValue = None
    message: str | None = None
    rerun: str | None = None
    ended_at: float | None = None
    cancellation: str | None = None


class AsyncApiRetryableException(AsyncApiException):
    """Any failure that a retry may fix."""


class AsyncApiUnavailable(AsyncApiRetryableException):
    """No response, or too many transient errors in a row."""


class AsyncApiFileUnavailable(AsyncApiRetryableException):
    """A file that is to be sent can't be read, or isn't there."""


class AsyncApiFileChanged(AsyncApiFileUnavailable):
    """A file has changed while it was sent; the API hasn't received all of it."""


class AsyncApiFailException(AsyncApiException, AirflowFailException):
    """Any failure that a retry can't fix."""


class AsyncApiConfigurationError(AsyncApiFailException):
    """Invalid parameter, profile, connection or job handle."""


class AsyncApiRejected(AsyncApiFailException):
    """The API refused the request, or its response can't be used."""


class AsyncApiUnauthorized(AsyncApiRejected):
    """The API doesn't accept the credentials."""


class AsyncApiJobNotFound(AsyncApiRejected):
    """The API doesn't know the job."""


class AsyncApiSubmitAmbiguous(AsyncApiFailException):
    """The job may or may not have been submitted; a retry could make two."""


class AsyncApiRequestChanged(AsyncApiSubmitAmbiguous):
    """The request differs from that of an earlier try, which has submitted a job; a second job would run too."""


class AsyncApiJobFailed(AsyncApiFailException):
    """The remote job failed."""


class AsyncApiUnknownStatus(AsyncApiJobFailed):
    """The remote job has a status that isn't in a closed list (``running_value``)."""


class AsyncApiAttemptFailed(AsyncApiRetryableException):
    """The remote job failed, and the next try of the task submits another job."""


class AsyncApiTimeout(AsyncApiException, AirflowSensorTimeout):
    """The remote job hasn't ended by the deadline, or within the maximum number of polls."""


class AsyncApiJobStalled(AsyncApiTimeout):
    """Neither the status nor the progress of the remote job has changed for ``stall_timeout``."""


class AsyncApiCancelled(AsyncApiFailException):
    """A user has cancelled the remote job on the page of jobs."""


class AsyncApiResultFailed(AsyncApiFailException):
    """The result can't be used: too large, expired, partial, or not in the expected format."""


#: From the most specific to the most general error: the first match is raised.
_RAISED: tuple[tuple[type[errors.AsyncApiError], type[AsyncApiException]], ...] = (
    (errors.ConfigurationError, AsyncApiConfigurationError),
    (errors.FileChangedError, AsyncApiFileChanged),
    (errors.FileUnavailableError, AsyncApiFileUnavailable),
    (errors.AuthenticationError, AsyncApiUnauthorized),
    (errors.JobNotFoundError, AsyncApiJobNotFound),
    (errors.ResponseError, AsyncApiRejected),
    (errors.ChangedRequestError, AsyncApiRequestChanged),
    (errors.AmbiguousSubmitError, AsyncApiSubmitAmbiguous),
    (errors.UnknownStatusError, AsyncApiUnknownStatus),
    (errors.JobFailedError, AsyncApiJobFailed),
    (errors.JobStalledError, AsyncApiJobStalled),
    (errors.DeadlineExceededError, AsyncApiTimeout),
    (errors.ResultError, AsyncApiResultFailed),
    (errors.UnavailableError, AsyncApiUnavailable),
    (errors.TransportError, AsyncApiUnavailable),
)


def to_airflow(error: errors.AsyncApiError) -> AsyncApiException:
    """Return the Airflow exception for an error of the core, with the same fields."""
    raised = next((raised for kind, raised in _RAISED if isinstance(error, kind)), AsyncApiRetryableException)(
        str(error)
    )
    for name in errors.ERROR_FIELDS:
        setattr(raised, name, getattr(error, name))
    return raised
