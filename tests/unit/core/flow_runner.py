"""Runs flows without I/O: scripted responses, a clock that only sleeps move, and random numbers of 0.5."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from airflow_provider_asyncapi.core.auth.token_flow import get_token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import (
    FetchCallbacks,
    Flow,
    GetToken,
    Log,
    PollBatch,
    Polled,
    PollUntilChanged,
    RunBlocking,
    RunConcurrently,
    SaveSubmission,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError, TransportError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.batch_flow import poll_alone
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll

#: The nonce of each request.
NONCE = "80" * 16
START = 1_700_000_000.0
BASE = "https://api.example.com/v1"

Reply = Response | AsyncApiError | Callable[[Request], Response]


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_api(clock: Callable[[], float] | None = None, **fields: Any) -> Api:
    settings = ConnectionSettings.parse({"host": BASE, **fields})
    return Api.from_settings(settings, clock=clock or Clock(), rng=lambda: 0.5, make_nonce=lambda: NONCE)


def make_response(body: Any = None, status: int = 200, **headers: str) -> Response:
    """Return a response with these bytes, or with this as JSON; `retry_after="5"` is the header `retry-after`."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) or body is None else {"content-type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, Headers({**kind, **named}.items()), content)


def make_lost_error(*, sent: bool = True) -> TransportError:
    return TransportError("GET https://api.example.com/v1: the connection broke", sent=sent)


class FlowRunner:
    """
    Runs flows as a driver does, and records their effects.

    :param api: its clock has to be a :class:`Clock`.
    :param replies: the responses or errors, in order; the last one for all further requests if `forever`.
    :param calls: the callbacks that come in: the seconds until each, and its content.
    """

    def __init__(
        self, api: Api, *replies: Reply, forever: bool = False, calls: Sequence[tuple[float, Response]] = ()
    ) -> None:
        assert isinstance(api.clock, Clock)
        self.api = api
        self.clock = api.clock
        self.replies = list(replies)
        self.forever = forever
        self.calls = calls
        self.requests: list[Request] = []
        self.times: list[float] = []
        #: For each request when it is given up.
        self.limits: list[float | None] = []
        self.sleeps: list[float] = []
        self.logs: list[tuple[int, str]] = []
        self.polls: list[Polled] = []
        self.kept: list[Submission] = []
        self.token: Any = None
        #: Number of responses to polls that the flows have processed.
        self.resumed = 0

    @property
    def log_text(self) -> str:
        return "\n".join(message for _, message in self.logs)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.removeprefix(BASE)}" for request in self.requests]

    def header(self, name: str, index: int = -1) -> str | None:
        return Headers(self.requests[index].headers).get(name)

    def sent_header(self, name: str, index: int = -1) -> str:
        value = self.header(name, index)
        assert value is not None
        return value

    def run(self, flow: Generator[Any, Any, Any]) -> Any:
        with FlowSteps(perform_each_poll(self.count_resumptions(flow))) as steps:
            for effect in steps:
                try:
                    steps.reply = self.perform(effect)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    def count_resumptions(self, flow: Flow[Any]) -> Flow[Any]:
        with FlowSteps(flow) as steps:
            for effect in steps:
                yield from steps.forward(effect)
                self.resumed += steps.error is None and isinstance(effect, PollUntilChanged | PollBatch)
        return steps.result

    def perform(self, effect: Any) -> Any:  # noqa: C901 - a case for each effect
        match effect:
            case Send(request):
                self.limits.append(None if effect.until is None else effect.until - START)
                return self.send(request)
            case PollBatch():
                return self.run(poll_alone(self.api, effect))
            case Sleep(seconds):
                self.sleeps.append(seconds)
                self.clock.now += seconds
            case GetToken(rejected):
                self.token = self.run(get_token(self.api, self.token, rejected))
                return self.token
            case RunBlocking(work):
                return work()
            case Log(level, message):
                self.logs.append((level, message))
            case Polled():
                self.polls.append(effect)
            case FetchCallbacks(seen):
                return [call for after, call in self.calls if START + after <= self.clock()][seen:]
            case SaveSubmission(submission):
                self.kept.append(submission)
            case RunConcurrently(flows, _, on_result):
                for make in flows:
                    on_result(self.run(make()))
        return None

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(self.clock() - START)
        reply = self.replies[0] if self.forever and len(self.replies) == 1 else self.replies.pop(0)
        if isinstance(reply, AsyncApiError):
            raise reply
        response = reply if isinstance(reply, Response) else reply(request)
        response.url = request.url
        return response


def plan_fields(**given: Any) -> Mapping[str, Any]:
    """Return the sensor's parameters that most tests have in common."""
    return {
        "endpoint": "/jobs/{identifier}",
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": "failed",
        "poke_interval": 10,
        **given,
    }
