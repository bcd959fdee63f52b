"""Print the progress of a tried job: its requests and responses, the meaning of each poll, and the next poll."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.explaining import explain_status
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.recording import CopiedSink
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Log, Notification, Polled, Send
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.file_bodies import describe_as_text
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import MASK, is_sensitive_name, redact_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.text import format_number
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.transports.requests import Client

#: Response headers that often contain the URL of the job or the time of the next poll; `--headers` shows all headers.
_SHOWN_HEADERS = ("location", "operation-location", "azure-asyncoperation", "retry-after", "link")
#: The length of the bodies that are shown, in characters.
_MAX_BODY = 400
#: The number of exchanges in the JSON output; of more, the last ones are kept.
_MAX_EXCHANGES = 1000
_FIRST_REDIRECT, _FIRST_ERROR = 300, 400


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    A request and its end.

    :param response: the response; None if there was none.
    :param error: the error in place of a response.
    :param seconds: the time that it took.
    :param is_login: whether the response contains a token.
    :param streamed: the body if it was streamed and copied; None if it is too large.
    """

    request: Request
    response: Response | None
    error: AsyncApiError | None
    seconds: float
    is_login: bool
    streamed: bytes | None = b""


class Narrator:
    """
    Writes the events of a job as lines of text.

    A response is written at the next event: only then the flow has read it, and its secrets are known. Several threads
    may call it, since a result is fetched with concurrent requests.

    :param api: the connection, whose secrets are masked.
    :param status: the parameters of the wait.
    :param show_headers: whether all headers are shown.
    """

    def __init__(self, output: Output, api: Api, status: Mapping[str, Any], *, show_headers: bool) -> None:
        self._output, self._api, self._status, self._show_headers = output, api, status, show_headers
        self._live = None if output.terminal is None else waiting.LiveLine(output.terminal)
        self._pending: list[Exchange] = []
        self._polled: Polled | None = None
        self._poll_response: Response | None = None
        self._shown_poll: tuple[str, int, bytes] | None = None
        self._is_polling = False
        self._lock = threading.RLock()
        self._thread = threading.local()
        #: The job as it is known now.
        self.handle: JobHandle | None = None
        #: All exchanges as they were, to record them; None if they aren't recorded.
        self.recorded: list[Exchange] | None = None
        #: All exchanges, for programs.
        self.exchanges: list[dict[str, Any]] = []

    def begin_recording(self) -> None:
        """Keep all exchanges as they are, and all tokens, which are masked when the recording is written."""
        self.recorded = []
        self._api.redact.keep_all_tokens()

    @property
    def is_login(self) -> bool:
        """Whether the current requests are token requests; each thread has its own."""
        return getattr(self._thread, "is_login", False)

    @contextmanager
    def mark_token_requests(self) -> Iterator[None]:
        """Mark the requests that this thread sends meanwhile as token requests; their responses aren't shown."""
        self._thread.is_login = True
        try:
            yield
        finally:
            self._thread.is_login = False

    def begin(self, stage: str, *, polls: bool = False) -> None:
        """
        Begin a stage.

        :param polls: whether its first response is that of a poll.
        """
        self.flush()
        self._is_polling, self._poll_response = polls, None
        self.write(stage)

    def write(self, text: str) -> None:
        """Write a line for people."""
        if not self._output.as_json:
            self._output.write(self._api.redact(text))

    def add_exchange(self, exchange: Exchange) -> None:
        """Record a request and its response, which are printed with the next output."""
        response = exchange.response
        is_redirect = response is not None and _FIRST_REDIRECT <= response.status < _FIRST_ERROR
        with self._lock:
            self.flush()
            self._pending.append(exchange)
            if self.recorded is not None:
                self.recorded.append(exchange)
            if self._poll_response is None and not exchange.is_login and not is_redirect:
                self._poll_response = response

    def notify(self, event: Notification) -> None:
        """Print a warning of the log, or a poll."""
        with self._lock:
            if isinstance(event, Polled):
                self._write_poll(event)
            elif isinstance(event, Log) and event.level >= logging.WARNING:
                self.flush()
                self.write(f"  warning: {event.message}")

    def _write_poll(self, polled: Polled) -> None:
        response, self._poll_response = self._poll_response, None
        is_repeated = self.flush()
        self._polled, self.handle = polled, polled.handle
        if polled.error is not None:
            self.write(f"  poll {polled.polls} failed: {polled.error}")
        elif response is not None and not is_repeated:
            self.explain(response, polled.handle)
        if polled.pause is None:
            return
        state = "no status yet" if polled.handle.status is None else as_text(polled.handle.status)
        self.write(f"  poll {polled.polls}: {state}; next poll in {format_number(polled.pause)} s")

    def explain(self, response: Response | None, handle: JobHandle) -> None:
        """Print the meaning of the response to a poll; if the response is None, of the last response."""
        self.flush()
        response = response or self._poll_response
        if response is not None:
            scope = self._api.merge_variables(handle.scope())
            for line in explain_status(WaitPlan.parse(self._status), self._status, response, scope):
                self.write(f"  {line}")

    def sleep(self, seconds: float) -> None:
        """Wait, with a live line in a terminal."""
        self.flush()
        if self._live is None or self.handle is None:
            waiting.pause(seconds)
            return
        state = "no status yet" if self.handle.status is None else as_text(self.handle.status)
        self._live.wait(seconds, self._api.redact.excerpt(state, 40), self.handle.progress)

    def flush(self) -> bool:
        """Write the exchanges that are pending; return whether the last one has repeated what was shown before."""
        is_repeated = False
        with self._lock:
            pending, self._pending = self._pending, []
            for exchange in pending:
                self.exchanges = [*self.exchanges[-_MAX_EXCHANGES + 1 :], self._dump(exchange)]
                response = exchange.response
                if response is not None and self._is_polling:
                    poll = (exchange.request.url, response.status, response.body)
                    is_repeated, self._shown_poll = poll == self._shown_poll, poll
                if not is_repeated and not self._output.as_json:
                    self._write_exchange(exchange)
        return is_repeated

    def _write_exchange(self, exchange: Exchange) -> None:
        shown = self._dump(exchange)
        request, response = shown["request"], shown["response"]
        self.write(f"  → {request['method']} {request['url']}")
        self._write_headers(request["headers"], all_of_them=self._show_headers)
        if request["body"]:
            self.write(f"    {request['body']}")
        if response is None:
            self.write(f"  ← no response after {exchange.seconds:.2f} s: {shown['error']}")
            return
        size = f", {response['content_type']}" * bool(response["content_type"])
        self.write(f"  ← {response['status']} in {exchange.seconds:.2f} s, {response['bytes']} bytes{size}")
        self._write_headers(response["headers"], all_of_them=self._show_headers)
        if response["body"]:
            self.write(f"    {response['body']}")

    def _write_headers(self, headers: Mapping[str, str], *, all_of_them: bool) -> None:
        for name, value in headers.items():
            if all_of_them or name in _SHOWN_HEADERS:
                self.write(f"    {name}: {value}")

    def _dump(self, exchange: Exchange) -> dict[str, Any]:
        """Return an exchange as plain data without secrets."""
        request, response = exchange.request, exchange.response
        body = describe_as_text(request.body)
        return {
            "request": {
                "method": request.method,
                "url": self._redact_url(request.url),
                "headers": self._redact_headers({name.lower(): value for name, value in request.headers}),
                "body": self._api.redact.excerpt(body, _MAX_BODY),
            },
            "response": None if response is None else self._dump_response(response, is_login=exchange.is_login),
            "error": None if exchange.error is None else self._api.redact(str(exchange.error)),
            "seconds": round(exchange.seconds, 3),
        }

    def _dump_response(self, response: Response, *, is_login: bool) -> dict[str, Any]:
        body = "(not shown: the response to a login)" if is_login else response.text
        return {
            "status": f"{response.status} {_find_phrase(response.status)}".rstrip(),
            "headers": {} if is_login else self._redact_headers(response.headers),
            "content_type": response.content_type,
            "bytes": response.streamed_bytes or len(response.body),
            "body": self._api.redact.excerpt(body, _MAX_BODY),
        }

    def _redact_url(self, url: str) -> str:
        # The query of a link to another host is often its signature.
        return self._api.redact(url) if self._api.settings.trusts(url) else redact_url(url)

    def _redact_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name: MASK if is_sensitive_name(name) else self._api.redact.excerpt(value)
            for name, value in headers.items()
        }


def _find_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class NarratedClient:
    """
    A client that reports each exchange to a narrator.

    :param client: the client that sends the requests.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(self, client: Client, narrator: Narrator, steady: Callable[[], float] = time.monotonic) -> None:
        self._client, self._narrator, self._steady = client, narrator, steady

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(self, effect: Send, needed_until: float, is_cancelled: Callable[[], bool]) -> Response:
        """Send a request."""
        response: Response | None = None
        error: AsyncApiError | None = None
        is_login, begun = self._narrator.is_login, self._steady()
        copied = CopiedSink(effect.sink) if effect.sink is not None and self._narrator.recorded is not None else None
        if copied is not None:
            effect = dataclasses.replace(effect, sink=copied)
        try:
            response = self._client.send(effect, needed_until, is_cancelled)
        except AsyncApiError as raised:
            error = raised
            raise
        finally:
            seconds = self._steady() - begun
            streamed = b"" if copied is None else copied.body
            self._narrator.add_exchange(Exchange(effect.request, response, error, seconds, is_login, streamed))
        return response
