"""The XComs that tasks push: their keys, the task instance that they belong to, and when they change."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import redact

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Polled
    from airflow_provider_asyncapi.core.wait import history, summaries
else:
    # DAG files import this module with the operators, and poll nothing.
    history = LazyModule("airflow_provider_asyncapi.core.wait.history")
    summaries = LazyModule("airflow_provider_asyncapi.core.wait.summaries")

log = logging.getLogger(__name__)

#: The job handle.
JOB_KEY: Final = "job"
#: The address of the job's page at the vendor.
JOB_URL_KEY: Final = "job_url"
#: The callbacks that were received, on the task that submitted the job.
CALLS_KEY: Final = "asyncapi_calls"
#: The callback URLs that this task has sent to the API, before Airflow 3.3 (which has the task state store for them).
SUBMISSION_KEY: Final = "asyncapi_submission"
#: On the task that waits for a callback: the key ends in the hash of the task that submitted the job.
AWAITED_KEY: Final = "asyncapi_awaited_"
#: On the task that submitted a job with callbacks: the key ends in the hash of its connection and identifier.
JOB_OF_KEY: Final = "asyncapi_job_"
#: On a task that submits with a connection that limits its active jobs: the key ends in the hash of the connection.
SLOT_KEY: Final = "asyncapi_slot_"
#: The part of a wait's summary that stays the same: connection, start, deadline. It also contains the summary of the
#: first polls and their history, until these have XComs of their own.
WAIT_KEY: Final = "job_wait"
#: The earlier jobs of a task that have failed, after which it has submitted another one.
ATTEMPTS_KEY: Final = "job_attempts"
#: The summary of the polls, once it has changed: last error, and seconds between them.
POLL_KEY: Final = "job_poll"
#: What has happened to the job during the wait, once that is more than the first poll has found, and the last response
#: that has told something new.
HISTORY_KEY: Final = "job_history"
#: The size of the result, on the task that has fetched it.
RESULT_KEY: Final = "job_result"
#: The fields of a wait's summary that stand for an XCom which hasn't been pushed.
PARTS: Final[Mapping[str, str]] = {POLL_KEY: "poll", HISTORY_KEY: "history"}
#: Maximum length of such a field as JSON, in characters. The page's list reads the summary of each wait, and Postgres
#: stores rows of more than 2 KB elsewhere.
_MAX_PART: Final = 1000


def pack_summary(updates: Mapping[str, Any], is_published: Collection[str]) -> dict[str, Any]:
    """
    Return XComs with those of the first poll as fields of the wait's summary, since each XCom costs a request.

    :param updates: XComs that are pushed together.
    :param is_published: the keys that have XComs of their own, which readers would prefer.
    """
    packed = dict(updates)
    if isinstance(summary := updates.get(WAIT_KEY), Mapping):
        fields = {
            name: packed.pop(key)
            for key, name in PARTS.items()
            if key in updates and key not in is_published and len(json.dumps(updates[key])) <= _MAX_PART
        }
        packed[WAIT_KEY] = {**summary, **fields}
    return packed


def keep_parts(summary: Mapping[str, Any], published: Any) -> dict[str, Any]:
    """Return a new summary of a wait with those fields of the published one that stand for other XComs."""
    kept = published if isinstance(published, Mapping) else {}
    return {**{name: kept[name] for name in PARTS.values() if name in kept}, **summary}


def choose_part(key: str, own: Any, summary: Any) -> Any:
    """
    Return what is published under a key of :data:`PARTS`: by an XCom of its own, or as a part of the wait's summary.

    :param own: the XCom of this key; None if it hasn't been pushed.
    :param summary: the XCom of the summary; anything if there is none.
    """
    return own if own is not None or not isinstance(summary, Mapping) else summary.get(PARTS[key])


def push_for_users(context: Context, key: str, value: Any) -> bool:
    """
    Push an XCom that only users read; the task goes on if it can't be pushed.

    :return: whether it could be pushed.
    """
    ti: Any = context["ti"]
    try:
        ti.xcom_push(key, value)
    except Exception:
        log.warning("XCom %s can't be pushed, so users won't see it", key, exc_info=True)
        return False
    return True


class ProgressReporter:
    """
    Decides after each poll which XComs have changed for users.

    :param shown: the published summary of the polls; None if it isn't known.
    :param earlier: the history of the job up to now; None if there is none, or it is in the XCom.
    :param is_status_shown: whether the status of the job is that of the last poll of another process, which has
        published whether it is unknown.
    """

    def __init__(
        self,
        shown: summaries.PollSummary | None = None,
        earlier: history.JobHistory | None = None,
        *,
        is_status_shown: bool = False,
    ) -> None:
        self._shown = shown
        self._is_status_shown = is_status_shown
        #: None before the first entry, since thousands of waits have none.
        self._history = earlier
        #: None for none, as for most waits.
        self._rate_limited: summaries.RateLimits | None = None

    @property
    def history(self) -> history.JobHistory:
        """What has happened to the job, as far as this process knows."""
        return self._history or history.JobHistory()

    def xcoms_after(self, polled: Polled) -> dict[str, Any]:
        """Return the XComs to push after a poll; most polls need none."""
        is_plain = (
            not polled.changed and polled.error is None and polled.delay is None and polled.status_problem is None
        )
        shown = self._shown
        if (
            is_plain
            and shown is not None
            and shown.error is None
            and shown.delay is None
            and shown.status_problem is None
        ):
            return {}
        is_status_shown, self._is_status_shown = self._is_status_shown, False
        # All texts of the API are masked as in the task's log.
        if polled.error is not None:
            polled = dataclasses.replace(polled, error=str(redact(polled.error)))
        if polled.status_problem is not None:
            status_problem = dataclasses.replace(
                polled.status_problem, message=str(redact(polled.status_problem.message))
            )
            polled = dataclasses.replace(polled, status_problem=status_problem)
        if polled.shown_response is not None:
            shown_response = {
                name: redact(value) if isinstance(value, str) else value
                for name, value in polled.shown_response.items()
            }
            polled = dataclasses.replace(polled, shown_response=shown_response)
        if is_status_shown and _only_repeats_status(polled):
            self._shown, self._history = summaries.PollSummary.of(polled), self.history.after_poll(polled)
            return {}
        updates: dict[str, Any] = {}
        if polled.changed:
            updates[JOB_KEY] = polled.handle.dump()
        rate_limited = self._rate_limited or summaries.NO_LIMITS
        if polled.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            rate_limited = self._rate_limited = rate_limited.add(polled.at)
        poll = summaries.PollSummary.of(polled, rate_limited)
        if poll.is_worth_showing(self._shown, changed=polled.changed):
            self._shown = poll
            updates[POLL_KEY] = poll.dump()
        before = self.history
        self._history = after = before.after_poll(polled)
        if after is not before:
            updates[HISTORY_KEY] = after.dump()
        return _put_time_of_change_first(updates)


def _put_time_of_change_first(updates: dict[str, Any]) -> dict[str, Any]:
    """
    Return XComs in the order in which they are pushed: the time of a change before the changed job.

    If only the time is pushed, the next process finds the change again, and takes it for a later one.
    """
    has_time = "unchanged_since" in updates.get(POLL_KEY, {})
    return {POLL_KEY: updates[POLL_KEY], **updates} if has_time else updates


def _only_repeats_status(polled: Polled) -> bool:
    """Return whether all that a poll has to tell is that the status of the job, which hasn't changed, is unknown."""
    problem = polled.status_problem
    is_unknown = problem is not None and problem.status is not None
    return is_unknown and not polled.changed and polled.error is None and polled.delay is None


#: Airflow's own key of the return value.
RETURN_KEY: Final = "return_value"


def task_ids(ti: Any) -> dict[str, Any]:
    """Return the ids of a task instance, which identify its XComs too, whatever its try number."""
    map_index = -1 if ti.map_index is None else ti.map_index
    return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": map_index}
