"""
What the operators, the sensor and the trigger raise, for callbacks and retry policies to tell apart.

Those that a retry can't mend are :class:`~airflow.exceptions.AirflowFailException`; the others count as a failed try.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.json_values import JsonValue


class _Fields:
    """
    What each exception holds beside its text: the exchange in which it happened, and the job.

    :ivar method: the method of the request; None if the exception isn't about a request.
    :ivar url: the URL that answered, or was asked, without its query.
    :ivar status_code: the status code of the answer; None if there was none.
    :ivar job: the identifier of the remote job; None if the exception isn't about a job that is known.
    :ivar status: the status that the job last had, as the API gave it; None if it isn't known.
    :ivar message: the API's own message about the failure; None if the answer holds none.
    """

    method: str | None = None
    url: str | None = None
    status_code: int | None = None
    job: str | int | None = None
    status: JsonValue = None
    message: str | None = None


class AsyncApiException(_Fields, AirflowException):  # type: ignore[misc]  # Airflow's status_code is of its own API
    """Any failure that a later try may mend."""


class AsyncApiUnavailable(AsyncApiException):
    """No answer, or too many transient errors in a row."""


class AsyncApiFailure(_Fields, AirflowFailException):  # type: ignore[misc]
    """Any failure that a retry can't mend."""


class AsyncApiConfigurationError(AsyncApiFailure):
    """A parameter, a profile, a connection or a job handle says something that can't be meant."""


class AsyncApiRejected(AsyncApiFailure):
    """The API refused the request, or its answer can't be used."""


class AsyncApiUnauthorized(AsyncApiRejected):
    """The API doesn't accept the credentials."""


class AsyncApiJobNotFound(AsyncApiRejected):
    """The API doesn't know the job."""


class AsyncApiSubmitAmbiguous(AsyncApiFailure):
    """The job may or may not have been submitted; a retry could make two."""


class AsyncApiRequestChanged(AsyncApiSubmitAmbiguous):
    """The request isn't that of an earlier try, which has submitted a job; another one would run beside it."""


class AsyncApiJobFailed(AsyncApiFailure):
    """The remote job failed."""


class AsyncApiTimeout(_Fields, AirflowSensorTimeout):  # type: ignore[misc]
    """The remote job wasn't done in time, or in as many polls as allowed."""


class AsyncApiResultFailed(AsyncApiFailure):
    """The result can't be taken as it is: too large, gone, partial, or not what was promised."""


#: From the most special to the most general: the first that fits is raised.
_RAISED: tuple[tuple[type[errors.AsyncApiError], type[AirflowException]], ...] = (
    (errors.ConfigurationError, AsyncApiConfigurationError),
    (errors.AuthenticationError, AsyncApiUnauthorized),
    (errors.JobNotFoundError, AsyncApiJobNotFound),
    (errors.ResponseError, AsyncApiRejected),
    (errors.ChangedRequestError, AsyncApiRequestChanged),
    (errors.AmbiguousSubmitError, AsyncApiSubmitAmbiguous),
    (errors.JobFailedError, AsyncApiJobFailed),
    (errors.DeadlineError, AsyncApiTimeout),
    (errors.ResultError, AsyncApiResultFailed),
    (errors.UnavailableError, AsyncApiUnavailable),
    (errors.TransportError, AsyncApiUnavailable),
)


def to_airflow(error: errors.AsyncApiError) -> AirflowException:
    """Return the exception that Airflow understands for an error of the core, with the same fields."""
    raised = next((raised for kind, raised in _RAISED if isinstance(error, kind)), AsyncApiException)(str(error))
    for name in errors.ERROR_FIELDS:
        setattr(raised, name, getattr(error, name))
    return raised
