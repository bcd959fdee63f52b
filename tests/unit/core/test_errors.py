import json

import pytest

from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    HeldError,
    RequestRejectedError,
    TransportError,
    read_error,
)
from airflow_provider_asyncapi.core.flows.fetch import NoDataError
from airflow_provider_asyncapi.core.messages import Response

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AsyncApiError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_from_what_was_stored_of_it(kind):
    error = read_error({"kind": kind.__name__, "message": "what happened"})
    assert type(error) is kind
    assert str(error) == "what happened"
    assert error.http_status is None


def test_an_error_keeps_its_fields_when_it_is_stored():
    error = RequestRejectedError("no")
    error.method, error.url, error.http_status = "POST", "https://api.example.com/jobs", 501
    read = read_error(json.loads(json.dumps(error.dump())))
    assert (read.method, read.url, read.http_status) == ("POST", "https://api.example.com/jobs", 501)


def test_an_error_under_another_message_keeps_its_class_and_all_that_it_carries():
    error = HeldError("not sent", 12.5)
    error.url = "https://api.example.com/jobs"
    named = error.with_message("page 2: not sent")
    assert type(named) is HeldError
    assert str(named) == "page 2: not sent"
    assert (named.seconds, named.sent, named.url) == (12.5, False, "https://api.example.com/jobs")
    assert str(error) == "not sent"


def test_an_error_whose_class_needs_more_than_a_message_can_be_given_another_one():
    response = Response(204)
    named = NoDataError("nothing", response).with_message("page 1: nothing")
    assert named.response is response
    assert str(named) == "page 1: nothing"


def test_an_unknown_kind_is_the_base_class():
    assert type(read_error({"kind": "KlingonError", "message": "x"})) is AsyncApiError


def test_a_transport_error_has_to_be_taken_for_sent_unless_it_says_otherwise():
    assert TransportError("x").sent
    assert not TransportError("x", sent=False).sent
