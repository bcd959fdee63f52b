from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.errors import AsyncApiError, RequestRejectedError, read_error
from airflow_provider_asyncapi.exceptions import to_airflow


def all_below(kind: type[AsyncApiError]) -> set[type[AsyncApiError]]:
    return {kind}.union(*map(all_below, kind.__subclasses__()))


def of_the_core() -> list[type[AsyncApiError]]:
    """Return all kinds of errors, except those of the API server, which no task raises."""
    kinds = all_below(AsyncApiError) - {AsyncApiError}
    return sorted((kind for kind in kinds if ".core." in kind.__module__), key=lambda kind: kind.__name__)


EXPECTED = {
    "ConfigurationError": exceptions.AsyncApiConfigurationError,
    "SelectorError": exceptions.AsyncApiConfigurationError,
    "UnknownVariableError": exceptions.AsyncApiConfigurationError,
    "UnsafeValueError": exceptions.AsyncApiConfigurationError,
    "InvalidHandleError": exceptions.AsyncApiConfigurationError,
    "FileTooLargeError": exceptions.AsyncApiConfigurationError,
    "FileUnavailableError": exceptions.AsyncApiFileUnavailable,
    "FileChangedError": exceptions.AsyncApiFileChanged,
    "NewerLayoutError": exceptions.AsyncApiRetryableException,
    "TransportError": exceptions.AsyncApiUnavailable,
    "ThrottledError": exceptions.AsyncApiUnavailable,
    "SlowResponseError": exceptions.AsyncApiUnavailable,
    "UnavailableError": exceptions.AsyncApiUnavailable,
    "ResponseError": exceptions.AsyncApiRejected,
    "ContentError": exceptions.AsyncApiRejected,
    "BodyTooLargeError": exceptions.AsyncApiRejected,
    "UnsafeContentError": exceptions.AsyncApiRejected,
    "RedirectError": exceptions.AsyncApiRejected,
    "MissingValueError": exceptions.AsyncApiRejected,
    "UnstorableValueError": exceptions.AsyncApiRejected,
    "RequestRejectedError": exceptions.AsyncApiRejected,
    "AuthenticationError": exceptions.AsyncApiUnauthorized,
    "JobNotFoundError": exceptions.AsyncApiJobNotFound,
    "AmbiguousSubmitError": exceptions.AsyncApiSubmitAmbiguous,
    "ChangedRequestError": exceptions.AsyncApiRequestChanged,
    "JobFailedError": exceptions.AsyncApiJobFailed,
    "UnknownStatusError": exceptions.AsyncApiUnknownStatus,
    "DeadlineExceededError": exceptions.AsyncApiTimeout,
    "JobStalledError": exceptions.AsyncApiJobStalled,
}


@pytest.mark.parametrize("kind", of_the_core())
def test_each_error_of_the_core_has_an_exception_of_its_own_kind(kind: type[AsyncApiError]) -> None:
    error = kind.__new__(kind, "it is so")
    Exception.__init__(error, "it is so")
    expected = EXPECTED.get(kind.__name__)
    if kind is errors.InvalidCallbackError:
        # The API server answers it; no task comes upon it.
        expected = exceptions.AsyncApiRetryableException
    if expected is None:
        assert issubclass(kind, errors.ResultError), "an error without an exception"
        expected = exceptions.AsyncApiResultFailed
    raised = to_airflow(error)
    assert type(raised) is expected
    assert str(raised) == "it is so"


def test_an_error_that_nobody_foresaw_may_be_retried() -> None:
    assert type(to_airflow(AsyncApiError("odd"))) is exceptions.AsyncApiRetryableException


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_an_error_survives_the_way_through_the_triggerer(kind: str) -> None:
    error = read_error({"kind": kind, "message": "it is so"})
    assert type(error).__name__ == kind
    assert type(to_airflow(error)) is EXPECTED[kind]


FIELDS = {
    "method": "POST",
    "url": "https://api.example.com/jobs",
    "status_code": 422,
    "job": 7,
    "status": "queued",
    "message": "no room",
    "rerun": "submit",
    "ended_at": 1.5,
    "cancellation": "the API has accepted the cancel",
}


def test_an_exception_has_the_request_the_job_and_the_apis_message_also_after_it_was_pickled() -> None:
    error = RequestRejectedError("no")
    vars(error).update(FIELDS)
    raised = to_airflow(error)
    for each in (raised, pickle.loads(pickle.dumps(raised))):
        assert isinstance(each, exceptions.AsyncApiRejected)
        assert str(each) == "no"
        assert {name: getattr(each, name) for name in errors.ERROR_FIELDS} == FIELDS


@pytest.mark.parametrize(
    "kind", [exceptions.AsyncApiRetryableException, exceptions.AsyncApiFailException, exceptions.AsyncApiTimeout]
)
def test_the_fields_of_an_exception_that_is_about_no_request_are_none(kind: type[AirflowException]) -> None:
    # Airflow's own exceptions have the status code that its API server would answer with.
    assert {getattr(kind("late"), name) for name in errors.ERROR_FIELDS} == {None}


@pytest.mark.parametrize(
    ("raised", "may_be_retried"),
    [
        (exceptions.AsyncApiRetryableException, True),
        (exceptions.AsyncApiUnavailable, True),
        (exceptions.AsyncApiConfigurationError, False),
        (exceptions.AsyncApiRejected, False),
        (exceptions.AsyncApiUnauthorized, False),
        (exceptions.AsyncApiJobNotFound, False),
        (exceptions.AsyncApiSubmitAmbiguous, False),
        (exceptions.AsyncApiRequestChanged, False),
        (exceptions.AsyncApiJobFailed, False),
        (exceptions.AsyncApiUnknownStatus, False),
        (exceptions.AsyncApiTimeout, False),
        (exceptions.AsyncApiResultFailed, False),
    ],
)
def test_only_what_a_retry_may_mend_is_retried(raised: type[AirflowException], may_be_retried: bool) -> None:
    assert issubclass(raised, AirflowException)
    # Airflow retries neither of these two.
    assert issubclass(raised, AirflowFailException | AirflowSensorTimeout) is not may_be_retried


def test_one_class_catches_each_exception_and_has_its_fields() -> None:
    for kind in (exceptions.AsyncApiUnavailable, exceptions.AsyncApiRejected, exceptions.AsyncApiTimeout):
        assert issubclass(kind, exceptions.AsyncApiException)
    error = RequestRejectedError("no")
    error.status_code = 422
    with pytest.raises(exceptions.AsyncApiException) as caught:
        raise to_airflow(error)
    assert caught.value.status_code == 422
