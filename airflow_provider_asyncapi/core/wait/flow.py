"""Wait for a job: poll, classify the response and sleep, until the job is over or the deadline has passed."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled
from airflow_provider_asyncapi.core.errors import AsyncApiError, ThrottledError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.requests.retries import RetryBudget
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.ending import (
    build_deadline_error,
    check_success,
    end_if_overdue,
    finish_wait,
)
from airflow_provider_asyncapi.core.wait.job_descriptions import (
    describe_job,
    find_status_problem,
    find_warned_statuses,
    warn_unknown_status,
)
from airflow_provider_asyncapi.core.wait.overdue import next_check, warn_if_late
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_flow import poll_with_details
from airflow_provider_asyncapi.core.wait.poll_report import add_report, add_stall_times
from airflow_provider_asyncapi.core.wait.poll_times import (
    announce_pause,
    compute_pause,
    first_delay,
    sleep_until_next,
)
from airflow_provider_asyncapi.core.wait.status_request import StatusRequest
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.wait import log_flow
else:
    # Few waits show the log of the job.
    log_flow = LazyModule("airflow_provider_asyncapi.core.wait.log_flow")


def wait(api: Api, plan: WaitPlan, state: WaitCheckpoint, *, spread: bool = False) -> Flow[JobHandle]:
    """
    Poll until the job is over.

    :param spread: whether to delay an overdue poll by a random time. Waits that begin together, as after a restart of
        the triggerer, would otherwise poll together for ever.
    :return: the handle, with the outcome ``success`` or ``no_data``.
    :raises JobFailedError: if the job has failed.
    :raises DeadlineExceededError: at the deadline; the job has been cancelled if the plan has a cancel request.
    :raises JobStalledError: if the job makes no progress; it has been cancelled, too.
    :raises UnavailableError: after too many consecutive transient errors.
    :raises AsyncApiError: if a response is unusable.
    """
    handle = state.handle
    try:
        if handle.outcome.is_final:
            return check_success(api, handle)
        budget = RetryBudget(plan.schedule, state.errors)
        warned_statuses, is_first = find_warned_statuses(state), state.polls == 0
        poll = StatusRequest.render(api, plan, state, handle, state.polls)
        earlier_problem: StatusProblem | None = None
        pause = first_delay(api, plan, state, spread=spread)
        while True:
            if not (yield from sleep_until_next(api, state, poll.polls, pause)):
                raise (yield from build_deadline_error(api, plan, handle, state, poll.polls, None, warned_statuses))
            poll = poll.for_handle(handle)
            poll.check_at = next_check(plan, state)
            before = (handle.status, handle.progress)
            result = yield from poll_with_details(api, plan, poll, state, handle)
            handle, request, response, verdict = result.handle, result.request, result.response, result.verdict
            if isinstance(verdict, ThrottledError):
                raise (yield from build_deadline_error(api, plan, handle, state, poll.polls, verdict, warned_statuses))
            poll.polls = polls = poll.polls + 1
            problem = verdict if isinstance(verdict, AsyncApiError) else None
            delay, now = None if response is None else response.delay, api.clock()
            if isinstance(verdict, Verdict) and response is not None:
                budget.errors = 0
                state = yield from _show_log(api, plan, state, handle, response, is_over=verdict.outcome.is_final)
                if verdict.outcome.is_final:
                    yield Polled(handle, polls, 0, changed=True, at=now, delay=delay, log=state.log)
                    return (yield from finish_wait(api, result.plan, handle, verdict, request, response))
                warned_statuses = yield from warn_unknown_status(
                    api, result.plan, request, response, verdict, warned_statuses
                )
                status_problem = find_status_problem(api, result.plan, response, verdict, earlier_problem)
                poll.cache(result.plan, response, verdict, status_problem)
            else:
                # After an error even an unchanged response is reported: the error is over.
                poll.clear_cache()
                status_problem = earlier_problem
            has_changed = (handle.status, handle.progress) != before
            polled = Polled(
                handle,
                polls,
                budget.errors,
                changed=has_changed,
                at=now,
                error=None if problem is None else str(problem),
                delay=delay,
                log=state.log,
                status_problem=status_problem,
            )
            is_reported = has_changed or is_first or problem is not None or status_problem is not earlier_problem
            earlier_problem = status_problem
            polled = yield from warn_if_late(api, plan, state, polled)
            state = state.after_check(polled)
            yield from end_if_overdue(api, plan, state, polled, problem, warned_statuses)
            pause = yield from compute_pause(
                api, plan, state, budget, polls, request, response, problem, next_check(plan, state)
            )
            if problem is None and (has_changed or is_first):
                is_first = False
                yield Log(
                    logging.INFO, f"{describe_job(api, handle)}; {announce_pause('next poll', pause, state, now)}"
                )
            polled = add_stall_times(plan, state, dataclasses.replace(polled, errors=budget.errors, pause=pause))
            yield add_report(api, plan, polled, request, response, problem) if is_reported else polled
            # Thousands of waits may sleep at the same time, so none holds on to its last response.
            del result, response, verdict, problem
    except AsyncApiError as error:
        error.set_job(handle.identifier, handle.status)
        raise


def _show_log(
    api: Api, plan: WaitPlan, state: WaitCheckpoint, handle: JobHandle, response: Response, *, is_over: bool
) -> Flow[WaitCheckpoint]:
    """Show the new lines of the job's log if the plan has one, and return the state with the position after them."""
    if plan.logs is None:
        return state
    return (yield from log_flow.show_log(api, plan.logs, state, handle, response, is_over=is_over))
