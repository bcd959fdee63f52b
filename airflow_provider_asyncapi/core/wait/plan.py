"""The plan of a wait, parsed from the parameters of the sensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from airflow_provider_asyncapi.core.callbacks.settings import CallbackMode
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.cleanup import CLEANUP_PARAMETERS, Cleanup, CleanupOn
from airflow_provider_asyncapi.core.jobs.rerun_rules import Repair, RerunRules
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER
from airflow_provider_asyncapi.core.parameter_names import RERUN_PARAMETERS
from airflow_provider_asyncapi.core.parameter_values import LONGEST_TIMEOUT
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS, RequestTemplate
from airflow_provider_asyncapi.core.requests.schedule import SCHEDULE_PARAMETERS, PollSchedule
from airflow_provider_asyncapi.core.selectors.captures import parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.policy import STATUS_PARAMETERS, StatusPolicy
from airflow_provider_asyncapi.core.status.progress import Progress
from airflow_provider_asyncapi.core.wait.batch_plan import Batch
from airflow_provider_asyncapi.core.wait.details_plan import (
    FAILURE_DETAILS,
    STATUS_DETAILS,
    StatusDetails,
    parse_failure_details,
)
from airflow_provider_asyncapi.core.wait.job_log import LOGS, JobLog

#: Default seconds between polls if the job calls back: these polls are only a fallback for a lost callback.
_FALLBACK_INTERVAL = 300
#: Ends of a wait after which no result is fetched.
_WITHOUT_RESULT = (CleanupOn.NO_DATA, CleanupOn.FAILURE)
WAIT_PARAMETERS = (
    # A status request has no file to upload.
    *(name for name in REQUEST_PARAMETERS if name != "files"),
    *STATUS_PARAMETERS,
    *SCHEDULE_PARAMETERS,
    RESULT_IDENTIFIER,
    "capture",
    "error_message",
    "progress",
    "cancel",
    *CLEANUP_PARAMETERS,
    "batch",
    "callback",
    STATUS_DETAILS,
    FAILURE_DETAILS,
    "stall_timeout",
    "warn_after",
    LOGS,
    *RERUN_PARAMETERS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPlan:
    """
    The plan of a wait.

    :cvar parameters: the names of the parameters.
    :cvar task_parameters: parameters that only a task has, which is tried again, or resumed by a callback.
    :param request: the status request.
    :param policy: the meaning of its responses.
    :param schedule: the times of the polls, and the retries after errors.
    :param captures: the variables to capture from responses, including the result identifier.
    :param error_message: the selector of the error message of a failed job.
    :param progress: the selectors of the progress.
    :param cancel: the request that cancels the job.
    :param cleanup: the request that removes the job, with the ends of the wait after which it is sent.
    :param batch: the request that polls several jobs; None if each is polled alone.
    :param callback: the meaning of a callback; None if the API doesn't call back.
    :param status_details: the request that confirms a status that means success; None if the status is enough.
    :param failure_details: the requests that find out why the job failed.
    :param stall_timeout: seconds without a change of status or progress after which the wait fails; None for no limit.
    :param warn_after: seconds after which a warning is logged; None for no warning.
    :param logs: the log of the job, whose lines are shown while it runs; None for none.
    :param rerun: the failures after which the job is run again; None for all.
    :param repair: the request that resumes the job after it has failed; None for none.
    """

    parameters: ClassVar[tuple[str, ...]] = WAIT_PARAMETERS
    task_parameters: ClassVar[frozenset[str]] = frozenset({"callback", *RERUN_PARAMETERS})

    request: RequestTemplate
    policy: StatusPolicy
    schedule: PollSchedule = field(default_factory=PollSchedule)
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    error_message: SelectorChain | None = None
    progress: Progress | None = None
    cancel: RequestStep | None = None
    batch: Batch | None = None
    callback: CallbackMode | None = None
    status_details: StatusDetails | None = None
    failure_details: tuple[RequestStep, ...] = ()
    cleanup: Cleanup | None = None
    stall_timeout: float | None = None
    warn_after: float | None = None
    logs: JobLog | None = None
    rerun: RerunRules | None = None
    repair: Repair | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> WaitPlan:
        """
        Parse the parameters of the sensor.

        :param given: a mapping with keys of :data:`WAIT_PARAMETERS`.
        :param complete: whether a missing parameter is an error; False if a profile may still add it.
        :raises ConfigurationError: if a parameter is invalid; the message names it.
        """
        policy = StatusPolicy.parse(given, complete=complete)
        batch, callback = given.get("batch"), CallbackMode.parse(given.get("callback"))
        has_status_request = given.get("endpoint") is not None or batch is not None
        if complete and callback is CallbackMode.HINT and not has_status_request:
            raise ConfigurationError(
                "callback: after a 'hint' the status is polled, so endpoint is needed; with callback=True the callback"
                " itself decides"
            )
        if callback is not None and given.get("poke_interval") is None:
            given = {**given, "poke_interval": _FALLBACK_INTERVAL}
        if complete and policy.is_empty and (has_status_request or callback is None):
            raise ConfigurationError(
                "completion_key: is missing; it is the selector of the job's status in the response, such as"
                " 'data.status' (or set rules, or a profile)"
            )
        if complete and given.get(LOGS) is not None and not has_status_request:
            raise ConfigurationError(f"{LOGS}: the log is read after each poll, so endpoint is needed")
        captures = parse_captures(given.get("capture"), "capture")
        if given.get(RESULT_IDENTIFIER) is not None:
            captures[RESULT_IDENTIFIER] = SelectorChain.parse(
                given[RESULT_IDENTIFIER], RESULT_IDENTIFIER, takes_only=True
            )
        request = {name: given[name] for name in REQUEST_PARAMETERS if given.get(name) is not None}
        return cls(
            request=RequestTemplate.parse(
                request, "status request", complete=complete and batch is None and callback is None
            ),
            policy=policy,
            schedule=PollSchedule.parse(given),
            captures=captures,
            error_message=SelectorChain.parse_optional(given.get("error_message"), "error_message"),
            progress=Progress.parse(given.get("progress")),
            cancel=RequestStep.parse_optional(given.get("cancel"), "cancel", method="POST"),
            # A profile may still add the endpoint.
            batch=Batch.parse(batch, singly=given.get("endpoint") is not None or not complete),
            callback=callback,
            status_details=StatusDetails.parse(given.get(STATUS_DETAILS)),
            failure_details=parse_failure_details(given.get(FAILURE_DETAILS)),
            cleanup=parse_cleanup(given, complete=complete),
            stall_timeout=_parse_limit(given, "stall_timeout"),
            warn_after=_parse_limit(given, "warn_after"),
            logs=JobLog.parse(given.get(LOGS)),
            rerun=RerunRules.parse(given, ignore_case=policy.ignore_case),
            # The triggerer gets the rules in repair_on without the request.
            repair=Repair.parse(given, complete=False),
        )

    @property
    def has_status_request(self) -> bool:
        """Whether the plan has a request for the status."""
        return bool(self.request.endpoint) or self.batch is not None

    @property
    def reads_headers(self) -> bool:
        """Whether the meaning of a response may depend on its headers, not only on its status code and body."""
        selections = [
            self.policy.key,
            *self.captures.values(),
            *(self.progress.parts.values() if self.progress else ()),
        ]
        selections += [condition.selector for rule in self.policy.rules for condition in rule.conditions]
        return any(selection.reads_headers for selection in selections if selection)


def _parse_limit(given: Mapping[str, Any], name: str) -> float | None:
    """Return a time limit in seconds, which isn't 0; None if it isn't given."""
    value = given.get(name)
    seconds = None if value is None else parse_timeout(value, name)
    if seconds == 0:
        raise ConfigurationError(f"{name}: has to be longer than 0 s; leave it out for no limit")
    return seconds


def parse_timeout(given: Any, name: str = "timeout") -> float:
    """
    Parse the parameter ``timeout`` of a wait, or another time limit: seconds, or a timedelta.

    :raises ConfigurationError: if it is neither, negative, or longer than 200 years.
    """
    seconds: Any = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_TIMEOUT:
        raise ConfigurationError(
            f"{name}: has to be a number of seconds from 0 to {LONGEST_TIMEOUT:,}, or a timedelta, not {given!r}"
        )
    return seconds


def parse_cleanup(given: Mapping[str, Any], *, complete: bool = True) -> Cleanup | None:
    """
    Parse the parameters ``cleanup`` and ``cleanup_on`` of the sensor.

    :raises ConfigurationError: if a parameter is invalid; the message names it.
    """
    return Cleanup.parse(
        given, default=_WITHOUT_RESULT, possible=(CleanupOn.SUCCESS, *_WITHOUT_RESULT), complete=complete
    )
