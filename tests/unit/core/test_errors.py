import copy
import json
import pickle

import pytest

from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    RequestRejectedError,
    ThrottledError,
    TransportError,
    read_error,
)
from airflow_provider_asyncapi.core.fetch.flow import NoDataError
from airflow_provider_asyncapi.core.http.messages import Response

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AsyncApiError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_from_what_was_stored_of_it(kind):
    error = read_error({"kind": kind.__name__, "message": "what happened"})
    assert type(error) is kind
    assert str(error) == "what happened"
    assert error.status_code is None


FIELDS = {
    "method": "POST",
    "url": "https://api.example.com/jobs",
    "status_code": 501,
    "job": 7,
    "status": "queued",
    "message": "no room",
    "rerun": "submit",
    "ended_at": 1.5,
    "cancellation": "the API has accepted the cancel",
}


def with_fields(error):
    vars(error).update(FIELDS)
    return error


@pytest.mark.parametrize(
    "carry",
    [
        lambda error: read_error(json.loads(json.dumps(error.dump()))),
        lambda error: pickle.loads(pickle.dumps(error)),
        copy.copy,
        lambda error: RequestRejectedError("no").set_fields_from(error),
    ],
    ids=["stored", "pickled", "copied", "taken over"],
)
def test_an_error_keeps_its_fields_wherever_it_is_carried(carry):
    error = carry(with_fields(RequestRejectedError("no")))
    assert type(error) is RequestRejectedError
    assert str(error) == "no"
    assert vars(error) == FIELDS


def test_an_error_whose_class_needs_more_than_a_text_can_be_pickled():
    error = pickle.loads(pickle.dumps(with_fields(ThrottledError("not sent", 12.5))))
    assert vars(error) == {**FIELDS, "seconds": 12.5, "sent": False}
    assert pickle.loads(pickle.dumps(NoDataError("nothing", Response(204)))).response.status == 204


def test_a_status_code_is_read_under_the_name_that_earlier_versions_have_stored():
    read = read_error({"kind": "RequestRejectedError", "message": "no", "http_status": 501})
    assert (str(read), read.status_code, read.message) == ("no", 501, None)


def test_the_job_that_an_error_is_about_is_set_once():
    error = RequestRejectedError("no").set_job(7, "queued").set_job(8, "done")
    assert (error.job, error.status) == (7, "queued")


def test_an_error_under_another_message_keeps_its_class_and_all_that_it_carries():
    error = ThrottledError("not sent", 12.5)
    error.url = "https://api.example.com/jobs"
    named = error.with_message("page 2: not sent")
    assert type(named) is ThrottledError
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
