"""
Measure what authorizing a request costs, for each kind of authentication that sees each request.

A poll of a wait is authorized by the same code. The credentials of the other kinds are constant, or a token: they are
put into a request once. ``botocore`` is the signer of AWS's own library, for comparison.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.http.messages import Request
from benchmarks.measure import table

REQUESTS = 2000
ROUNDS = 7
_URL = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/jobs/5d8f1c2e?fields=status,progress&lang=en"
_HEADERS = (("Accept", "application/json, */*;q=0.8"), ("X-Organisation", "acme"))
_SIGNING = {
    "signed": "{timestamp}{method}{target}{body}",
    "headers": {"X-Key": "{login}", "X-Time": "{timestamp}", "X-Signature": "{signature}"},
}


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.signing", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="number of requests of each measurement")
    requests = parser.parse_args(given or []).requests
    rows = [("kind", "CPU µs of a request")]
    for name, (authorize, share) in _make_kinds().items():
        rows.append((name, f"{_measure(authorize, max(20, int(requests * share))):.1f}"))
    table("Authorizing a request", rows)


def _make_kinds() -> dict[str, tuple[Callable[[], object], float]]:
    """Return what authorizes one request, by its name, and how much of the number of requests it is measured with."""
    credentials = {"login": "AKIDEXAMPLE", "password": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    aws = {**credentials, "aws_region": "eu-west-1", "aws_service": "execute-api"}
    rsa_key = {"login": "ann", "jwt_secret_key": _encode(rsa.generate_private_key(65537, 2048))}
    ec_key = {"login": "ann", "jwt_secret_key": _encode(ec.generate_private_key(ec.SECP256R1()))}
    ec_key["jwt_algorithm"] = "ES256"
    return {
        "aws_sigv4": (_authorize("aws_sigv4", aws), 1.0),
        "aws_sigv4, temporary keys": (_authorize("aws_sigv4", {**aws, "aws_session_token": "x" * 1000}), 1.0),
        "botocore": (_make_botocore(credentials), 0.5),
        "hmac": (_authorize("hmac", {**credentials, "signing": _SIGNING}), 1.0),
        "jwt": (_authorize("jwt", rsa_key), 1.0),
        "jwt, a new token (RS256)": (_authorize("jwt", rsa_key, keeps=False), 0.05),
        "jwt, a new token (ES256)": (_authorize("jwt", ec_key, keeps=False), 0.2),
    }


def _authorize(kind: str, fields: Mapping[str, Any], *, keeps: bool = True) -> Callable[[], object]:
    """
    Return a function that authorizes a poll.

    :param keeps: whether the kind keeps what it may use again.
    """
    auth = AUTH_KINDS[kind].parse(fields)
    request = Request("GET", _URL, _HEADERS)
    context = AuthContext(time.time, lambda: "80" * 16)

    def authorize() -> object:
        if not keeps:
            context.memory.clear()
        return next(auth.auth_flow(request, context))

    return authorize


def _make_botocore(credentials: Mapping[str, str]) -> Callable[[], object]:
    signer: Any = SigV4Auth(Credentials(credentials["login"], credentials["password"]), "execute-api", "eu-west-1")

    def authorize() -> object:
        request = AWSRequest("GET", _URL, dict(_HEADERS))
        signer.add_auth(request)
        return request

    return authorize


def _measure(authorize: Callable[[], object], requests: int) -> float:
    """Return the CPU time of a call in microseconds: the least of several rounds, in which nothing else ran."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(requests):
            authorize()
        found.append((time.process_time() - start) / requests * 1e6)
    return min(found)


def _encode(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


if __name__ == "__main__":
    main(sys.argv[1:])
