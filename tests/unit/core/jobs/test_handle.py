import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    InvalidHandleError,
    MissingValueError,
    NewerLayoutError,
    ResultTooLargeError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.jobs.handle import (
    MAX_IDENTIFIER,
    MAX_VALUES,
    MAX_VARIABLE,
    MAX_VARIABLES,
    VERSION,
    JobHandle,
    check_identifier,
)
from airflow_provider_asyncapi.core.outcome import Outcome

HANDLE = JobHandle(
    identifier="u-1",
    outcome=Outcome.SUCCESS,
    status="completed",
    progress=0.5,
    submitted_at=1_777_777_777.25,
    urls={"submit": "https://h/jobs"},
    variables={"pages": 3, "data.pages": 3},
    task={"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 2},
    call=1,
)
DUMP = {
    "version": 1,
    "identifier": "u-1",
    "outcome": "success",
    "status": "completed",
    "progress": 0.5,
    "submitted_at": "2026-05-03T03:09:37.250000+00:00",
    "urls": {"submit": "https://h/jobs"},
    "variables": {"pages": 3, "data.pages": 3},
    "task": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 2},
    "call": 1,
}


def test_a_handle_is_plain_data_in_xcom():
    assert HANDLE.dump() == DUMP
    assert json.loads(json.dumps(DUMP)) == DUMP
    assert JobHandle(7).dump()["submitted_at"] is None


@pytest.mark.parametrize("given_", [HANDLE, DUMP])
def test_a_handle_is_read_as_dict(given_):
    assert JobHandle.parse(given_) == HANDLE


@pytest.mark.parametrize("text", [json.dumps(DUMP), str(DUMP), f" {DUMP}", json.dumps(DUMP)[:-1]])
def test_an_identifier_never_becomes_a_handle_by_its_text(text):
    with pytest.raises(InvalidHandleError, match=r"the text of a job handle, .* only a handle itself is taken for one"):
        JobHandle.parse(text)


@pytest.mark.parametrize("text", ['{"id": 7}', "[7]", "7", "{'version': 1}", "null"])
def test_an_identifier_that_is_json_text_is_that_text(text):
    assert JobHandle.parse(text) == JobHandle(text)


@pytest.mark.parametrize("identifier", ["u-1", 7, 0, "a/b?c#d", "..", "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "{x"])
def test_a_bare_identifier_is_a_handle_too(identifier):
    handle = JobHandle.parse(identifier)
    assert handle == JobHandle(identifier)
    assert handle.scope()["identifier"] == identifier


def test_a_job_that_was_over_at_once_may_have_no_identifier():
    assert JobHandle.parse({"version": 1, "identifier": None, "outcome": "success"}).identifier is None


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({**DUMP, "version": "new"}, "broken job handle: ValueError: the version of .* can't be 'new'"),
        ({**DUMP, "version": 0}, "can't be 0"),
        ({**DUMP, "version": True}, "can't be True"),
        ({**DUMP, "variables": {"x": "a\ud83d"}}, r"broken job handle: .*variables 'x': half a character in .* at \$"),
        ({"identifier": 7}, r"this isn't a job handle, it has no version; its keys are \['identifier'\]"),
        ({}, "has no version"),
        ({"version": 1, "outcome": "success"}, "broken job handle: KeyError: 'identifier'"),
        ({**DUMP, "outcome": "done"}, "broken job handle: ValueError: 'done' is not a valid Outcome"),
        ({**DUMP, "identifier": {"a": 1}}, "broken job handle: MissingValueError: .* not an object"),
        ({**DUMP, "identifier": ""}, "broken job handle: MissingValueError: an identifier can't be empty"),
        ({**DUMP, "submitted_at": "yesterday"}, "broken job handle: ValueError"),
        ({**DUMP, "submitted_at": 5}, "broken job handle: TypeError"),
        ({**DUMP, "progress": "half"}, "broken job handle: ValueError"),
        ({**DUMP, "urls": 7}, "broken job handle: TypeError"),
        ("None", "the template gave None, so the task that it takes the job from has pushed nothing"),
        (None, "job: an identifier has to be a string or an integer, not null; it takes a job handle"),
        ("", "job: an identifier can't be empty"),
        (" ", "job: an identifier can't be empty"),
        ([1], r"this is a list of 1 jobs, .* one; map the task over the handles: .*expand\(job=submit\.handles\)"),
        (True, "not a boolean"),
        (1.5, "not float"),
        ("a\nb", r"can't contain line breaks, control characters or half a character: 'a\\nb'"),
        ("a" * (MAX_IDENTIFIER + 1), "an identifier can't have 8193 characters, the limit is 8192: a"),
    ],
)
def test_what_is_no_job_is_an_error_that_says_what_to_give(given_, message):
    with pytest.raises(InvalidHandleError, match=message):
        JobHandle.parse(given_)


@pytest.mark.parametrize("identifier", ["a", 7, -1, "a/b", "..", "?", "#", "ü", "\u00a0x"])
def test_an_identifier_may_hold_what_a_url_can_encode(identifier):
    assert check_identifier(identifier) == identifier


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not null"),
        ({}, "not an object"),
        ([], "not a list"),
        (False, "not a boolean"),
        (7.5, "not float"),
        ("", "can't be empty"),
        ("\t", "can't be empty"),
        ("a\r\nb", "line breaks"),
        ("a\u2028b", "line breaks"),
        ("\x7f", "control characters"),
        ("a\ud800", "control characters"),
    ],
)
def test_what_can_be_no_identifier_is_an_error(value, message):
    with pytest.raises(MissingValueError, match=message):
        check_identifier(value)


def test_captured_variables_are_added_and_the_identifier_stays():
    handle = HANDLE.with_variables({"pages": 4, "x": None})
    assert handle.variables == {"pages": 4, "data.pages": 3, "x": None}
    assert handle.with_variables({}) is handle
    assert handle.with_variables({"identifier": "other"}).scope()["identifier"] == "u-1"


def test_a_variable_that_is_a_result_is_refused_with_advice():
    assert HANDLE.with_variables({"x": "y" * (MAX_VARIABLE - 2)})
    with pytest.raises(
        ResultTooLargeError, match=r"capture: 'x' has 49153 characters as JSON, and the limit is 49152; .* fetch it"
    ):
        HANDLE.with_variables({"x": "y" * (MAX_VARIABLE - 1)})


def test_all_variables_of_a_job_have_a_limit_together():
    handle = HANDLE
    for number in range(MAX_VARIABLES // MAX_VARIABLE - 1):
        handle = handle.with_variables({f"x{number}": "y" * (MAX_VARIABLE - 2)})
    with pytest.raises(ResultTooLargeError, match=r"capture: all variables of the job have \d+ characters as JSON"):
        handle.with_variables({"last": "y" * (MAX_VARIABLE - 2)})


def test_the_variables_of_a_job_hold_no_more_values_than_a_triggerer_can_look_at_at_once():
    half = [0] * (MAX_VALUES // 2 - 10)
    handle = HANDLE.with_variables({"pages": half, "files": half})
    with pytest.raises(ResultTooLargeError, match=r"capture: the variables of the job contain more than 20000 values"):
        handle.with_variables({"more": [0] * 20})


def test_a_captured_value_that_airflow_cannot_store_is_refused_by_name():
    with pytest.raises(UnstorableValueError, match=r"capture 'note': half a character in 'a\\ud83d' at \$\[1\]"):
        HANDLE.with_variables({"note": [1, "a\ud83d"]})


def test_an_integer_beyond_64_bits_is_kept_as_the_text_of_its_digits():
    assert check_identifier(2**64 - 1) == 2**64 - 1
    assert check_identifier(2**64) == "18446744073709551616"
    assert HANDLE.with_variables({"n": {"a": [2**64, -(2**63) - 1, 7]}}).variables["n"] == {
        "a": ["18446744073709551616", "-9223372036854775809", 7]
    }


def test_a_handle_of_a_newer_writer_is_read_without_the_keys_that_nobody_knows():
    assert JobHandle.parse({**DUMP, "priority": {"since": "1.1"}, 7: 1}) == HANDLE


def test_a_handle_of_a_newer_layout_is_an_error_that_a_later_try_may_mend():
    with pytest.raises(NewerLayoutError, match=r"job: the job handle was stored in layout 2 .* upgrade it") as caught:
        JobHandle.parse({**DUMP, "version": 2})
    assert not isinstance(caught.value, ConfigurationError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
HANDLES = st.fixed_dictionaries(
    {"version": st.just(VERSION), "identifier": JSON, "outcome": JSON | st.just("running")},
    optional={
        "status": JSON,
        "progress": JSON,
        "submitted_at": JSON | st.datetimes().map(str),
        "urls": JSON,
        "variables": JSON,
    },
)


@given(
    JSON
    | HANDLES
    | HANDLES.map(str)
    | st.text("{}[]()'\",:1a\\", max_size=12)
    | st.just("{" * 5000)
    | st.just("{" + "[" * 100_000)
)
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_any_rubbish_is_a_handle_or_a_handle_error(rubbish):
    try:
        handle = JobHandle.parse(rubbish)
    except InvalidHandleError as error:
        assert isinstance(error, ConfigurationError)  # noqa: PT017 - either way is right
        assert str(error).startswith("job: ")  # noqa: PT017 - either way is right
        return
    assert JobHandle.parse(handle.dump()).identifier == handle.identifier
