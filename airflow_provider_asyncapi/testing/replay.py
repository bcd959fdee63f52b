"""Replay a recording: strict about requests, in any order that the recording allows."""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.testing.loopback import Answer, LoopbackServer, ReceivedRequest
from airflow_provider_asyncapi.testing.recordings import (
    RecordedExchange,
    RecordedRequest,
    RecordedResponse,
    Recording,
)

#: Stands for any text in a recorded request.
WILDCARD = "***"
#: Stands for the URL of the connection in recorded responses.
BASE_URL = "{base_url}"
#: The beginning of the path that stands for another host, as in ``/@files.example.com/result.csv``.
OTHER_HOST = "@"
#: The status of an unexpected request: one that no task retries.
_UNEXPECTED = 400


class ReplayServer(LoopbackServer):
    """
    Answers each request with the first recorded exchange of the same request that wasn't used yet.

    Exchanges of different requests may come in another order, since pages are fetched concurrently. In responses,
    ``{base_url}`` is replaced by the URL of this server.

    :param recording: the recording.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._unused = list(recording.exchanges)
        #: The requests that the recording doesn't contain, and how each differs.
        self.unexpected: list[str] = []

    @property
    def unused(self) -> list[RecordedExchange]:
        """The exchanges that no request has used."""
        return list(self._unused)

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return the recorded response; an error if there is none."""
        reasons = []
        for index, exchange in enumerate(self._unused):
            if request.method != exchange.request.method or not _matches_text(exchange.request.url, request.target):
                continue
            difference = find_difference(exchange.request, request)
            if difference is None:
                return self._respond(self._unused.pop(index).response)
            reasons.append(difference)
        explained = reasons[0] if reasons else "no unused exchange of the recording has this method and URL"
        self.unexpected.append(f"{request}: {explained}")
        body = json.dumps({"message": f"unexpected request: {request}: {explained}"}).encode()
        return _UNEXPECTED, {"content-type": "application/json"}, body

    def _respond(self, response: RecordedResponse) -> Answer:
        headers = {name: value.replace(BASE_URL, self.url) for name, value in response.headers.items()}
        return response.status, headers, response.body.replace(BASE_URL.encode(), self.url.encode())

    def check(self, *, allow_unused: bool = False) -> None:
        """
        Check that each request was expected, and each exchange was used.

        :param allow_unused: whether exchanges may be left.
        :raises AssertionError: if not.
        """
        problems = [f"unexpected request: {each}" for each in self.unexpected]
        if not allow_unused:
            problems += [f"not requested: {each.request}" for each in self._unused]
        if problems:
            raise AssertionError("\n".join(problems))


def find_difference(recorded: RecordedRequest, request: ReceivedRequest) -> str | None:
    """Return the difference between a request and the recorded one with its method and URL; None if there is none."""
    for name, value in recorded.headers.items():
        if not _matches_text(value, request.headers.get(name, "")):
            return f"the header {name} is {request.headers.get(name)!r}, and {value!r} in the recording"
    if recorded.body is None:
        return None
    if isinstance(recorded.body, str):
        text = request.body.decode("utf-8", "replace")
        return None if _matches_text(recorded.body, text) else f"the body is {text!r}, and {recorded.body!r} recorded"
    try:
        body: Any = json.loads(request.body)
    except ValueError:
        return f"the body isn't JSON: {request.body[:200]!r}"
    return _compare(recorded.body, body, "the body")


def _compare(recorded: JsonValue, found: JsonValue, where: str) -> str | None:
    if isinstance(recorded, dict) and isinstance(found, dict):
        if recorded.keys() != found.keys():
            return f"{where} has the keys {sorted(found)}, and {sorted(recorded)} in the recording"
        pairs = [(recorded[key], found[key], f"{where}.{key}") for key in recorded]
        return next(filter(None, (_compare(*pair) for pair in pairs)), None)
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        listed = [(*pair, f"{where}[{index}]") for index, pair in enumerate(zip(recorded, found, strict=True))]
        return next(filter(None, (_compare(*pair) for pair in listed)), None)
    if isinstance(recorded, str) and isinstance(found, str) and _matches_text(recorded, found):
        return None
    return None if recorded == found else f"{where} is {found!r}, and {recorded!r} in the recording"


def _matches_text(recorded: str, found: str) -> bool:
    """Return whether a text is the recorded one, in which ``***`` stands for any text."""
    if WILDCARD not in recorded:
        return recorded == found
    return re.fullmatch(".*".join(map(re.escape, recorded.split(WILDCARD))), found, re.DOTALL) is not None
