"""An API of AWS, which verifies each signature with botocore, from what came over the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.loopback import Asked, Behaviour, Server, encode

ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AKIAPLANTEDKEY", "aws-secret-planted", "aws-session-token-planted"
REGION = "eu-west-1"
#: The header Authorization.
HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+),"
    r" SignedHeaders=(?P<names>[^,]+), Signature=(?P<signature>\w+)"
)
#: Seconds by which the date of a request may be wrong, as API Gateway has it.
_TOLERANCE = 300.0


class AwsApi(Server):
    """
    Answers what a test sets if the signature is right, and else as API Gateway does.

    :param then: returns the response for a request whose signature is right.
    :param clock: returns seconds since the epoch.
    :param service: the name of the service; ``s3`` signs in a way of its own.
    :param session_token: the session token that belongs to the keys; a test may change it.
    """

    def __init__(
        self,
        then: Callable[[Asked], Behaviour],
        clock: Callable[[], float],
        service: str = "execute-api",
        session_token: str | None = None,
    ) -> None:
        super().__init__(self.answer)
        self.then, self.clock, self.service, self.session_token = then, clock, service, session_token
        self.refused: list[str] = []

    def answer(self, asked: Asked) -> Behaviour:
        problem = self.find_problem(asked)
        if problem is None:
            return self.then(asked)
        kind, message = problem
        self.refused.append(message)
        headers = {"x-amzn-ErrorType": kind, "Date": formatdate(self.clock(), usegmt=True)}
        content = json.dumps({"message": message}).encode()
        return encode(403, {"Content-Type": "application/json", **headers}, content)

    def find_problem(self, asked: Asked) -> tuple[str, str] | None:
        """Return the kind of the error, and its message; None if the signature is right."""
        given = HEADER.fullmatch(asked.headers.get("authorization", ""))
        if given is None:
            return "MissingAuthenticationTokenException", "Missing Authentication Token"
        if given["key"] != ACCESS_KEY:
            return "UnrecognizedClientException", "The security token included in the request is invalid."
        if asked.headers.get("x-amz-security-token") != self.session_token:
            return "ExpiredTokenException", "The security token included in the request is expired"
        time = asked.headers["x-amz-date"]
        _, region, service, _ = given["scope"].split("/")
        if region != REGION:
            return "InvalidSignatureException", f"Credential should be scoped to a valid region, not {region!r}."
        names = given["names"].split(";")
        signed_by_amazon = {name for name in asked.headers if name.startswith("x-amz-")}
        if service != self.service or not {"host", *signed_by_amazon} <= set(names):
            return "InvalidSignatureException", "Credential should be scoped to correct service."
        if given["signature"] != sign(asked, names, self.url, self.service):
            return "InvalidSignatureException", "The request signature we calculated does not match yours."
        if abs(self.clock() - _read_time(time)) > _TOLERANCE:
            return "InvalidSignatureException", f"Signature expired: {time} is now earlier than the time of the server"
        return None


def sign(asked: Asked, names: list[str], url: str, service: str, secret_key: str = SECRET_KEY) -> str:
    """
    Return the signature of a request as botocore computes it.

    :param names: the names of the headers that are signed.
    :param url: the address of the server.
    """
    kind: Any = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials(ACCESS_KEY, secret_key), service, REGION)
    path, _, query = asked.target.partition("?")
    # Decoded, and encoded again by botocore, as the servers of AWS do.
    params = parse_qsl(query, keep_blank_values=True)
    headers = {name: asked.headers[name] for name in names if name != "host"}
    request = AWSRequest(asked.method, url + path, headers, asked.body, params)
    request.context["timestamp"] = asked.headers["x-amz-date"]
    found: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return found


def _read_time(text: str) -> float:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
