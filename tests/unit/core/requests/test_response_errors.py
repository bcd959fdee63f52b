from __future__ import annotations

from email.utils import formatdate

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    JobNotFoundError,
    RequestRejectedError,
)
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error, describe_bad_response
from tests.unit.core.flow_runner import BASE, START, make_api, make_response
from tests.unit.core.requests.messages import get

# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, JobNotFoundError), (410, JobNotFoundError), (400, RequestRejectedError), (302, RequestRejectedError)],
)
def test_a_rejection_says_what_was_asked_what_came_and_what_the_api_says(status, kind):
    error = build_rejection_error(
        make_api(), get(), make_response({"title": "Bad", "detail": "no gstin"}, status), expected="200"
    )
    assert type(error) is kind
    assert str(error) == f"GET {BASE}/jobs answered {status}, expected 200: Bad: no gstin"


def test_no_error_shows_a_secret():
    api = make_api(auth="bearer", password="planted-token")
    body = {"detail": "bad token planted-token", "password": "planted-else"}
    shown = [
        str(build_rejection_error(api, get("/jobs?sig=planted"), make_response(body, 400))),
        describe_bad_response(
            api, get("/jobs?sig=planted"), make_response(body), ContentError("planted-token isn't JSON")
        ),
    ]
    assert "planted" not in "".join(shown)
    assert "the body begins" in shown[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"auth": "hmac", "password": "key", "signing": {"signed": "{path}", "headers": {"X-Sign": "{signature}"}}},
        {"auth": "jwt", "login": "ann", "jwt_algorithm": "HS256", "jwt_secret_key": "a shared secret " * 3},
    ],
    ids=lambda fields: fields["auth"],
)
def test_a_refused_signature_mentions_a_wrong_clock(fields):
    api = make_api(**fields)
    late, same = (formatdate(START + seconds, usegmt=True) for seconds in (3600, 20))
    error = build_rejection_error(api, get(), make_response({"detail": "no"}, 401, date=late))
    assert str(error).endswith("no (the clock of this machine differs from the server's by -3600 s, so correct it)")
    for response in (make_response(None, 401, date=same), make_response(None, 403)):
        assert str(build_rejection_error(api, get(), response)).endswith("(check the connection's credentials)")
    assert "clock" not in str(build_rejection_error(api, get(), make_response(None, 404, date=late)))


def test_an_empty_body_is_called_so():
    assert "no message in the body" in str(build_rejection_error(make_api(), get(), make_response(None, 400)))
    assert "begins" not in describe_bad_response(make_api(), get(), make_response(None), ContentError("expected JSON"))
