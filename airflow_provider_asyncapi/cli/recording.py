"""Record the exchanges of a tried job, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Sink
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import MASK, contains_any_secret, is_sensitive_name
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.testing.recordings import (
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from airflow_provider_asyncapi.testing.replay import BASE_URL, OTHER_HOST

if TYPE_CHECKING:
    from airflow_provider_asyncapi.cli.narration import Exchange

#: Largest body that is recorded, in bytes.
MAX_BODY = 16 * 1024 * 1024
#: Headers that say nothing about the job, or that the server of a replay sets itself.
_LEFT_OUT = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "set-cookie", "transfer-encoding", "vary", "via"}
)
#: A value that differs from run to run, such as an idempotency key.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: The signature of a link to Azure Storage; the names of others say what they are.
_LINK_SIGNATURE = re.compile(r"(?P<name>[?&]sig=)[^&#\s\"'<>]+")
#: Tokens and signatures are longer than the timestamps and names of keys that are sent beside a signature.
_SHORTEST_CREDENTIAL = 16


class CopiedSink:
    """
    A receiver of a streamed body that keeps a copy.

    :param sink: the receiver.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        #: The body as received; None if it is too large.
        self.body: bytes | None = b""

    def begin(self, head: Response, /) -> object:
        """Handle the head of a response."""
        self.body = b""
        return self._sink.begin(head)

    def write(self, chunk: bytes, /) -> object:
        """Handle a chunk of the body."""
        if self.body is not None:
            self.body = self.body + chunk if len(self.body) + len(chunk) <= MAX_BODY else None
        return self._sink.write(chunk)

    def finish(self) -> object:
        """Handle the end of the body."""
        return self._sink.finish()


def write_recording(path: Path, exchanges: list[Exchange], api: Api) -> None:
    """
    Write exchanges to a file, with ``***`` in place of each secret.

    :raises CommandError: if a body is too large, a secret of the connection would be in the file, or the file can't be
        written.
    """
    replied = [(exchange, exchange.response) for exchange in exchanges if exchange.response is not None]
    credentials = {text for exchange in exchanges for text in _find_credentials(exchange.request, api)}
    api.redact.add(*credentials)
    origins = _name_origins(api, [exchange.request for exchange, _ in replied])
    recording = Recording(
        tuple(
            RecordedExchange(
                _record_request(exchange.request, api, origins),
                _record_response(exchange, response, api, origins),
            )
            for exchange, response in replied
        )
    )
    text = recording.dump()
    if contains_any_secret(text, api.settings.secrets() | credentials):
        raise CommandError(f"--record: {path}: not written, since it would contain a secret of the connection")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--record: {path}: can't be written: {error.strerror}") from None


def _find_credentials(request: Request, api: Api) -> set[str]:
    """Return the tokens and signatures of a request, with and without the scheme: an API may repeat them."""
    auth = api.settings.auth
    headers = {name.lower() for name in auth.header_names}
    sent = [value for name, value in request.headers if name.lower() in headers]
    sent += [value for name, value in parse_qsl(urlsplit(request.url).query) if name in {*auth.query_names}]
    texts = {part for value in sent for part in (value, value.rpartition(" ")[2])}
    return {text for text in texts if len(text) >= _SHORTEST_CREDENTIAL} - {
        str(api.settings.variables.get("connection.login"))
    }


def _name_origins(api: Api, requests: list[Request]) -> Mapping[str, str]:
    """Return what stands for each URL of a server in the recording, the longest URL first."""
    base = api.settings.base_url.rstrip("/")
    names = {base: BASE_URL}
    for request in requests:
        parts = urlsplit(request.url)
        names.setdefault(f"{parts.scheme}://{parts.netloc}", f"{BASE_URL}/{OTHER_HOST}{parts.netloc}")
    return dict(sorted(names.items(), key=lambda each: -len(each[0])))


def _replace_origins(text: str, origins: Mapping[str, str]) -> str:
    for origin, name in origins.items():
        text = text.replace(origin, name)
    return text


def _record_request(request: Request, api: Api, origins: Mapping[str, str]) -> RecordedRequest:
    url = _UUID.sub(MASK, _mask_text(_replace_origins(request.url, origins), api)).removeprefix(BASE_URL)
    # The parameters of a signature differ from run to run.
    for name in api.settings.auth.query_names:
        url = re.sub(rf"(?P<name>[?&]{re.escape(quote_plus(name))}=)[^&#]*", rf"\g<name>{MASK}", url)
    return RecordedRequest(request.method, url, body=_record_request_body(request, api))


def _mask_text(text: str, api: Api) -> str:
    return _LINK_SIGNATURE.sub(rf"\g<name>{MASK}", api.redact(text))


def _record_request_body(request: Request, api: Api) -> JsonValue:
    body: Any = request.body
    if not isinstance(body, bytes):
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return _UUID.sub(MASK, _mask_text(text, api))
    masked = _mask_values(value, api)
    return _mask_uuids(masked) if isinstance(masked, dict | list) else _UUID.sub(MASK, _mask_text(text, api))


def _mask_uuids(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _mask_uuids(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mask_uuids(each) for each in value]
    return _UUID.sub(MASK, value) if isinstance(value, str) else value


def _mask_values(value: JsonValue, api: Api, *, all_of_them: bool = False) -> JsonValue:
    """Return a JSON value with ``***`` in place of each secret, and of each string if all are to be masked."""
    if isinstance(value, dict):
        return {
            name: MASK
            if isinstance(each, str) and is_sensitive_name(name)
            else _mask_values(each, api, all_of_them=all_of_them)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_mask_values(each, api, all_of_them=all_of_them) for each in value]
    if isinstance(value, str):
        return MASK if all_of_them else _mask_text(value, api)
    return value


def _record_response(exchange: Exchange, response: Response, api: Api, origins: Mapping[str, str]) -> RecordedResponse:
    is_streamed = bool(response.streamed_bytes)
    body = exchange.streamed if is_streamed else response.body
    if body is None or len(body) > MAX_BODY:
        raise CommandError(f"--record: the response to {exchange.request} has more than {MAX_BODY} bytes")
    # A body in memory is decompressed.
    left_out = _LEFT_OUT if is_streamed else _LEFT_OUT | {"content-encoding"}
    headers = {
        name: MASK if is_sensitive_name(name) else _mask_text(_replace_origins(value, origins), api)
        for name, value in response.headers.items()
        if name not in left_out
    }
    return RecordedResponse(response.status, headers, _record_body(body, api, origins, is_login=exchange.is_login))


def _record_body(body: bytes, api: Api, origins: Mapping[str, str], *, is_login: bool) -> bytes:
    try:
        text = _replace_origins(body.decode(), origins)
    except UnicodeDecodeError:
        if contains_any_secret(body.decode("latin-1"), api.settings.secrets()):
            raise CommandError("--record: a response that isn't text contains a secret of the connection") from None
        return body
    try:
        value = json.loads(text)
    except ValueError:
        return (MASK if is_login else _mask_text(text, api)).encode()
    return json.dumps(_mask_values(value, api, all_of_them=is_login), ensure_ascii=False).encode()
