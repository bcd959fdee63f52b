"""
The flows of the hook's methods, which their asynchronous variants share.

Each method of :class:`HookCalls` checks the names of its parameters, and returns a :class:`HookCall`.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.connections.profiles import find_profile_version, load_profile
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.effects import Flow, Notification, Polled, SaveSubmission
from airflow_provider_asyncapi.core.errors import (
    JobFailedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.fetch.flow import clean_up_job
from airflow_provider_asyncapi.core.jobs.cancel import Cancellation, cancel
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.profile_version import explain_change, run_under_changed_profile
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.bodies import FILE_PARAMETER
from airflow_provider_asyncapi.core.requests.request_step import STEP_PARAMETERS, RequestStep
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.schedule import RETRY_PARAMETERS, PollSchedule
from airflow_provider_asyncapi.core.requests.step_flow import send_step
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait import flow as wait_flow
from airflow_provider_asyncapi.core.wait import poll_flow
from airflow_provider_asyncapi.core.wait.plan import parse_timeout
from airflow_provider_asyncapi.hooks.parameter_check import check_parameter_names
from airflow_provider_asyncapi.hooks.responses import AsyncApiResponse
from airflow_provider_asyncapi.monitoring import tracing

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.http import messages
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.core.plans import WaitPlan
    from airflow_provider_asyncapi.monitoring.tracing import Stage

T = TypeVar("T")

#: Idempotent methods (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_STEP = (*REQUEST_PARAMETERS, *STEP_PARAMETERS)
_REQUEST = frozenset({*_STEP, FILE_PARAMETER}) - {"method", "endpoint", "capture"}
#: The parameters of a submit by the hook, which submits one job.
SUBMIT_PARAMETERS = frozenset(plans.SubmitPlan.parameters) - plans.SubmitPlan.task_parameters - {"identifiers"}
#: The parameters of a wait by the hook.
WAIT_PARAMETERS = frozenset(plans.WaitPlan.parameters) - plans.WaitPlan.task_parameters


@dataclass(frozen=True, slots=True)
class HookCall(Generic[T]):
    """
    One call of the hook.

    :param make_flow: returns the flow; called again after the connection has changed, to continue from there.
    :param observe: called with each notification of the flow.
    :param stage: the stage of the job; None if the call is none, or isn't traced.
    :param job_trace: the identity of the job's span, from its handle.
    """

    make_flow: Callable[[Api], Flow[T]]
    observe: Callable[[Notification], object] = lambda _: None
    stage: Stage | None = None
    job_trace: Mapping[str, JsonValue] = field(default_factory=dict)

    @contextmanager
    def trace(self, conn_id: str) -> Iterator[HookCall[T]]:
        """
        Return the same call, whose requests and polls are traced until the end of the context.

        :param conn_id: the connection.
        """
        if self.stage is None or not tracing.is_enabled():
            yield self
            return
        with tracing.trace_stage(self.stage, conn_id, self.job_trace) as trace:

            def make_flow(api: Api) -> Flow[T]:
                result: Any = yield from trace.propagate(api, self.make_flow(api))
                return trace.join(result)  # type: ignore[return-value]  # both stages return a job handle

            def observe(event: Notification) -> None:
                self.observe(event)
                trace.observe(event)

            yield HookCall(make_flow, observe)


class HookCalls:
    """
    The calls of the hook's methods.

    :param profile: the profile with the defaults of parameters; None for the connection's.
    """

    def __init__(self, profile: str | None) -> None:
        self._profile = profile

    def request(
        self, method: str, endpoint: str, variables: Mapping[str, Any] | None, parameters: Mapping[str, Any]
    ) -> HookCall[AsyncApiResponse]:
        """Send one request; one that isn't idempotent is sent again only if it can't have been carried out."""
        given = check_parameter_names("request", parameters, _REQUEST.union(RETRY_PARAMETERS))
        retries = {name: given.pop(name) for name in RETRY_PARAMETERS if name in given}
        given |= {"method": method, "endpoint": endpoint}
        is_idempotent = method.upper() in _IDEMPOTENT
        is_begun = False

        def make_flow(api: Api) -> Flow[AsyncApiResponse]:
            nonlocal is_begun
            if is_begun and not is_idempotent:
                raise UnavailableError(
                    f"{method} {endpoint}: the connection has changed while the request was being sent, so it may have"
                    " been carried out"
                )
            is_begun = True
            step, schedule = RequestStep.parse(given, "request", sends_files=True), PollSchedule.parse_retries(retries)
            policy, own = ResponsePolicy(is_repeatable=is_idempotent or step.is_repeatable), variables or {}
            scope = api.merge_variables(own)
            return _to_response(send_step(api, step, scope, schedule, policy, path_variables=own))

        return HookCall(make_flow)

    def submit_job(self, idempotency_key: str | None, parameters: Mapping[str, Any]) -> HookCall[JobHandle]:
        """Submit a job, and start it if that takes further requests."""
        given = check_parameter_names("submit_job", parameters, SUBMIT_PARAMETERS, plans.SubmitPlan.task_parameters)
        new = Submission(idempotency_key or str(uuid.uuid4()), 0)
        kept: Submission | None = None

        def make_flow(api: Api) -> Flow[JobHandle]:
            described = add_profile_parameters(api, "submit", self._profile, given)
            versioned = dataclasses.replace(new, profile=find_version(api, self._profile))
            return submit(api, plans.SubmitPlan.parse(described), versioned, kept)

        def observe(event: Notification) -> None:
            nonlocal kept
            if isinstance(event, SaveSubmission):
                kept = event.submission

        return HookCall(make_flow, observe, "submit")

    def get_job(self, job: Any, parameters: Mapping[str, Any]) -> HookCall[JobHandle]:
        """Poll a job once."""
        given, handle = _check_wait_parameters("get_job", parameters), JobHandle.parse(job)

        def make_flow(api: Api) -> Flow[JobHandle]:
            plan = plans.WaitPlan.parse(add_profile_parameters(api, "status", self._profile, given))
            return run_under_changed_profile(poll_flow.get_job(api, plan, handle), self._find_change(api, handle))

        return HookCall(make_flow)

    def wait_for_job(
        self, job: Any, timeout: float | timedelta | None, parameters: Mapping[str, Any]
    ) -> HookCall[JobHandle]:
        """Poll until a job is over, and send the cleanup request if it is due."""
        given, handle = _check_wait_parameters("wait_for_job", parameters), JobHandle.parse(job)
        limit = None if timeout is None else parse_timeout(timeout)
        states: list[plans.WaitCheckpoint] = []

        def make_flow(api: Api) -> Flow[JobHandle]:
            described = add_profile_parameters(api, "status", self._profile, given)
            plan = plans.WaitPlan.parse(described)
            now = api.clock()
            states[:] = states or [plans.WaitCheckpoint(handle, now, now + _choose_timeout(limit, described))]
            return run_under_changed_profile(
                _wait_and_clean_up(api, plan, states), self._find_change(api, states[0].handle)
            )

        def observe(event: Notification) -> None:
            if isinstance(event, Polled):
                states[0] = states[0].after_poll(event)

        return HookCall(make_flow, observe, "wait", handle.trace)

    def _find_change(self, api: Api, handle: JobHandle) -> str:
        return explain_change(handle.profile, find_version(api, self._profile)) if handle.profile else ""

    def cancel_job(self, job: Any, reason: str, parameters: Mapping[str, Any]) -> HookCall[bool]:
        """Send the cancel request of a job."""
        given, handle = check_parameter_names("cancel_job", parameters, _STEP), JobHandle.parse(job)

        def make_flow(api: Api) -> Flow[bool]:
            step = RequestStep.parse(
                add_profile_parameters(api, "cancel", self._profile, given), "cancel", method="POST"
            )
            return _is_accepted(cancel(api, step, handle, reason))

        return HookCall(make_flow)


def _to_response(flow: Flow[tuple[messages.Response, Outcome | None]]) -> Flow[AsyncApiResponse]:
    response, _ = yield from flow
    return AsyncApiResponse(response)


def _is_accepted(flow: Flow[Cancellation]) -> Flow[bool]:
    return (yield from flow).is_accepted


def _choose_timeout(given: float | None, described: Mapping[str, Any]) -> float:
    """Return the seconds for a wait: as given, else the profile's, else Airflow's default."""
    if given is None and (timeout := described.get("timeout")) is not None:
        return parse_timeout(timeout)
    return conf.getfloat("sensors", "default_timeout") if given is None else given


def _wait_and_clean_up(api: Api, plan: WaitPlan, states: Sequence[plans.WaitCheckpoint]) -> Flow[JobHandle]:
    """
    Wait for a job, and send the cleanup request if it is due after this end.

    :param states: contains the state of the wait, updated after each poll.
    """
    try:
        handle = yield from wait_flow.wait(api, plan, states[0])
    except JobFailedError:
        if plan.cleanup is not None:
            yield from clean_up_job(api, plan.cleanup, states[0].handle, CleanupOn.FAILURE)
        raise
    if plan.cleanup is not None:
        end = CleanupOn.NO_DATA if handle.outcome is Outcome.NO_DATA else CleanupOn.SUCCESS
        yield from clean_up_job(api, plan.cleanup, handle, end)
    return handle


def _check_wait_parameters(method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return check_parameter_names(method, parameters, WAIT_PARAMETERS, plans.WaitPlan.task_parameters)


def find_version(api: Api, profile: str | None) -> Mapping[str, str]:
    """Return name and version of a profile, by default the connection's; empty if there is none."""
    name = profile or api.settings.profile
    return find_profile_version(name) if name else {}


def add_profile_parameters(api: Api, table: str, profile: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters, with defaults from the profile, unless they need a task."""
    name = profile or api.settings.profile
    if not name:
        return plans.drop_switched_off(given)
    plan_types: dict[str, Any] = {"submit": plans.SubmitPlan, "status": plans.WaitPlan, "fetch": plans.FetchPlan}
    task_parameters = plan_types[table].task_parameters if table in plan_types else ()
    described = plans.merge_parameters(table, load_profile(name), given)
    return {name: value for name, value in described.items() if name not in task_parameters}
