"""Continue a wait from what its earlier process has published: only that process has known more, and it is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.log_position import LogPosition
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.summaries import PollSummary, parse_time

#: The largest number of polls by which a growing interval is followed. It has reached its maximum long before that.
_MOST_STEPS = 1000


@dataclass(frozen=True, slots=True)
class PublishedState:
    """
    What a process has published about a wait, as plain data.

    :param summary: the summary of the wait; None if there is none.
    :param poll: the summary of the polls.
    :param job: the handle of the job.
    """

    summary: Any = None
    poll: Any = None
    job: Any = None

    def belongs_to(self, task_instance: object, state: WaitCheckpoint) -> bool:
        """
        Return whether this is about the same try of the task, and about the job that it waits for.

        :param task_instance: the id of the task instance.
        """
        summary = self.summary
        if not isinstance(summary, Mapping) or summary.get("task_instance") != str(task_instance):
            return False
        return bool(summary.get("identifier") == state.handle.identifier)

    def restore(self, plan: WaitPlan, state: WaitCheckpoint, now: float) -> WaitCheckpoint:
        """
        Return a stored state with what was published after it was stored.

        :param now: current time, in seconds since the epoch.
        """
        summary = self.summary if isinstance(self.summary, Mapping) else {}
        state = dataclasses.replace(
            state,
            warned_at=state.warned_at or parse_time(summary.get("warned_at")),
            log=LogPosition.parse(summary.get("log")) or state.log,
        )
        poll = PollSummary.parse(self.poll)
        if poll is None:
            return state
        state = dataclasses.replace(state, polls=max(state.polls, _count_polls(plan, poll, now)))
        changed_at = poll.unchanged_since
        if plan.stall_timeout is not None and (changed_at is None or not state.unchanged_since < changed_at <= now):
            # The next poll finds what has changed, and when.
            return state
        return self._with_status(dataclasses.replace(state, changed_at=changed_at or state.changed_at))

    def _with_status(self, state: WaitCheckpoint) -> WaitCheckpoint:
        """Return the state with the published status and progress, which the next poll compares with its own."""
        job = self.job
        if not isinstance(job, Mapping) or job.get("identifier") != state.handle.identifier or "status" not in job:
            return state
        handle = dataclasses.replace(state.handle, status=job["status"], progress=as_number(job.get("progress")))
        return dataclasses.replace(state, handle=handle)


def _count_polls(plan: WaitPlan, poll: PollSummary, now: float) -> int:
    """Return the approximate number of polls: those that find nothing new aren't published."""
    polls, schedule = poll.polls or 0, plan.schedule
    if schedule.backoff > 1 and poll.error is None:
        limited = dataclasses.replace(schedule, max_polls=polls + _MOST_STEPS)
        made = limited.count_polls_within(now - poll.at - (poll.pause or 0.0), polls)
    else:
        made = polls + poll.count_since(poll.at, now)
    return made if schedule.max_polls is None else min(made, schedule.max_polls)
