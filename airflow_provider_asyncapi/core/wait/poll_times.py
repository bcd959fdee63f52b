"""The times of the polls of a wait: the first one, the pauses between them, and the last one at the deadline."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.retries import RetryBudget
from airflow_provider_asyncapi.core.requests.retry_hints import read_retry_after
from airflow_provider_asyncapi.core.requests.schedule import SHORTEST_WAIT
from airflow_provider_asyncapi.core.text import format_number
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

#: Longest time over which overdue polls are spread, in seconds.
_MAX_SPREAD_SECONDS = 60.0
#: Seconds that the last poll, which begins at the deadline, may take.
LAST_POLL_SECONDS = 5.0


def first_delay(api: Api, plan: WaitPlan, state: WaitCheckpoint, *, spread: bool) -> float:
    """Return the seconds until the first poll of this process."""
    now = api.clock()
    delay = state.next_poll_due(plan.schedule) - now
    if spread and delay <= 0:
        # The polls of waits that begin together follow each other at this pause, and so are spread over it. The initial
        # delay isn't repeated, so the first poll is spread over the interval.
        pause = state.pause if state.polls and state.pause is not None else plan.schedule.interval
        delay = api.rng() * min(pause, _MAX_SPREAD_SECONDS)
        # An overdue poll that was allowed before the deadline is allowed at the deadline.
        return delay if state.deadline is None else min(delay, max(0.0, state.deadline - now))
    return delay


def sleep_until_next(api: Api, state: WaitCheckpoint, polls: int, pause: float) -> Flow[bool]:
    """
    Sleep until the next poll, or until the deadline.

    :param polls: number of polls so far.
    :param pause: seconds until the next poll.
    :return: whether the poll may be made now; False if it is due only after the deadline.
    """
    now = api.clock()
    due = now + pause
    is_too_late = polls > 0 and state.deadline is not None and due > state.deadline + SHORTEST_WAIT
    if pause > 0 and not (is_too_late and state.deadline is not None and now >= state.deadline):
        yield Sleep(cap_at_deadline(pause, state, now))
    return not is_too_late or api.clock() > due - SHORTEST_WAIT


def compute_pause(
    api: Api,
    plan: WaitPlan,
    state: WaitCheckpoint,
    budget: RetryBudget,
    polls: int,
    request: Request,
    response: Response | None,
    problem: AsyncApiError | None,
    check_at: float | None = None,
) -> Flow[float]:
    """
    Return the seconds from a poll to the next one, and log the error if the poll failed.

    :param check_at: time at which a poll is needed, in seconds since the epoch; None if at no certain time.
    :raises UnavailableError: after too many consecutive transient errors.
    """
    requested, now = read_retry_after(api, plan.schedule, response), api.clock()
    if requested is not None and requested > (limit := plan.schedule.longest_retry_after):
        asked = f"the API asks for a wait of {requested:.0f} s"
        yield Log(logging.WARNING, f"{request}: {asked}; waiting {limit:.0f} s at most (max_interval)")
    shortest = plan.schedule.min_delay_after_response(requested)
    if problem is None:
        pause = plan.schedule.delay_after_poll(polls, requested, api.rng)
        for moment in (check_at, state.deadline):
            pause = _fit_to_time(pause, moment, shortest, now)
        return pause
    pause = _fit_to_time(budget.next_delay(api, problem, response), state.deadline, shortest, now)
    yield Log(logging.WARNING, f"{problem}; {announce_pause('polling again', pause, state, now)}")
    return pause


def _fit_to_time(pause: float, moment: float | None, shortest: float, now: float) -> float:
    """
    Return the pause after a poll, changed so that a poll is made at a certain time if that isn't too early.

    :param pause: seconds, from the schedule.
    :param moment: the time, in seconds since the epoch: the deadline, or when a poll is needed; None for no time.
    :param shortest: the minimum number of seconds between two polls.
    :return: seconds; they end after that time if no other poll is allowed before it.
    """
    if moment is None:
        return pause
    left = moment - now
    # Another poll in between would leave too little time before the one at that time.
    return left if shortest <= left < pause + shortest else pause


def announce_pause(what: str, pause: float, state: WaitCheckpoint, now: float) -> str:
    """Return a message about the next poll, or that no other poll is allowed before the deadline."""
    is_possible = state.deadline is None or now + pause < state.deadline + SHORTEST_WAIT
    return f"{what} in {format_number(pause)} s" if is_possible else "no other poll is allowed before the deadline"


def cap_at_deadline(pause: float, state: WaitCheckpoint, now: float) -> float:
    """Return a pause that ends at the deadline at the latest, but isn't shorter than the shortest wait."""
    return pause if state.deadline is None else min(pause, max(SHORTEST_WAIT, state.deadline - now))


def is_last_poll(plan: WaitPlan, state: WaitCheckpoint, polls: int, now: float) -> bool:
    """Return whether no poll follows one that was made now, because of the deadline or ``max_iterations``."""
    has_passed = state.deadline is not None and now >= state.deadline
    return has_passed or (plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls)


def latest_response_time(api: Api, state: WaitCheckpoint) -> float | None:
    """Return when a poll is given up: at the deadline, even if data still arrives, plus the time of the last poll."""
    return None if state.deadline is None else max(state.deadline, api.clock()) + LAST_POLL_SECONDS
