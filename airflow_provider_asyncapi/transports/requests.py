"""The driver on the worker, made with requests."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
import urllib3
from urllib3.exceptions import EmptyPoolError, NewConnectionError

from airflow_provider_asyncapi.core.auth.login import TokenState, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import (
    Authorize,
    DriverEffect,
    Flow,
    PollBatch,
    RunBlocking,
    RunConcurrently,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.rate_limit import RateLimiter
from airflow_provider_asyncapi.core.steps import Steps
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_flow import poll_batch
from airflow_provider_asyncapi.core.wait.lateness import Delay, Reason
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.dns import check_peer
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, iterate_causes, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.receiver import CHUNK, Receiver
from airflow_provider_asyncapi.transports.request_format import add_default_headers, encode_url
from airflow_provider_asyncapi.transports.tls import tls_context
from airflow_provider_asyncapi.transports.urllib3_connections import Adapter, Exchange, HungUpError, sending

T = TypeVar("T")
#: Shortest timeout in seconds; the library refuses zero.
_SHORTEST = 0.001


class RequestsDriver:
    """
    Runs flows on the calling thread; several threads may call it.

    :param api: the connection.
    :param sleep: sleeps for a number of seconds.
    :param steady: a clock that is never put back, in seconds.
    :raises ConfigurationError: if a certificate can't be read.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], object] = time.sleep,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._steady = steady
        self._session = _open_session(api)
        self._rate_limiter = RateLimiter(api.settings.requests_per_second)
        self._rate_limiter_lock = threading.Lock()
        self._keyring = TokenState()
        self._token_lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def run(self, flow: Flow[T], *, observe: Observer = log_only, is_unwanted: Callable[[], bool] = lambda: False) -> T:
        """
        Run a flow to its end.

        :param observe: called with each notification.
        :param is_unwanted: returns whether to stop, since a thread can't be ended from outside.
        :raises AsyncApiError: any error of the flow.
        """
        with Steps(perform_each_poll(flow)) as steps:
            for effect in steps:
                try:
                    steps.reply = self._perform(effect, observe, is_unwanted)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    def _perform(self, effect: DriverEffect, observe: Observer, is_unwanted: Callable[[], bool]) -> Any:
        if is_unwanted():
            raise CancelledError
        match effect:
            case Send():
                return self._send(effect, is_unwanted)
            case Sleep(seconds):
                return self._sleep(seconds)
            case PollBatch(batch, identifier):
                return self.run(limit_time(poll_batch(self._api, batch, [identifier]), effect.until), observe=observe)
            case Authorize():
                return self._authorize(effect, observe)
            case RunBlocking(work):
                return work()
            case RunConcurrently():
                return self._run_concurrently(effect, observe)
            case _:
                return observe(effect)

    def _run_concurrently(self, effect: RunConcurrently, observe: Observer) -> None:
        unwanted = threading.Event()
        begun: deque[Future[Any]] = deque()

        def in_turn(make: Callable[[], Flow[Any]]) -> Any:
            return self.run(make(), observe=observe, is_unwanted=unwanted.is_set)

        with ThreadPoolExecutor(max_workers=effect.concurrency) as pool:
            try:
                for make in effect.flows:
                    begun.append(pool.submit(in_turn, make))
                    if len(begun) == effect.window:
                        effect.on_result(begun.popleft().result())
                while begun:
                    effect.on_result(begun.popleft().result())
            except BaseException:
                # The results of the other flows aren't needed, least of all if the task was killed.
                unwanted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _authorize(self, effect: Authorize, observe: Observer) -> Token:
        asked_at = self._api.clock()
        with self._token_lock:
            flow = get_shared_token(self._api, self._keyring, effect.rejected, asked_at)
            return self.run(limit_time(flow, effect.until), observe=observe)

    def _send(self, effect: Send, is_unwanted: Callable[[], bool]) -> Response:
        request, settings = effect.request, self._api.settings
        url = encode_url(request)
        needed_for = math.inf if effect.until is None else effect.until - self._api.clock()
        now = self._steady()
        with self._rate_limiter_lock:
            pause = self._rate_limiter.next_slot(now, needed_for)
        if 0 < pause < needed_for:
            self._sleep(pause)
        deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, now + needed_for)
        if pause >= needed_for or deadline.left() <= 0:
            raise deadline.error(sent=False)
        # Not prepared by the session, which escapes URLs in its own way, and costs as much as sending. Without the
        # query, since the libraries log the URL, and the query may contain a key or a signature.
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, url.partition("?")[0]
        exchange = Exchange(
            url,
            new=not effect.repeatable,
            silence=settings.read_timeout,
            left=deadline.left,
            check_address=partial(check_peer, settings, request),
            is_unwanted=is_unwanted,
        )
        while True:
            try:
                prepared.prepare_headers(add_default_headers(request.headers))
                prepared.prepare_cookies({})
                prepared.prepare_body(request.body, None)
                with sending(exchange):
                    answer = self._session.send(
                        prepared,
                        timeout=(max(_SHORTEST, min(settings.connect_timeout, deadline.left())), settings.read_timeout),
                        allow_redirects=False,
                        stream=True,
                    )
                    with answer:
                        response = self._receive(effect, answer.raw, deadline)
                    response.delay = Delay.of({Reason.RATE: pause})
                    return response
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                found = list(iterate_causes(error))
                if effect.repeatable and any(isinstance(cause, HungUpError) for cause in found):
                    continue
                if any(isinstance(cause, EmptyPoolError) for cause in found):
                    raise translate_error(settings, request, PoolFullError(), connecting=True) from None
                connecting = any(isinstance(cause, NewConnectionError) for cause in found)
                if any(isinstance(cause, TimeoutError) for cause in found) and deadline.left() <= 0:
                    raise deadline.error(sent=not connecting) from None
                # No cause: Airflow would log its text, which may contain the URL with its query.
                raise translate_error(settings, request, error, connecting=connecting) from None

    def _receive(self, effect: Send, answer: urllib3.BaseHTTPResponse, deadline: ExchangeDeadline) -> Response:
        fields = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items())
        receiver = Receiver(effect, answer.status, fields, deadline)
        while chunk := answer.read1(CHUNK, decode_content=False):
            receiver.feed(chunk)
        return receiver.finish()


class _Session(requests.Session):
    """Leaves redirects to the flow: requests would parse each Location, and fail on odd ones."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _open_session(api: Api) -> requests.Session:
    settings = api.settings
    session = _Session()
    # Only the settings of the connection count: no .netrc, no proxies from the environment, no cookies.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    adapter = Adapter(tls_context(settings), settings.connections_per_host)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
