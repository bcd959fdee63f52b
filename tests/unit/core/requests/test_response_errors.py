from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    JobNotFoundError,
    RequestRejectedError,
)
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error, describe_bad_response
from tests.unit.core.flow_runner import BASE, make_api, make_response
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


def test_an_empty_body_is_called_so():
    assert "no message in the body" in str(build_rejection_error(make_api(), get(), make_response(None, 400)))
    assert "begins" not in describe_bad_response(make_api(), get(), make_response(None), ContentError("expected JSON"))
