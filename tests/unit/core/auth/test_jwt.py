"""Tokens that a connection signs, read by PyJWT as a server reads them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.auth.jwt_token import JwtAuth
from airflow_provider_asyncapi.core.auth.token_flow import request_token
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.unit.core.flow_runner import BASE, NONCE, START, FlowRunner, make_api, make_response

TOKEN_URL = "https://login.example.com/token"
SHARED = "shared-secret-of-at-least-64-bytes-as-HS512-wants-it-to-have-at-the-very-least"


def pem(key: Any) -> str:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


RSA = rsa.generate_private_key(65537, 2048)
PUBLIC = (
    RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
ENCRYPTED = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"geheim-2")
).decode()
KEYS: dict[str, Any] = {
    "RS256": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ACCOUNT = {
    "type": "service_account",
    "client_email": "robot@project.iam.example.com",
    "private_key": pem(RSA),
    "private_key_id": "k-1",
    "token_uri": TOKEN_URL,
}


def bearer(auth: JwtAuth, context: AuthContext) -> str:
    request = next(auth.auth_flow(Request("GET", BASE), context))
    return dict(request.headers)["Authorization"].removeprefix("Bearer ")


def context_at(now: float, memory: dict[str, Any] | None = None) -> AuthContext:
    return AuthContext(lambda: now, lambda: NONCE, memory={} if memory is None else memory)


def read(token: str, key: Any, **options: bool) -> dict[str, Any]:
    algorithm = jwt.get_unverified_header(token)["alg"]
    checks: Any = {"verify_exp": False, "verify_iat": False, **options}
    return jwt.decode(token, key, [algorithm], options=checks)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_is_signed_with_a_private_key(algorithm):
    fields = {"jwt_secret_key": pem(KEYS[algorithm]), "jwt_algorithm": algorithm, "login": "me"}
    token = bearer(JwtAuth.parse({**fields, "jwt_headers": {"kid": "k"}, "jwt_claims": {"x": 1}}), context_at(START))
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "k"}
    claims = read(token, KEYS[algorithm].public_key())
    assert claims == {"iss": "me", "x": 1, "iat": START - 10, "exp": START - 10 + 3540, "jti": NONCE}


def test_a_token_is_signed_with_a_shared_secret():
    auth = JwtAuth.parse({"jwt_secret_key": SHARED, "jwt_algorithm": "HS512", "jwt_lifetime": "120"})
    claims = read(bearer(auth, context_at(START)), SHARED)
    assert claims["exp"] - claims["iat"] == 120
    assert "iss" not in claims


def test_claims_may_name_the_fingerprint_of_the_key_as_snowflake_wants_it():
    # https://docs.snowflake.com/en/developer-guide/sql-api/authenticating
    claims = {"iss": "ACC.{login}.{key_fingerprint}", "sub": "ACC.{login}"}
    auth = JwtAuth.parse({"jwt_secret_key": pem(RSA), "login": "ANN", "jwt_claims": claims})
    der = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    found = read(bearer(auth, context_at(START)), RSA.public_key())
    assert found["iss"] == f"ACC.ANN.SHA256:{base64.b64encode(hashlib.sha256(der).digest()).decode()}"
    assert found["sub"] == "ACC.ANN"


def test_a_token_is_used_for_nine_tenths_of_its_life():
    auth = JwtAuth.parse({"jwt_secret_key": pem(RSA), "jwt_lifetime": 100})
    memory: dict[str, Any] = {}
    first = bearer(auth, context_at(START, memory))
    assert bearer(auth, context_at(START + 80, memory)) == first
    assert read(bearer(auth, context_at(START + 91, memory)), RSA.public_key())["iat"] == START + 81


@pytest.mark.parametrize(
    ("fields", "issued_at", "expires_at"),
    [
        ({}, -10, 3530),
        ({"jwt_leeway": 0}, 0, 3540),
        ({"jwt_leeway": "60", "jwt_lifetime": 600}, -60, 540),
        ({"jwt_lifetime": 8}, -4, 4),
    ],
)
def test_a_token_is_dated_back_for_servers_whose_clock_is_slow(fields, issued_at, expires_at):
    token = bearer(JwtAuth.parse({"jwt_secret_key": pem(RSA), **fields}), context_at(START))
    claims = read(token, RSA.public_key())
    assert (claims["iat"] - START, claims["exp"] - START) == (issued_at, expires_at)


def test_claims_may_name_the_times_of_the_token():
    claims = {"nbf": "{issued_at}", "valid": ["until {expires_at}"]}
    auth = JwtAuth.parse({"jwt_secret_key": pem(RSA), "jwt_claims": claims})
    found = read(bearer(auth, context_at(START)), RSA.public_key())
    assert found["nbf"] == found["iat"]
    assert found["valid"] == [f"until {found['exp']}"]


def test_a_known_token_that_is_refused_is_signed_anew():
    auth = JwtAuth.parse({"jwt_secret_key": pem(RSA)})
    memory: dict[str, Any] = {}
    first = bearer(auth, context_at(START, memory))
    flow = auth.auth_flow(Request("GET", BASE), context_at(START + 5, memory))
    assert dict(next(flow).headers)["Authorization"] == f"Bearer {first}"
    again = flow.send(make_response({}, 401))
    assert dict(again.headers)["Authorization"] != f"Bearer {first}"
    with pytest.raises(StopIteration):
        flow.send(make_response({}, 401))


def test_a_signed_token_is_masked_in_messages():
    api = make_api(auth="jwt", jwt_secret_key=pem(RSA))
    runner = FlowRunner(api, make_response({}))
    runner.run(send(api, Request("GET", f"{BASE}/jobs")))
    token = str(runner.header("Authorization")).removeprefix("Bearer ")
    assert token not in api.redact(f"invalid token {token}")


def test_a_new_token_that_is_refused_is_not_signed_again():
    flow = JwtAuth.parse({"jwt_secret_key": pem(RSA)}).auth_flow(Request("GET", BASE), context_at(START))
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(make_response({}, 401))


def get_token_with(*responses: Response, **fields: Any) -> FlowRunner:
    runner = FlowRunner(make_api(**fields), *responses)
    source = runner.api.settings.auth.token_source
    assert source is not None
    token = runner.run(request_token(runner.api, source, None))
    assert token.value == "t-1"
    return runner


def form_of(runner: FlowRunner) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(find_literal_bytes(runner.requests[0].body).decode()).items()}


TOKEN = make_response({"access_token": "t-1", "expires_in": 60})


def test_a_jwt_is_a_grant_for_a_token():
    runner = get_token_with(
        TOKEN,
        auth="jwt_bearer",
        login="client-1",
        oauth2_url=TOKEN_URL,
        scope="api",
        jwt_secret_key=pem(RSA),
        jwt_claims={"sub": "ann@example.com"},
    )
    form = form_of(runner)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert form["scope"] == "api"
    claims = read(form["assertion"], RSA.public_key(), verify_aud=False)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "ann@example.com", TOKEN_URL)
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize("given", [json.dumps(ACCOUNT), ACCOUNT], ids=["text", "object"])
def test_the_key_file_of_a_service_account_has_all_but_the_scope(given):
    runner = get_token_with(TOKEN, auth="jwt_bearer", jwt_secret_key=given, scope="https://scope")
    assert runner.requests[0].url == TOKEN_URL
    form = form_of(runner)
    assert form.keys() == {"grant_type", "assertion"}
    assert jwt.get_unverified_header(form["assertion"])["kid"] == "k-1"
    claims = read(form["assertion"], RSA.public_key(), verify_aud=False)
    assert (claims["iss"], claims["scope"], claims["aud"]) == (ACCOUNT["client_email"], "https://scope", TOKEN_URL)


@pytest.mark.parametrize(
    ("style", "fields", "key"),
    [
        ("private_key_jwt", {"jwt_secret_key": pem(RSA)}, RSA.public_key()),
        ("client_secret_jwt", {"password": SHARED}, SHARED),
    ],
)
def test_a_client_authenticates_with_a_jwt(style, fields, key):
    runner = get_token_with(TOKEN, auth="oauth2", login="client-1", oauth2_url=TOKEN_URL, client_auth=style, **fields)
    form = form_of(runner)
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    claims = read(form["client_assertion"], key, verify_aud=False)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "client-1", TOKEN_URL)
    assert claims["exp"] - claims["iat"] == 300
    assert "authorization" not in {name.lower() for name, _ in runner.requests[0].headers}


def test_a_key_whose_line_breaks_were_copied_out_of_json_is_read():
    fields = {"jwt_claims": {"key": "{key_fingerprint}"}}
    plain, copied = (
        JwtAuth.parse({"login": "ann", "jwt_secret_key": key, **fields})
        for key in (pem(RSA), pem(RSA).replace("\n", "\\n"))
    )
    tokens = [auth.signer.sign(START, "1") for auth in (plain, copied)]
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize(
    ("date", "advice"),
    [
        (
            "Tue, 14 Nov 2023 22:03:20 GMT",
            r"key and claims; the clock .* by \+600 s, so correct",
        ),
        ("Tue, 14 Nov 2023 22:13:25 GMT", "key and claims$"),
        ("soon", "key and claims$"),
    ],
)
def test_a_refused_assertion_mentions_a_wrong_clock(date, advice):
    refused = make_response({"error": "invalid_grant", "error_description": "expired"}, 400, date=date)
    with pytest.raises(AuthenticationError, match=f"expired; check the connection's {advice}"):
        get_token_with(refused, auth="jwt_bearer", login="x", oauth2_url=TOKEN_URL, jwt_secret_key=pem(RSA))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jwt_secret_key": ""}, r"auth 'jwt' needs jwt_secret_key \(the key that signs\)"),
        ({"jwt_secret_key": "geheim-1"}, "jwt_secret_key isn't a key for RS256: it has to be a private key in PEM"),
        ({"jwt_secret_key": "/keys/robot.p8"}, "if this is the path of a file, set the content of the file instead$"),
        ({"jwt_secret_key": "robot.pem"}, "if this is the path of a file, set the content of the file instead$"),
        ({"jwt_secret_key": PUBLIC}, "this is a public key or a certificate$"),
        ({"jwt_secret_key": ENCRYPTED}, "this key has a passphrase, and .*: remove it with openssl pkey -in"),
        ({"jwt_algorithm": "ES256"}, "jwt_secret_key isn't a key for ES256"),
        ({"jwt_algorithm": "none"}, "jwt_algorithm has to be 'RS256' or .*, not 'none'"),
        ({"jwt_secret_key": '{"geheim": 1}'}, "is JSON, but not the key file of a Google service account"),
        ({"jwt_secret_key": {"geheim": 1}}, "is JSON, but not the key file of a Google service account"),
        ({"jwt_claims": {"iss": "{user}"}}, r"jwt_claims: unknown variable \{user\}; known are login"),
        ({"jwt_headers": {"alg": "none"}}, "jwt_headers: 'alg' can't be set here"),
        ({"jwt_lifetime": -1}, "jwt_lifetime has to be a number of seconds above 0, not -1"),
        ({"jwt_leeway": -1}, r"jwt_leeway has to be a number of seconds from 0 to below the lifetime \(3540\), not -1"),
        ({"jwt_leeway": 60, "jwt_lifetime": 60}, r"jwt_leeway has to be .* below the lifetime \(60\), not 60"),
        ({"jwt_leeway": "x"}, "jwt_leeway has to be a number of seconds .*, not 'x'"),
        ({"jwt_claims": {"iss": 7}}, "jwt_claims or jwt_headers can't be signed: Issuer .* must be a string"),
        (
            {"jwt_claims": {"x": "{key_fingerprint}"}, "jwt_secret_key": "geheim-1"},
            "jwt_secret_key isn't a key for RS256",
        ),
    ],
)
def test_a_mistake_is_named_without_the_key(fields, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        JwtAuth.parse({"jwt_secret_key": pem(RSA), **fields})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jwt_claims": {"x": 1}}, "jwt_claims is for client_auth 'private_key_jwt' or 'client_secret_jwt'"),
        ({"client_auth": "client_secret_jwt", "password": ""}, r"auth 'oauth2' needs password \(the client secret\)"),
        ({"client_auth": "client_secret_jwt", "oauth2_url": "/token"}, r"oauth2_url is relative \(/token\)"),
        ({"client_auth": "private_key_jwt"}, r"auth 'oauth2' needs jwt_secret_key \(the key that signs\)"),
    ],
)
def test_a_client_that_signs_needs_a_key(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        make_api(**{"auth": "oauth2", "login": "c", "password": "p", "oauth2_url": TOKEN_URL, **fields})


def test_the_key_is_in_no_repr():
    api = make_api(auth="jwt", jwt_secret_key=pem(RSA))
    assert "PRIVATE" not in repr(api.settings)
    assert api.settings.auth.header_names == ("Authorization",)
