"""Calls back, as an API does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: What the callbacks of the connection ``signing`` are signed with.
SIGNING_KEY = b"callbacks of the cluster's tests"
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(url: str, body: Any, **headers: str) -> int:
    """Call back; give the status code of the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json", **headers})
    answer: Any
    try:
        answer = _opener.open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert answer.read() == (b"{}" if answer.status == 200 else b'{"detail":"Not Found"}')
        return int(answer.status)


def call_at_once(urls: list[str], body: Any) -> list[int]:
    """Call several URLs at the same time."""
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda url: call(url, body), urls))


def signed(body: Any, call_id: str, at: float | None = None) -> dict[str, str]:
    """Return the headers of a callback that is signed by Standard Webhooks."""
    moment = str(int(time.time() if at is None else at))
    message = f"{call_id}.{moment}.".encode() + json.dumps(body).encode()
    code = base64.b64encode(hmac.digest(SIGNING_KEY, message, hashlib.sha256)).decode()
    return {"webhook-id": call_id, "webhook-timestamp": moment, "webhook-signature": f"v1,{code}"}
