"""Signed requests to services of AWS, which moto checks as AWS does: by their signatures and the user's policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from airflow_provider_asyncapi.exceptions import AsyncApiException, AsyncApiUnauthorized
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

REGION = "eu-west-1"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*"], "Resource": "*"}]}


@pytest.fixture(scope="module")
def aws() -> Iterator[tuple[str, dict[str, str]]]:
    """
    Return the URL of the services, and the keys of a user who may use S3 and SQS.

    Moto keeps its state, and whether it authenticates, for the whole process: both are put back for other tests.
    """
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    options: Any = {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": "anybody",
        "aws_secret_access_key": "anything",
    }
    iam = boto3.client("iam", **options)
    iam.create_user(UserName="exporter")
    iam.put_user_policy(UserName="exporter", PolicyName="jobs", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="exporter")["AccessKey"]
    boto3.client("s3", **options).create_bucket(
        Bucket="results", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    # From now on, each request is authenticated and authorized.
    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=30).raise_for_status()
    yield url, {"login": key["AccessKeyId"], "password": key["SecretAccessKey"]}
    requests.post(f"{url}/moto-api/reset-auth", data=b"inf", timeout=30).raise_for_status()
    requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()
    server.stop()


@pytest.fixture
def connect(aws: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Any:
    url, keys = aws

    def connect(service: str, **fields: str) -> AsyncApiHook:
        extra = {"auth": "aws_sigv4", "aws_region": REGION, "aws_service": service}
        connection = {"conn_type": "asyncapi", "host": url, **keys, **fields, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_API", json.dumps(connection))
        return AsyncApiHook("aws_api")

    return connect


@pytest.mark.parametrize("key", ["jobs/7.json", "year=2026/part 1+2:$.json", "Größe/☕.json"])
def test_objects_are_written_and_read_by_signed_requests(connect: Any, key: str) -> None:
    with connect("s3") as hook:
        assert hook.request("PUT", f"/results/{key}", json={"rows": 2}).status_code == 200
        assert hook.request("GET", f"/results/{key}").json() == {"rows": 2}


def test_a_form_is_signed(connect: Any) -> None:
    """Without a query: moto leaves the query out of the signature that it expects."""
    with connect("sqs") as hook:
        form = {"Action": "CreateQueue", "QueueName": "jobs", "Version": "2012-11-05"}
        assert "/jobs</QueueUrl>" in hook.request("POST", "/", data=form).text


def test_a_wrong_key_is_refused_with_advice(connect: Any) -> None:
    with connect("s3", password="forgotten") as hook, pytest.raises(AsyncApiUnauthorized) as caught:
        hook.request("GET", "/results/jobs/7.json")
    assert "check the connection's secret access key (password), aws_region" in str(caught.value)
    assert "forgotten" not in str(caught.value)


def test_what_the_policy_forbids_is_refused(connect: Any) -> None:
    with connect("iam") as hook, pytest.raises(AsyncApiException, match="AccessDenied"):
        hook.request("POST", "/", data={"Action": "ListUsers", "Version": "2010-05-08"})
