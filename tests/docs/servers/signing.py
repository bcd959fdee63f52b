"""
The servers of the recipes for signed requests.

Each verifies signatures as its vendor describes it, from the request as it came.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

from tests.docs.servers.recipe import Call, Reply, State, need, progress, serve_plain_job, server, unknown
from tests.oauth1_server import OAuth1Verifier, RefusedError

#: The keys of the connections.
COINBASE_KEY, BINANCE_KEY, AZURE_KEY = b"the key itself", "the-secret-key", b"the access key"


@server("oauth1", 5, connection={}, counted={"verified": 3})
def oauth1(state: State, call: Call) -> Reply:
    verifier = state.seen.setdefault(
        "verifier",
        OAuth1Verifier(
            ("the-consumer-key", "the-consumer-secret"), ("the-token-id", "the-token-secret"), realm="1234567_SB1"
        ),
    )
    try:
        verifier.verify(call.method, f"{state.url}{call.path}", call.headers, call.body)
    except RefusedError as error:
        need(holds=False, message=str(error), status=401)
    state.nth("verified")
    return serve_plain_job(state, call)


def sign_for_coinbase(key: bytes, time: str, method: str, target: str, body: bytes) -> str:
    text = b"".join((time.encode(), method.encode(), target.encode(), body))
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


@server("hmac_coinbase", "report-1", connection={})
def hmac_coinbase(state: State, call: Call) -> Reply:
    need(call.headers.get("cb-access-key") == "the-key-s-name", "invalid api key", 401)
    need(call.headers.get("cb-access-passphrase") == "the-passphrase", "invalid passphrase", 401)
    time = call.headers.get("cb-access-timestamp", "")
    signature = sign_for_coinbase(COINBASE_KEY, time, call.method, call.path, call.body)
    need(call.headers.get("cb-access-sign") == signature, "invalid signature", 401)
    match str(call):
        case "POST /reports":
            need(call.json == {"type": "fills", "format": "csv"}, "invalid report")
            return Reply(200, {"id": "report-1", "type": "fills", "status": "pending"})
        case "GET /reports/report-1":
            return Reply(200, {"id": "report-1", "status": progress(state, ("pending", "creating", "ready"))})
    raise unknown(call)


def sign_for_binance(key: str, query: str) -> str:
    return hmac.new(key.encode(), query.encode(), hashlib.sha256).hexdigest()


@server("hmac_binance", "545923594199212032", connection={})
def hmac_binance(state: State, call: Call) -> Reply:
    need(call.headers.get("x-mbx-apikey") == "the-api-key", "Invalid API-key", 401)
    *signed, (last, signature) = call.query
    need(last == "signature", "Mandatory parameter 'signature' was not sent")
    need(signature == sign_for_binance(BINANCE_KEY, urlencode(signed)), "Signature for this request is not valid", 400)
    need(len(call.params.get("timestamp", "")) == 13, "Timestamp for this request is outside of the recvWindow")
    match str(call):
        case "GET /fapi/v1/income/asyn":
            need({"startTime", "endTime"} <= call.params.keys(), "Mandatory parameter was not sent")
            return Reply(200, {"avgCostTimestampOfLast30d": 7241837, "downloadId": "545923594199212032"})
        case "GET /fapi/v1/income/asyn/id":
            need(call.params["downloadId"] == "545923594199212032", "Illegal parameter")
            return Reply(200, {"status": progress(state, ("processing", "completed")), "url": ""})
    raise unknown(call)


def sign_for_azure(key: bytes, method: str, target: str, date: str, host: str, body: bytes) -> tuple[str, str]:
    """Return the hash of the body, and the signature."""
    hashed = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = chr(10).join((method, target, f"{date};{host};{hashed}"))
    return hashed, base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


@server("hmac_azure", "8540c0de", connection={})
def hmac_azure(state: State, call: Call) -> Reply:
    date = call.headers.get("x-ms-date", "")
    need(parsedate_to_datetime(date).tzinfo is not None, "invalid date", 401)
    target, host = f"{call.path}?{urlencode(call.query)}", urlsplit(state.url).netloc
    hashed, signature = sign_for_azure(AZURE_KEY, call.method, target, date, host, call.body)
    need(call.headers.get("x-ms-content-sha256") == hashed, "invalid hash", 401)
    expected = f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}"
    need(call.headers.get("authorization") == expected, "invalid signature", 401)
    need(call.params == {"api-version": "2023-03-31"}, "the api-version is missing")
    match str(call):
        case "POST /emails:send":
            need(call.json.keys() == {"senderAddress", "recipients", "content"}, "invalid mail")
            return Reply(202, {"id": "8540c0de", "status": "NotStarted"})
        case "GET /emails/operations/8540c0de":
            return Reply(200, {"id": "8540c0de", "status": progress(state, ("NotStarted", "Running", "Succeeded"))})
    raise unknown(call)
