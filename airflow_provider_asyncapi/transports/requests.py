"""The driver on the worker, made with requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_asyncapi.core.auth import Token, log_in
from airflow_provider_asyncapi.core.effects import Authorize, Effect, Flow, Gather, Log, Polled, Send, Sleep
from airflow_provider_asyncapi.core.errors import RefusedContentError, TransportError
from airflow_provider_asyncapi.core.messages import Headers, Request, Response
from airflow_provider_asyncapi.core.pacing import Pacer
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.transports import ACCEPT_ENCODING, CHUNK, USER_AGENT, Observer, log_only

T = TypeVar("T")
#: What fails before a request has left: names, routes, handshakes.
_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.SSLError,
)


class RequestsDriver:
    """
    Runs flows, one after another, on the thread that asks for it.

    :param api: the connection.
    :param observe: told of each log line and each poll.
    :param sleep: waits so many seconds.
    """

    def __init__(
        self, api: Api, *, observe: Observer = log_only, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._api = api
        self._observe = observe
        self._sleep = sleep
        self._session = _session(api)
        self._timeout = (api.settings.connect_timeout, api.settings.read_timeout)
        self._pacer = Pacer(api.settings.requests_per_second)
        self._token: Token | None = None
        self._token_lock = threading.RLock()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def run(self, flow: Flow[T]) -> T:
        """
        Run a flow to its end.

        :raises AsyncApiError: what the flow raises.
        """
        reply: Any = None
        failure: TransportError | None = None
        while True:
            try:
                effect = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = failure = None
            try:
                reply = self._perform(effect)
            except TransportError as error:
                failure = error

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                return self._send(effect)
            case Sleep(seconds):
                return self._sleep(seconds)
            case Authorize(rejected):
                return self._authorize(rejected)
            case Gather(flows, concurrency):
                with ThreadPoolExecutor(max_workers=concurrency) as pool:
                    return list(pool.map(lambda make: self.run(make()), flows))
            case Log() | Polled():
                return self._observe(effect)

    def _authorize(self, rejected: Token | None) -> Token:
        login = self._api.settings.auth.login
        assert login is not None, "a flow asks for a token only where there is a login"  # noqa: S101
        with self._token_lock:
            if self._token is None or self._token == rejected or not self._token.is_fresh(self._api.clock()):
                self._token = self.run(log_in(self._api, login, self._token))
            return self._token

    def _send(self, effect: Send) -> Response:
        with self._token_lock:
            pause = self._pacer.reserve(time.monotonic())
        if pause:
            self._sleep(pause)
        request = effect.request
        try:
            with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return _read(effect, answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _translated(request, error) from error


def _read(effect: Send, answer: requests.Response) -> Response:
    response = Response(
        answer.status_code,
        Headers((name, value) for name, value in answer.raw.headers.items()),
        url=effect.request.url,
    )
    streaming = effect.sink is not None and response.ok
    body = bytearray()
    if streaming and effect.sink is not None:
        effect.sink.restart()
    for chunk in answer.iter_content(CHUNK if streaming else 64 * 1024):
        if streaming and effect.sink is not None:
            effect.sink.write(chunk)
            response.streamed += len(chunk)
            continue
        body += chunk
        if len(body) > effect.limit:
            raise RefusedContentError(
                f"{effect.request} answered {response.status} with a body of more than {effect.limit} bytes,"
                " which isn't read"
            )
    response.body = bytes(body)
    return response


def _translated(request: Request, error: Exception) -> TransportError:
    causes: list[BaseException] = [error]
    for cause in causes:
        parts = (getattr(cause, "reason", None), *getattr(cause, "args", ()))
        causes += [part for part in parts if isinstance(part, BaseException) and part not in causes]
    root = causes[-1]
    if isinstance(error, requests.ConnectTimeout) or any(isinstance(cause, _NOT_SENT) for cause in causes):
        what, sent = "couldn't connect", False
    elif isinstance(error, requests.Timeout):
        what, sent = "got no answer in time", True
    else:
        what, sent = "the connection broke", True
    return TransportError(f"{request}: {what} ({type(root).__name__})", sent=sent)


def _session(api: Api) -> requests.Session:
    settings = api.settings
    session = requests.Session()
    # What the connection says is all that counts: no .netrc, no proxies from the environment, no cookies.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING})
    session.verify = settings.ca_cert or True if settings.verify else False
    if settings.client_cert:
        session.cert = (settings.client_cert, settings.client_key) if settings.client_key else settings.client_cert
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    adapter = HTTPAdapter(pool_maxsize=settings.connections_per_host, pool_block=True, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
