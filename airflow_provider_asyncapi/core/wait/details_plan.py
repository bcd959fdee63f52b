"""The further requests of a wait, which confirm a success or find out why a job failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.status.policy import STATUS_PARAMETERS, StatusPolicy

STATUS_DETAILS = "status_details"
FAILURE_DETAILS = "failure_details"


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """
    The request that is sent when the status means success, and whose response decides.

    :param step: the request, and the captures from its response.
    :param policy: the meaning of its response; an empty policy means success for any 2xx.
    """

    step: RequestStep
    policy: StatusPolicy

    @classmethod
    def parse(cls, given: Any) -> StatusDetails | None:
        """
        Parse the parameter ``status_details``; return None if it isn't given.

        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{STATUS_DETAILS}: has to be a mapping that describes a request, not {given!r}")
        status = {name: value for name, value in given.items() if name in STATUS_PARAMETERS}
        step = RequestStep.parse({name: value for name, value in given.items() if name not in status}, STATUS_DETAILS)
        try:
            return cls(step, StatusPolicy.parse(status))
        except ConfigurationError as error:
            raise error.with_message(f"{STATUS_DETAILS}: {error}") from None


def parse_failure_details(given: Any) -> tuple[RequestStep, ...]:
    """
    Parse the parameter ``failure_details``: the requests that find out why a job failed, in order.

    :raises ConfigurationError: if it is invalid; the message names the key.
    """
    return tuple(RequestStep.parse(step, FAILURE_DETAILS) for step in as_list(given))
