"""The tests' side of the job API: plan its faults, and read what it has counted."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Fault = dict[str, Any]

RESET: Fault = {"broken": "reset"}
#: Carried out, but nobody hears of it.
LOSE: Fault = {"broken": "lose"}
HALF_CLOSE: Fault = {"broken": "half-close"}
TRUNCATE: Fault = {"broken": "truncate"}
DRIP_HEAD: Fault = {"broken": "drip head"}
DRIP_BODY: Fault = {"broken": "drip body"}
#: Longer than what the provider reads of a status.
OVERLONG: Fault = {"overlong": 2 * 1024 * 1024}
#: All tokens given so far are void.
EXPIRE: Fault = {"expired": True}
#: The request waits before it is carried out, or its answer after that, until released.
HOLD_BEFORE: Fault = {"held": "before"}
HOLD_AFTER: Fault = {"held": "after"}
#: The request goes well, and the next fault is that of a later request.
NONE: Fault = {}


def answer(status: int, retry_after: str | None = None) -> Fault:
    """An error, with or without the header."""
    return {"status": status, "retry_after": retry_after}


def status_response(state: str) -> Fault:
    """A status, whatever the job's own is."""
    return {"state": state}


def send_body(body: str) -> Fault:
    """An answer with a body of its own."""
    return {"body": body}


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """What the API has counted for one job; times in seconds since the epoch."""

    name: str
    identifier: str
    key: str | None
    polls: tuple[float, ...] = field(repr=False)
    starts: int
    cancels: int
    fetches: int
    repairs: int
    callback: str | None
    state: str
    beside: int

    @property
    def index(self) -> int:
        """The map index of its tasks."""
        return int(self.name.rpartition("/")[2])

    def gaps(self) -> list[float]:
        """Return the seconds between consecutive polls."""
        return [round(after - before, 2) for before, after in pairwise(self.polls)]

    def polls_beyond(self, seconds: float) -> float:
        """Count the polls beyond one each so many seconds; one that came early by half of that counts half."""
        return sum(1 - gap / seconds for gap in self.gaps() if gap < seconds)


@dataclass(frozen=True, slots=True)
class Report:
    """
    What the API has counted for one DAG run: its jobs, and requests to submit by the job's name.

    Logins are those of all runs, by the name in their address.
    """

    jobs: tuple[RemoteJob, ...]
    submits: dict[str, int]
    lookups: dict[str, int]
    logins: dict[str, int]


class Control:
    """
    The job API's control endpoint.

    :param url: where it listens
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def plan(self, name: str, step: str, *faults: Fault) -> None:
        """Let so many requests of a job go wrong: of the step submit, status, start, result, cancel or login."""
        self._call("plan", {"name": name, "step": step, "faults": faults})

    def planned(self, run_id: str) -> int:
        """Count the faults that a run's jobs have yet to meet."""
        return int(self._call(f"planned?run={urllib.parse.quote(run_id)}"))

    def held_at(self, name: str, step: str) -> tuple[int, int] | None:
        """Return the client's and the server's port of a request that is held, or None if none is."""
        held = (one for one in self._call("holding") if (one["name"], one["step"]) == (name, step))
        return next(((one["port"], one["server_port"]) for one in held), None)

    def held(self, step: str) -> set[str]:
        """Return the names under which requests of a step are held."""
        return {one["name"] for one in self._call("holding") if one["step"] == step}

    def release(self, name: str, step: str) -> None:
        self._call("release", {"name": name, "step": step})

    def finish(self, name: str) -> None:
        """Let a job be done, or all jobs of a run."""
        self._call("finish", {"run": name})

    def fail(self, name: str) -> None:
        """Let the last job of a run fail."""
        self._call("fail", {"run": name})

    def expire(self) -> None:
        """Let all tokens given so far be void."""
        self._call("expire", {})

    def refuse(self, seconds: float | None = None) -> None:
        """Refuse connections at the flaky port, by default until :meth:`listen` is called."""
        self._call("refuse", {"seconds": seconds})

    def listen(self) -> None:
        """Accept connections at the flaky port again."""
        self._call("listen", {})

    def report(self, run_id: str) -> Report:
        found = self._call(f"report?run={urllib.parse.quote(run_id)}")
        jobs = [{name: job[name] for name in RemoteJob.__slots__} for job in found.pop("jobs")]
        return Report(jobs=tuple(RemoteJob(**{**job, "polls": tuple(job["polls"])}) for job in jobs), **found)

    def wait_until_up(self, check: Callable[[], None]) -> None:
        """
        Wait until the API answers.

        :param check: raises where that won't happen any more
        """
        while True:
            check()
            try:
                self._call("holding")
            except OSError:
                time.sleep(0.1)
            else:
                return

    def _call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with self._opener.open(urllib.request.Request(f"{self.url}/control/{path}", data=data), timeout=30) as found:
            return json.loads(found.read())
