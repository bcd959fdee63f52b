"""Show the new lines of the remote job's log in the log of the task."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from http import HTTPStatus

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, UnknownVariableError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, is_scalar
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.job_log import LOG_CURSOR, JobLog, split_lines
from airflow_provider_asyncapi.core.wait.log_position import MAX_LINES, LogPosition
from airflow_provider_asyncapi.core.wait.poll_times import latest_response_time

#: The largest number of lines that one poll shows: each takes the event loop some time.
_MAX_LINES_OF_POLL = 500
#: Lines after which other flows on the event loop have their turn.
_LINES_AT_ONCE = 50
#: The longest line, in characters.
_MAX_LINE = 2000
#: There is no log yet, or no more of it than was read.
_NOTHING_NEW = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


def show_log(
    api: Api, job_log: JobLog, state: WaitCheckpoint, handle: JobHandle, response: Response, *, is_over: bool
) -> Flow[WaitCheckpoint]:
    """
    Show the new lines of the job's log after a poll, and return the state with the position after them.

    The wait doesn't depend on the log: an error is logged once, and the request is sent again after the next poll.

    :param response: the response to the poll.
    :param is_over: whether the job is over, so that this is the end of its log.
    """
    position = state.log or LogPosition()
    if position.shown >= MAX_LINES:
        return state
    scope = api.merge_variables(handle.scope())
    try:
        if job_log.request is None:
            lines, position = _read_lines(job_log, position, response, scope, is_over=is_over)
        else:
            requesting = _request_lines(api, job_log, position, handle, is_over=is_over)
            lines, position = yield from limit_time(requesting, latest_response_time(api, state))
    except UnknownVariableError:
        # The API hasn't returned the address of the log yet.
        return state
    except AsyncApiError as error:
        if not position.has_failed:
            yield Log(logging.WARNING, f"logs: the job's log can't be read, and the wait continues: {error}")
        return dataclasses.replace(state, log=dataclasses.replace(position, has_failed=True))
    return dataclasses.replace(state, log=(yield from _show_lines(api, lines, position)))


def _request_lines(
    api: Api, job_log: JobLog, position: LogPosition, handle: JobHandle, *, is_over: bool
) -> Flow[tuple[Sequence[str], LogPosition]]:
    """Request the log, and return its new lines, and the position after them."""
    first = 0 if job_log.counts_bytes else ""
    scope = api.merge_variables(handle.scope(), {LOG_CURSOR: first if position.cursor is None else position.cursor})
    base = handle.urls.get("status") or handle.urls.get("submit")
    request = api.render_request(job_log.request_after(position), scope, reference_base=base)
    response: Response = yield from send(api, request)
    if response.status in _NOTHING_NEW:
        return (), position
    if not response.ok:
        raise build_rejection_error(api, request, response)
    if not job_log.counts_bytes:
        return _read_lines(job_log, position, response, scope, is_over=is_over)
    start = int(scope[LOG_CURSOR])
    ignores_range = request.has_header("range") and response.status != HTTPStatus.PARTIAL_CONTENT
    begin = start if ignores_range else 0
    if begin > len(response.body):
        # It is another log than before.
        start = begin = 0
    end = len(response.body) if is_over else max(begin, response.body.rfind(b"\n") + 1)
    part = dataclasses.replace(response, body=response.body[begin:end])
    cursor = start + end - begin
    return part.text.splitlines(), dataclasses.replace(position, cursor=cursor)


def _read_lines(
    job_log: JobLog, position: LogPosition, response: Response, scope: Variables, *, is_over: bool
) -> tuple[Sequence[str], LogPosition]:
    """Return the new lines in a response, and the position after them."""
    values, are_entries = _find_values(job_log.lines, response, scope)
    lines = split_lines(values, are_entries=are_entries, is_complete=is_over or job_log.is_incremental)
    if not job_log.is_incremental:
        return position.skip_shown(lines)
    found = None if job_log.cursor is None else job_log.cursor.find_first(response, scope)
    cursor = found[1] if found is not None and is_scalar(found[1]) else position.cursor
    return lines, dataclasses.replace(position, cursor=cursor)


def _find_values(lines: SelectorChain | None, response: Response, scope: Variables) -> tuple[list[JsonValue], bool]:
    """Return the texts of the log in a response, and whether they are entries of a list."""
    if lines is None:
        return [response.text], False
    found = lines.find_first_keeping_lists(response, scope)
    if found is None:
        return [], False
    return as_list(found[1]), isinstance(found[1], list)


def _show_lines(api: Api, lines: Sequence[str], position: LogPosition) -> Flow[LogPosition]:
    """Log the lines, of very many only the last ones, and return the position with their number."""
    limit = min(_MAX_LINES_OF_POLL, MAX_LINES - position.shown)
    if (omitted := len(lines) - limit) > 0:
        yield Log(logging.INFO, f"log | … {omitted} lines of the job's log are left out")
        lines = lines[omitted:]
    for number, line in enumerate(lines, 1):
        yield Log(logging.INFO, f"log | {_shorten(api.redact(line[: 2 * _MAX_LINE]), len(line))}")
        if number % _LINES_AT_ONCE == 0:
            yield Sleep(0, is_deferrable=False)
    position = dataclasses.replace(position, shown=position.shown + len(lines))
    if lines and position.shown >= MAX_LINES:
        yield Log(logging.INFO, f"The job's log has more than {MAX_LINES:,} lines; no more of them are shown here")
    return position


def _shorten(line: str, length: int) -> str:
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}… ({length} characters)"
