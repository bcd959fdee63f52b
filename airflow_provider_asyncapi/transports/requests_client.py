"""On the worker: send requests with the library requests."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3
from urllib3.exceptions import EmptyPoolError, NewConnectionError

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.http.file_bodies import FileBody, RequestBody
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.transports.dns import check_peer
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, iterate_causes, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.receiver import CHUNK, Receiver
from airflow_provider_asyncapi.transports.request_format import add_default_headers, encode_url
from airflow_provider_asyncapi.transports.uploads import Upload
from airflow_provider_asyncapi.transports.urllib3_connections import (
    Adapter,
    Exchange,
    ReusedConnectionClosedError,
    use_exchange,
)

#: Shortest timeout in seconds; the library refuses zero.
_MIN_TIMEOUT = 0.001


class RequestsClient:
    """
    Sends the requests of one Airflow connection over a pool of connections; several threads may use it.

    :param settings: the Airflow connection.
    :param get_tls_context: returns the TLS context.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        get_tls_context: Callable[[], ssl.SSLContext],
        steady: Callable[[], float],
    ) -> None:
        self._settings, self._steady = settings, steady
        self._session = _open_session(settings, get_tls_context)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def send(self, effect: Send, needed_until: float, is_cancelled: Callable[[], bool]) -> Response:
        """
        Send a request; send it once more if the server closes a reused connection instead of answering.

        :param needed_until: time from which the response is no longer needed, on the steady clock.
        :param is_cancelled: returns whether to stop.
        :raises AsyncApiError: if there is no complete response in time.
        """
        request, settings = effect.request, self._settings
        url = encode_url(request)
        deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
        if deadline.remaining() <= 0:
            raise deadline.error(sent=False)
        # Not prepared by the session, which escapes URLs in its own way, and costs as much as sending. Without the
        # query, since the libraries log the URL, and the query may contain a key or a signature.
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, url.partition("?")[0]
        exchange = Exchange(
            url,
            needs_new_connection=not effect.is_repeatable,
            silence=settings.read_timeout,
            remaining=deadline.remaining,
            check_address=partial(check_peer, settings, request),
            is_cancelled=is_cancelled,
        )
        while True:
            # A file is opened again for each try.
            upload = Upload.of(request, deadline)
            try:
                prepared.prepare_headers(add_default_headers(request.headers))
                prepared.prepare_cookies({})
                _set_body(prepared, request.body, upload)
                with use_exchange(exchange):
                    answer = self._session.send(
                        prepared,
                        timeout=(
                            max(_MIN_TIMEOUT, min(settings.connect_timeout, deadline.remaining())),
                            settings.read_timeout,
                        ),
                        allow_redirects=False,
                        stream=True,
                    )
                    with answer:
                        return _receive(effect, answer.raw, deadline, upload)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                found = list(iterate_causes(error))
                if effect.is_repeatable and any(isinstance(cause, ReusedConnectionClosedError) for cause in found):
                    continue
                if any(isinstance(cause, EmptyPoolError) for cause in found):
                    raise translate_error(settings, request, PoolFullError(), connecting=True) from None
                connecting = any(isinstance(cause, NewConnectionError) for cause in found)
                if any(isinstance(cause, TimeoutError) for cause in found) and deadline.remaining() <= 0:
                    problem = deadline.error(sent=not connecting)
                else:
                    problem = translate_error(settings, request, error, connecting=connecting)
                # No cause: Airflow would log its text, which may contain the URL with its query.
                raise (problem if upload is None else upload.build_interruption_error(problem)) from None
            finally:
                if upload is not None:
                    upload.close()


def _set_body(prepared: requests.PreparedRequest, body: RequestBody, upload: Upload | None) -> None:
    if upload is None:
        assert not isinstance(body, FileBody), "it has an upload"  # noqa: S101 - for the type checker
        prepared.prepare_body(body, None)
        return
    upload.begin()
    # Not prepared by the library, which would send an empty file in chunks.
    prepared.body = upload
    prepared.headers["Content-Length"] = str(upload.size)


def _receive(
    effect: Send, answer: urllib3.BaseHTTPResponse, deadline: ExchangeDeadline, upload: Upload | None
) -> Response:
    fields = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items())
    receiver = Receiver(effect, answer.status, fields, deadline)
    while chunk := answer.read1(CHUNK, decode_content=False):
        receiver.feed(chunk)
    response = receiver.finish()
    if upload is not None:
        upload.check_response(response)
    return response


class _Session(requests.Session):
    """Leaves redirects to the flow: requests would parse each Location, and fail on odd ones."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _open_session(settings: ConnectionSettings, get_tls_context: Callable[[], ssl.SSLContext]) -> requests.Session:
    session = _Session()
    # Only the settings of the connection count: no .netrc, no proxies from the environment, no cookies.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    adapter = Adapter(get_tls_context, settings.connections_per_host)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
