"""How a job is waited for, and where a wait stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from airflow_provider_asyncapi.core.callbacks.calls import Callback
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.cleanup import CLEANUP_PARAMETERS, Cleanup, CleanupOn
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS, RequestTemplate
from airflow_provider_asyncapi.core.requests.schedule import SCHEDULE_PARAMETERS, PollSchedule
from airflow_provider_asyncapi.core.requests.step import Step
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain, parse_captures
from airflow_provider_asyncapi.core.status.policy import STATUS_PARAMETERS, StatusPolicy
from airflow_provider_asyncapi.core.status.progress import Progress
from airflow_provider_asyncapi.core.wait.batch_plan import Batch
from airflow_provider_asyncapi.core.wait.details_plan import (
    FAILURE_DETAILS,
    STATUS_DETAILS,
    StatusDetails,
    parse_failure_details,
)

#: Of the layout of a wait; see :mod:`~.layouts`.
VERSION = 1
#: Seconds between polls where the job calls back, and none is said: they are the net below the callback.
_BESIDE_CALLBACKS = 300
#: The ends of a wait after which nothing is fetched.
_UNFETCHED = (CleanupOn.NO_DATA, CleanupOn.FAILURE)
WAIT_PARAMETERS = (
    *REQUEST_PARAMETERS,
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
)


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """
    How a job is waited for.

    :param request: the status request.
    :param policy: what its answers mean.
    :param schedule: how often it is sent.
    :param captures: variables to take from the answers, the result identifier among them.
    :param error_message: where the answer says why the job failed.
    :param progress: where it says how far the job is.
    :param cancel: the request that stops the job.
    :param cleanup: the request that removes the job, and after which ends of the wait.
    :param batch: how many jobs are asked for with one request, where that is possible.
    :param callback: what a callback means; None where none comes.
    :param status_details: the request whose answer decides when the status says success; None if the status decides.
    :param failure_details: the requests that find out why the job failed.
    """

    parameters: ClassVar[tuple[str, ...]] = WAIT_PARAMETERS

    request: RequestTemplate
    policy: StatusPolicy
    schedule: PollSchedule = field(default_factory=PollSchedule)
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    error_message: SelectorChain | None = None
    progress: Progress | None = None
    cancel: Step | None = None
    batch: Batch | None = None
    callback: Callback | None = None
    status_details: StatusDetails | None = None
    failure_details: tuple[Step, ...] = ()
    cleanup: Cleanup | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> WaitPlan:
        """
        Read the parameters of the sensor.

        :param given: a mapping with keys of :data:`WAIT_PARAMETERS`.
        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        policy = StatusPolicy.parse(given, complete=complete)
        batch, callback = given.get("batch"), Callback.parse(given.get("callback"))
        polls = given.get("endpoint") is not None or batch is not None
        if complete and callback is Callback.HINT and not polls:
            raise ConfigurationError(
                "callback: a hint says when to ask for the status, so endpoint has to say where; callback=True takes"
                " the callback's own word"
            )
        if callback is not None and given.get("poke_interval") is None:
            given = {**given, "poke_interval": _BESIDE_CALLBACKS}
        if complete and policy.is_empty and (polls or callback is None):
            raise ConfigurationError(
                "completion_key: is missing; it is the selector of the job's status in the answer, such as"
                " 'data.status'"
                " (or give rules, or a profile)"
            )
        captures = parse_captures(given.get("capture"), "capture")
        if given.get(RESULT_IDENTIFIER) is not None:
            captures[RESULT_IDENTIFIER] = SelectorChain.parse(given[RESULT_IDENTIFIER], RESULT_IDENTIFIER)
        request = {name: given[name] for name in REQUEST_PARAMETERS if given.get(name) is not None}
        return cls(
            RequestTemplate.parse(request, "status request", complete=complete and batch is None and callback is None),
            policy,
            PollSchedule.parse(given),
            captures,
            SelectorChain.parse_optional(given.get("error_message"), "error_message"),
            Progress.parse(given.get("progress")),
            Step.parse(given["cancel"], "cancel", method="POST") if given.get("cancel") is not None else None,
            # A profile may still add the endpoint.
            Batch.parse(batch, singly=given.get("endpoint") is not None or not complete),
            callback,
            StatusDetails.parse(given.get(STATUS_DETAILS)),
            parse_failure_details(given.get(FAILURE_DETAILS)),
            parse_cleanup(given, complete=complete),
        )

    @property
    def polls(self) -> bool:
        """Whether there is a request for the status."""
        return bool(self.request.endpoint) or self.batch is not None

    @property
    def reads_headers(self) -> bool:
        """Whether what an answer means may depend on more than its status code and body."""
        selections = [
            self.policy.key,
            *self.captures.values(),
            *(self.progress.parts.values() if self.progress else ()),
        ]
        selections += [condition.selection for rule in self.policy.rules for condition in rule.conditions]
        return any(selection.reads_headers for selection in selections if selection)


def parse_cleanup(given: Mapping[str, Any], *, complete: bool = True) -> Cleanup | None:
    """
    Read the parameters ``cleanup`` and ``cleanup_on`` of the sensor.

    :raises ConfigurationError: naming the parameter that is wrong.
    """
    return Cleanup.parse(given, default=_UNFETCHED, possible=(CleanupOn.SUCCESS, *_UNFETCHED), complete=complete)


#: Attributes of a wait that are stored by an earlier name.
_STORED_NAMES: Final = {"callbacks_seen": "heard"}


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Where a wait stands; plain data, so that it can go on in another process.

    :param handle: the job.
    :param started_at: when the wait began, in seconds since the epoch.
    :param deadline: when it ends, in seconds since the epoch; fixed once. None for never.
    :param polls: how many polls have been made.
    :param errors: how many of the last ones failed, in a row.
    :param next_poll: when the next one is due, in seconds since the epoch; None for as soon as the schedule allows.
    :param callbacks_seen: number of callbacks that the wait has processed.
    """

    handle: JobHandle
    started_at: float
    deadline: float | None = None
    polls: int = 0
    errors: int = 0
    next_poll: float | None = None
    callbacks_seen: int = 0

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Wait:
        """
        Read what :meth:`dump` gave, in this version or another.

        :raises NewerLayoutError: if a newer version of this provider has stored it, and this one can't read it.
        """
        stored = {_STORED_NAMES.get(each.name, each.name): each.name for each in dataclasses.fields(cls)}
        fields = read_fields(given, "the state of the wait", version=VERSION, known=stored)
        attributes = {stored[name]: value for name, value in fields.items()}
        return cls(**{**attributes, "handle": JobHandle.parse(fields["handle"])})

    def due(self, schedule: PollSchedule) -> float:
        """Say when the next poll is due, in seconds since the epoch; in the past where nothing speaks against now."""
        if self.next_poll is not None:
            return self.next_poll
        return self.started_at + (schedule.initial_delay if self.polls == 0 else 0.0)

    def resumed(self, schedule: PollSchedule, now: float) -> Wait:
        """
        Give the state as a process takes it up that can't know whether another one has waited meanwhile.

        Nobody has counted that one's polls; as many as there was time for are taken as made.
        """
        return dataclasses.replace(self, polls=schedule.polls_within(now - self.due(schedule), self.polls))

    def dump(self) -> dict[str, Any]:
        """Give the state as plain data."""
        names = [each.name for each in dataclasses.fields(self)]
        fields = {_STORED_NAMES.get(name, name): getattr(self, name) for name in names}
        return {"version": VERSION, **fields, "handle": self.handle.dump()}
