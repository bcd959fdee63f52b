"""A scripted job API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.testing.loopback import Answer, LoopbackServer, ReceivedRequest

_DEFAULT_ERROR: Mapping[str, JsonValue] = {"code": "FAILED", "message": "the job has failed"}

#: The parameters of tasks that describe this API.
PROFILE: Mapping[str, dict[str, Any]] = {
    "submit": {"endpoint": "/jobs", "identifier": "id"},
    "status": {
        "endpoint": "/jobs/{identifier}",
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": ["failed", "cancelled"],
        "running_value": ["queued", "running"],
        "error_message": "error.message",
        "progress": "percent",
    },
    "fetch": {"endpoint": "/jobs/{identifier}/result", "result_path": "rows[*]"},
    "cancel": {"method": "DELETE", "endpoint": "/jobs/{identifier}"},
}


class FakeJobApi(LoopbackServer):
    """
    A job API that follows a script, as a context manager.

    ``POST /jobs`` submits a job, ``GET /jobs/ID`` returns its status, ``GET /jobs/ID/result`` its rows, and
    ``DELETE /jobs/ID`` cancels it. :data:`PROFILE` has the parameters of tasks for it.

    :param statuses: the status at each poll of a job; the last one stays. ``done``, ``failed`` and ``cancelled`` end a
        job. A list of lists has one for each job, and the last one is for all further jobs:
        ``[["running", "failed"], ["done"]]``.
    :param rows: the result.
    :param page_size: rows of a page of the result, whose header ``Link`` has the next page; None for one page.
    :param error: the error of a job that fails, which its status has under ``error``.
    :param errors: by the number of a request, from 1: the status code that it is answered with, such as
        ``{2: 503, 5: 429}``.
    :param retry_after: seconds in the header ``Retry-After`` of these errors; None if they have none.
    """

    def __init__(
        self,
        statuses: Sequence[str] | Sequence[Sequence[str]] = ("queued", "running", "done"),
        *,
        rows: Sequence[JsonValue] = (),
        page_size: int | None = None,
        error: Mapping[str, JsonValue] | None = None,
        errors: Mapping[int, int] | None = None,
        retry_after: int | None = None,
    ) -> None:
        self._scripts = _read_scripts(statuses)
        super().__init__()
        self._rows, self._page_size = tuple(rows), page_size
        self._error = dict(_DEFAULT_ERROR if error is None else error)
        self._errors, self._retry_after = dict(errors or {}), retry_after
        #: The number of polls of each job, by identifier.
        self.polls: dict[str, int] = {}
        #: The identifiers of the jobs that were cancelled.
        self.cancelled: list[str] = []

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return the response to a request."""
        if (status := self._errors.get(len(self.requests))) is not None:
            headers = {} if self._retry_after is None else {"retry-after": str(self._retry_after)}
            return _respond({"message": f"error {status} by the script"}, status, headers)
        parts = urlsplit(request.target)
        match [request.method, *parts.path.strip("/").split("/")]:
            case ["POST", "jobs"]:
                identifier = str(len(self.polls) + 1)
                self.polls[identifier] = 0
                return _respond({"id": identifier, "status": self._find_script(identifier)[0]}, 201)
            case ["GET", "jobs", identifier] if identifier in self.polls:
                return _respond(self._poll(identifier))
            case ["GET", "jobs", identifier, "result"] if identifier in self.polls:
                return self._respond_with_rows(parts.path, parse_qs(parts.query))
            case ["DELETE", "jobs", identifier] if identifier in self.polls:
                self.cancelled.append(identifier)
                return 204, {}, b""
        return _respond({"message": f"there is no {request}"}, 404)

    def _poll(self, identifier: str) -> dict[str, JsonValue]:
        if identifier in self.cancelled:
            return {"id": identifier, "status": "cancelled", "error": {"code": "CANCELLED", "message": "cancelled"}}
        statuses = self._find_script(identifier)
        index = min(self.polls[identifier], len(statuses) - 1)
        self.polls[identifier] += 1
        status = statuses[index]
        failed = {"error": self._error} if status == "failed" else {}
        return {"id": identifier, "status": status, "percent": round(100 * (index + 1) / len(statuses)), **failed}

    def _find_script(self, identifier: str) -> tuple[str, ...]:
        """Return the statuses of a job."""
        return self._scripts[min(int(identifier), len(self._scripts)) - 1]

    def _respond_with_rows(self, path: str, query: Mapping[str, list[str]]) -> Answer:
        if self._page_size is None:
            return _respond({"rows": self._rows})
        start = int(query.get("from", ["0"])[0])
        end = start + self._page_size
        link = {"link": f'<{self.url}{path}?from={end}>; rel="next"'} if end < len(self._rows) else {}
        return _respond({"rows": self._rows[start:end]}, headers=link)


def _read_scripts(statuses: Sequence[str] | Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the statuses of each job."""
    if isinstance(statuses, str):
        raise ValueError(f"statuses: has to be a list, not {statuses!r}")  # noqa: TRY004 - it is the value that is wrong
    names = [each for each in statuses if isinstance(each, str)]
    scripts = [tuple(each) for each in statuses if not isinstance(each, str)]
    if names and scripts:
        raise ValueError("statuses: has to be a list of statuses, or a list of lists of them, not both")
    if names:
        return [tuple(names)]
    if not scripts or not all(scripts):
        raise ValueError("statuses: each job has to have at least one status")
    return scripts


def _respond(body: JsonValue, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    fields = {"content-type": "application/json", **(headers or {})}
    return status, fields, json.dumps(body, ensure_ascii=False).encode()
