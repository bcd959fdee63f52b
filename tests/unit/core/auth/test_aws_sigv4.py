"""Requests signed for AWS, compared with the signatures that AWS publishes."""

from __future__ import annotations

import hashlib
from email.utils import formatdate
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.aws_sigv4 import AwsSigV4Auth
from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError, RequestRejectedError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error
from tests.unit.core.flow_runner import BASE, START, make_api, make_response
from tests.unit.fake_files import MemoryFiles

#: 2015-08-30T12:36:00Z, of the test suite of AWS, and 2013-05-24T00:00:00Z, of the examples of S3.
SUITE_TIME, S3_TIME = 1_440_938_160.0, 1_369_353_600.0
SUITE = {
    "login": "AKIDEXAMPLE",
    "password": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "aws_region": "us-east-1",
    "aws_service": "service",
}
S3 = {
    **SUITE,
    "login": "AKIAIOSFODNN7EXAMPLE",
    "password": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "aws_service": "s3",
}
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def sign(request: Request, fields: dict[str, str] = SUITE, now: float = SUITE_TIME, memory=None) -> Request:
    auth = AwsSigV4Auth.parse(fields)
    context = AuthContext(lambda: now, lambda: "40" * 16, memory={} if memory is None else memory)
    (signed,) = auth.auth_flow(request, context)
    return signed


def signature(request: Request, fields: dict[str, str] = SUITE, now: float = SUITE_TIME) -> str:
    return Headers(sign(request, fields, now).headers)["authorization"].rpartition("Signature=")[2]


HOST = "https://example.amazonaws.com"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


# The test suite of AWS, without the requests whose path has a space or a letter beyond ASCII, as no client sends it:
# https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Request("GET", f"{HOST}/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request("GET", HOST), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request("GET", f"{HOST}:443"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request("GET", f"{HOST}//"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request("GET", f"{HOST}/example/.."), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Request("GET", f"{HOST}//example//"), "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        (
            Request("GET", f"{HOST}/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            Request("GET", f"{HOST}/?{UNRESERVED}={UNRESERVED}"),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (Request("GET", f"{HOST}/{UNRESERVED}"), "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        (Request("GET", f"{HOST}/?ሴ=bar"), "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        (Request("POST", f"{HOST}/"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            Request("POST", f"{HOST}/", (FORM,), b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_the_signatures_are_those_of_the_test_suite_of_aws(given, expected):
    assert signature(given) == expected


# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/test.txt", (("Range", "bytes=0-9"),), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/?lifecycle", (), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", (), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_signatures_for_s3_are_those_of_its_documentation(target, headers, expected):
    given = Request("GET", f"https://examplebucket.s3.amazonaws.com{target}", (("Accept", "*/*"), *headers))
    assert signature(given, S3, S3_TIME) == expected


def test_the_session_token_is_sent_and_signed():
    signed = Headers(sign(Request("GET", HOST), {**SUITE, "aws_session_token": "the-token"}).headers)
    assert signed["x-amz-security-token"] == "the-token"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in signed["authorization"]


def test_the_query_is_sent_in_the_form_that_is_signed():
    signed = sign(Request("GET", f"{HOST}/jobs?b=x+y:%7e&a&a=é&&"))
    assert signed.url == f"{HOST}/jobs?b=x%20y%3A~&a&a=%C3%A9"


def test_the_path_of_an_object_of_s3_is_sent_in_the_form_that_is_signed():
    signed = sign(Request("GET", "https://b.s3.amazonaws.com/year=2024//a+b:%7e é/c%2Fd"), S3)
    assert signed.url == "https://b.s3.amazonaws.com/year%3D2024//a%2Bb%3A~%20%C3%A9/c%2Fd"
    assert signature(signed, S3) == signature(Request("GET", signed.url), S3)
    assert sign(Request("GET", f"{HOST}/jobs:run")).url == f"{HOST}/jobs:run", "other services sign what they receive"


def test_the_signing_key_is_computed_once_a_day():
    memory: dict[str, object] = {}
    for now in (SUITE_TIME, SUITE_TIME + 3600, SUITE_TIME + 86_400):
        assert sign(Request("GET", HOST), now=now, memory=memory).headers == sign(Request("GET", HOST), now=now).headers
    assert len(memory) == 1


def test_a_file_is_signed_by_its_hash_and_for_s3_not_at_all():
    auth = AwsSigV4Auth.parse(SUITE)
    file = FileBody((MemoryFiles(data=b"content").inspect("data"),))
    assert auth.body_algorithms == {"sha256"}
    with pytest.raises(ConfigurationError, match="the sha256 digest of a body that contains files isn't known here"):
        sign(Request("PUT", HOST, (), file))
    read = file.with_digests(auth.body_algorithms)
    assert signature(Request("PUT", HOST, (), read)) == signature(Request("PUT", HOST, (), b"content"))
    assert AwsSigV4Auth.parse(S3).body_algorithms == frozenset()
    assert Headers(sign(Request("PUT", HOST, (), file), S3).headers)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert (
        Headers(sign(Request("PUT", HOST, (), b"content"), S3).headers)["x-amz-content-sha256"]
        == hashlib.sha256(b"content").hexdigest()
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"login": ""}, r"auth 'aws_sigv4' needs login \(the access key ID\) and password"),
        ({"password": None}, r"auth 'aws_sigv4' needs password \(the secret access key\)"),
        ({"aws_region": ""}, r"auth 'aws_sigv4' needs aws_region \(the region of the API, such as eu-west-1\)"),
        ({"aws_service": ""}, r"auth 'aws_sigv4' needs aws_service \(the name of the service, such as execute-api\)"),
        ({"aws_region": "EU (Ireland)"}, "aws_region has lower-case letters, digits and - only"),
        ({"aws_service": "s3/eu"}, "aws_service has lower-case letters, digits and - only"),
    ],
)
def test_a_connection_that_can_t_sign_is_refused(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        AwsSigV4Auth.parse({**SUITE, **fields})


def test_the_secrets_are_in_no_repr():
    auth = AwsSigV4Auth.parse({**SUITE, "aws_session_token": "the-token"})
    assert SUITE["password"] not in repr(auth)
    assert "the-token" not in repr(auth)


def refusal(response: Response) -> RequestRejectedError:
    fields: dict[str, Any] = {"auth": "aws_sigv4", **SUITE}
    api = make_api(**fields)
    return build_rejection_error(api, Request("GET", f"{BASE}/jobs"), response)


def gateway(kind: str, status: int = 403, *, seconds: float = 0.0) -> Response:
    """Return an error of API Gateway whose clock differs by some seconds."""
    date = formatdate(START + seconds, usegmt=True)
    return make_response({"message": "no"}, status, x_amzn_errortype=f"{kind}:http://internal", date=date)


CREDENTIALS = "check the connection's secret access key (password), aws_region 'us-east-1' and aws_service 'service'"


@pytest.mark.parametrize(
    ("response", "advice"),
    [
        (gateway("InvalidSignatureException"), CREDENTIALS),
        # DynamoDB, Athena and others answer with 400.
        (make_response({"__type": "com.amazon.coral.service#InvalidSignatureException"}, 400), CREDENTIALS),
        (make_response(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", 403), CREDENTIALS),
        (make_response(b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>", 400), CREDENTIALS),
        (
            gateway("InvalidSignatureException", seconds=-900.0),
            "the clock of this machine differs from the server's by +900 s, so correct it",
        ),
        (
            make_response(b"<Error><Code>RequestTimeTooSkewed</Code></Error>", 403),
            "the clock of this machine is wrong, or the request took minutes to arrive",
        ),
        (
            make_response({"__type": "ExpiredTokenException"}, 400),
            "the temporary credentials have expired; set login, password and aws_session_token to new ones",
        ),
        (
            make_response({"code": "UnrecognizedClientException"}, 403),
            "AWS doesn't know the access key ID (login), or its session token isn't the one of these keys",
        ),
        (gateway("AccessDeniedException"), "check the connection's credentials"),
    ],
)
def test_a_refusal_says_what_to_change(response, advice):
    error = refusal(response)
    assert type(error) is AuthenticationError
    assert str(error).endswith(f"({advice})")


def test_another_error_says_nothing_of_credentials():
    error = refusal(make_response({"__type": "ValidationException", "message": "no such day"}, 400))
    assert type(error) is RequestRejectedError
    assert str(error) == f"GET {BASE}/jobs answered 400, expected 2xx: no such day"


def test_the_error_of_another_host_is_not_about_the_signature():
    response = gateway("InvalidSignatureException")
    response.url = "https://files.example.org/x"
    assert "trusted_hosts" in str(refusal(response))
