from __future__ import annotations

import base64
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.callbacks.calls import (
    REFERENCE_LENGTH,
    CallbackReference,
    ReceivedCallback,
    dump_callbacks,
    extract_identifier,
    make_identifier_key,
    make_task_key,
)
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, InvalidCallbackError

TASK = uuid.UUID("01936f1c-7cde-7a52-9d3a-0b2f6f3c1a11")
TOKEN = bytes(range(32))
SECRET = "geheimnis"
SIGNED = {"signature": {"header": "X-Signature"}}


def settings(described=None, secret=None):
    return CallbackSettings.parse({"callback": described, "callback_secret": secret})


# The URL


def test_what_stands_in_a_url_can_be_read_again():
    reference = CallbackReference.make(str(TASK), TOKEN + b"more")
    assert len(reference.text) == REFERENCE_LENGTH
    assert CallbackReference.parse(reference.text) == reference == CallbackReference(TASK, TOKEN)
    assert repr(TOKEN) not in repr(reference)
    assert len(reference.digest) == 64
    assert reference.digest != CallbackReference(TASK, bytes(32)).digest


GOOD = CallbackReference(TASK, TOKEN).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        GOOD[:-1],
        GOOD + "A",
        GOOD * 1000,
        GOOD[:-1] + "%",
        GOOD[:-1] + "ü",
        GOOD[:-4] + "AA==",
        GOOD[1:] + " ",
    ],
)
def test_what_cannot_be_one_of_our_urls_is_refused_without_saying_why(text):
    with pytest.raises(InvalidCallbackError, match=r"^the URL isn't a callback URL of this provider$"):
        CallbackReference.parse(text)


@given(
    st.text(max_size=80) | st.binary(min_size=48, max_size=48).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_any_text_is_a_reference_or_refused(text):
    try:
        reference = CallbackReference.parse(text)
    except InvalidCallbackError:
        return
    assert len(reference.token) == 32
    assert reference.digest != CallbackReference(TASK, TOKEN).digest


# What came in

BODIES = [b"", b"\x00\xff", b'{"a": 1}']


def test_calls_can_be_written_down_and_read_again():
    calls = [ReceivedCallback("a", 5.0, "text/plain", body) for body in BODIES] + [
        ReceivedCallback("b", 6.0, path="s3://bucket/b")
    ]
    assert ReceivedCallback.parse_callbacks(json.loads(json.dumps(dump_callbacks(calls)))) == calls
    assert ReceivedCallback.parse_callbacks(None) == []


RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["calls", "body", "identity", "received_at", "content_type", "path", "more"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=6,
)


@given(RUBBISH)
def test_any_rubbish_is_a_list_of_calls_or_a_configuration_error(kept):
    try:
        calls = ReceivedCallback.parse_callbacks(kept)
    except ConfigurationError:
        return
    assert all(isinstance(call.body, bytes) for call in calls)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=utf-8", b'{"id": "7"}'),
        ("", b'{"id": "7"}'),
        ("application/x-www-form-urlencoded", b"id=7"),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", b"a=b&id=7"),
    ],
)
def test_json_and_forms_are_read_by_the_same_selector(content_type, body):
    given_ = settings({**SIGNED, "identifier": "id"}, SECRET)
    assert extract_identifier(given_, ReceivedCallback("a", 0.0, content_type, body).response()) == "7"


def test_xml_is_read_by_xpath():
    given_ = settings({**SIGNED, "identifier": "xpath://job/@id"}, SECRET)
    call = ReceivedCallback("a", 0.0, "text/xml", path="file:///x")
    assert extract_identifier(given_, call.response(b'<job id="7"/>')) == "7"


def test_a_form_that_cannot_be_read_is_an_error():
    with pytest.raises(ContentError, match="expected a form"):
        ReceivedCallback("a", 0.0, "application/x-www-form-urlencoded", b"a=1&" * 2000).response()


# Whose it is


@pytest.mark.parametrize(
    "body",
    [
        b"geheim",
        b"{}",
        b'{"id": null}',
        b'{"id": "geheim\\n"}',
        b'{"id": ["geheim"]}',
        b"<geheim>",
        b'{"id": {"geheim": 1}}',
    ],
)
def test_a_call_that_does_not_name_its_job_is_refused_without_its_body(body):
    given_ = settings({**SIGNED, "identifier": "id"}, SECRET)
    with pytest.raises(InvalidCallbackError, match=r"^it has no identifier of a job at 'id'$"):
        extract_identifier(given_, ReceivedCallback("a", 0.0, "", body).response())


@pytest.mark.parametrize(("size", "most"), [(10, 32_768), (4 * 1024 * 1024, 131_072)])
def test_selectors_are_bound_in_a_call_as_in_an_answer_of_its_size(size, most):
    assert ReceivedCallback("a", 0.0, "application/json").response(b" " * size).max_values == most


def test_a_call_without_a_url_of_its_own_is_refused_where_none_is_expected():
    with pytest.raises(
        InvalidCallbackError, match=r"no selector for the identifier in callbacks \(callback.identifier\)"
    ):
        extract_identifier(settings(SIGNED, SECRET), ReceivedCallback("a", 0.0).response())


def test_a_job_is_found_by_connection_and_identifier_as_text():
    assert make_identifier_key("vendor", 7) == make_identifier_key("vendor", "7")
    names = {make_identifier_key("vendor", 7), make_identifier_key("vendor", 77), make_identifier_key("other", 7)}
    assert len(names) == 3
    assert {len(name) for name in names} == {32}


def test_a_task_is_found_whatever_the_order_of_what_tells_it():
    task = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
    assert make_task_key(task) == make_task_key(dict(reversed(task.items())))
    assert make_task_key(task) != make_task_key({**task, "map_index": 0})
