from __future__ import annotations

import hashlib
import itertools
import re

import pytest

from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.auth.digest import Challenge, DigestAuth
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response

POST = Request("POST", "https://api.example.com/jobs?a=1&b=%20", (("Accept", "*/*"),), b"body")


def challenged(header: str, status: int = 401) -> Response:
    return Response(status, Headers({"www-authenticate": header}.items()), b"")


def play(auth: DigestAuth, context: AuthContext, *responses: Response) -> list[Request]:
    """Run the auth flow with these responses, and return the requests that it sends."""
    flow = auth.auth_flow(POST, context)
    sent = [next(flow)]
    for response in responses:
        try:
            sent.append(flow.send(response))
        except StopIteration:
            break
    return sent


def make_context() -> AuthContext:
    return AuthContext(lambda: 0.0, lambda: "c1")


def fields_of(request: Request) -> dict[str, str]:
    header = dict(request.headers)["Authorization"].removeprefix("Digest ")
    return {match[1]: match[2].strip('"') for match in re.finditer(r'(\w+)=("[^"]*"|[^,]+)', header)}


OK = Response(200, Headers(()), b"")
AUTH = DigestAuth("ann", "s3cret")
USUAL = 'Digest realm="jobs", nonce="n1", qop="auth,auth-int", opaque="o"'


def test_it_hashes_what_the_standard_says():
    """As RFC 7616, section 3.4.1, for MD5 and the quality of protection ``auth``."""
    _, request = play(AUTH, make_context(), challenged(USUAL))
    given = fields_of(request)
    assert given | {"response": ""} == {
        "username": "ann",
        "realm": "jobs",
        "nonce": "n1",
        "uri": "/jobs?a=1&b=%20",
        "response": "",
        "opaque": "o",
        "algorithm": "MD5",
        "cnonce": "c1",
        "qop": "auth",
        "nc": "00000001",
    }
    secret, what = (hashlib.md5(text).hexdigest() for text in (b"ann:jobs:s3cret", b"POST:/jobs?a=1&b=%20"))
    text = f"{secret}:n1:00000001:c1:auth:{what}"
    assert given["response"] == hashlib.md5(text.encode()).hexdigest()


def test_a_server_of_the_first_standard_gets_no_nonce_of_the_client():
    _, request = play(AUTH, make_context(), challenged('Basic realm="x", Digest realm="jobs", nonce="n1"'))
    assert fields_of(request).keys() == {"username", "realm", "nonce", "uri", "response", "algorithm"}


def test_a_session_hashes_the_nonces_too():
    _, request = play(AUTH, make_context(), challenged(f"{USUAL}, algorithm=MD5-sess"))
    assert fields_of(request)["algorithm"] == "MD5-sess"
    assert fields_of(request)["response"] != fields_of(play(AUTH, make_context(), challenged(USUAL))[1])["response"]


def test_a_known_challenge_is_answered_at_once_and_each_request_counted():
    context = make_context()
    play(AUTH, context, challenged(USUAL), OK)
    for number in (2, 3):
        (request,) = play(AUTH, context, OK)
        assert fields_of(request)["nc"] == f"{number:08x}"
    # The nonce has expired.
    _, again = play(AUTH, context, challenged(USUAL.replace("n1", "n2")))
    assert (fields_of(again)["nonce"], fields_of(again)["nc"]) == ("n2", "00000001")


def test_the_same_challenge_twice_means_wrong_credentials():
    context = make_context()
    play(AUTH, context, challenged(USUAL))
    assert len(play(AUTH, context, challenged(USUAL))) == 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        'Basic realm="x"',
        'Digest realm="x", nonce="n", algorithm=SHA3',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x"',
    ],
)
def test_a_challenge_that_can_not_be_answered_leaves_the_response(header):
    assert play(AUTH, make_context(), challenged(header)) == [POST]
    assert play(AUTH, make_context(), challenged(USUAL, status=403)) == [POST]


def test_the_strongest_challenge_counts():
    header = ", ".join(f'Digest realm="x", nonce="{name}", algorithm={name}' for name in ("MD5", "SHA-256", "SHA3"))
    challenge = Challenge.parse(header)
    assert challenge is not None
    assert challenge.algorithm == "SHA-256"


def test_quotes_are_escaped():
    _, request = play(DigestAuth('a"b\\', "p"), make_context(), challenged(r'Digest realm="a\"b", nonce="n"'))
    assert r'username="a\"b\\", realm="a\"b"' in dict(request.headers)["Authorization"]


def test_other_characters_than_ascii_are_refused():
    with pytest.raises(ConfigurationError, match="can only hold ASCII characters"):
        DigestAuth.parse({"login": "änn", "password": "p"})


def test_algorithms_of_512_bits():
    _, request = play(AUTH, make_context(), challenged(f"{USUAL}, algorithm=SHA-512-256"))
    assert len(fields_of(request)["response"]) == 64


def test_the_password_is_in_no_repr():
    assert "s3cret" not in repr(AUTH)
    assert list(itertools.chain(AUTH.header_names)) == ["Authorization"]
    assert DigestAuth.parse({"login": "ann"}) == DigestAuth("ann", "")
