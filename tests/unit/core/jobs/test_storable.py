import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, UnstorableValueError
from airflow_provider_asyncapi.core.jobs.storable import MAX_DEPTH, check_json, to_storable, to_storable_status

HALF = "x \ud83d"
#: Anything that `json.loads` may give, and more of what hurts.
TEXTS = st.text(max_size=6) | st.sampled_from([HALF, "\udc00", "a\0b", "__type", "__var", "__id__", "__classname__"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400])
    | st.floats()
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def nested(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "é 😀",
        -(2**63),
        2**64 - 1,
        9e18,
        [],
        {},
        {"__type": "Fault", "__data__": 1},
        nested(MAX_DEPTH),
    ],
)
def test_what_airflow_can_store_stays_as_it_is(value):
    assert to_storable(value, "x") is value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (HALF, r"capture 'x': half a character in 'x \\ud83d' at \$, which Airflow can't store in an XCom; select"),
        ({"a": {"b c": [1, "\udc00"]}}, r"half a character in '\\udc00' at \$\.a\['b c'\]\[1\]"),
        ({"a": {HALF: 1}}, r"half a character in 'x \\ud83d' \(a name\) at \$\.a"),
        ({"a": "b\0c"}, r"a NUL character in 'b\\x00c' at \$\.a"),
        ({"a\0": 1}, r"a NUL character in 'a\\x00' \(a name\) at \$,"),
        ([math.nan], r"NaN at \$\[0\]"),
        ([math.inf], r"Infinity, or a number that is too large for a double, at \$\[0\]"),
        ([-math.inf], "Infinity"),
        (nested(MAX_DEPTH + 1), "more than 64 levels of lists and objects at"),
        (
            {"a": {"__classname__": "b"}},
            r"an object with the name '__classname__', which Airflow keeps for itself, at \$\.a",
        ),
        ({"__id__": 1}, "'__id__'"),
        ({"__type": "set", "__var": [1]}, "the names '__type' and '__var', which Airflow keeps for itself, at"),
        ({"a": {1, 2}}, r"a value of type set, which is neither text nor a number, at \$\.a"),
    ],
)
def test_what_airflow_cannot_store_is_refused_by_its_place(value, message):
    with pytest.raises(UnstorableValueError, match=message):
        to_storable(value, "capture 'x'")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("done\n", "done"),
        (HALF, "x �"),
        ("a\0", "a�"),
        (7, 7),
        (True, True),
        (0.5, 0.5),
        (2**64, "18446744073709551616"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (1e300, "1e+300"),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_a_status_is_cleaned_and_never_refused(value, status):
    assert to_storable_status(value) == status
    assert type(to_storable_status(value)) is type(status)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"a": math.nan}], r"row 3: NaN at \$\[0\]\.a isn't JSON; output_type='file' keeps a document as it is"),
        ({"a": math.inf}, r"row 3: Infinity, or a number that is too large for a double, at \$\.a isn't JSON"),
        ({"a": HALF}, r"row 3: half a character in 'x \\ud83d' at \$\.a"),
        ({HALF: 1}, r"half a character in 'x \\ud83d' \(a name\) at \$"),
    ],
)
def test_what_is_no_json_is_not_written(value, message):
    with pytest.raises(ContentError, match=message):
        check_json(value, "row 3")


def test_a_file_takes_what_only_an_xcom_cannot_hold():
    check_json({"a": "b\0c", "n": 10**400, "__classname__": 1, "deep": nested(2 * MAX_DEPTH)}, "row 1")


@given(VALUES)
def test_any_value_is_stored_as_json_or_refused_by_name(value):
    try:
        stored = to_storable(value, "capture 'x'")
    except UnstorableValueError as error:
        assert str(error).startswith("capture 'x': ")  # noqa: PT017 - either way is right
        assert str(error).isprintable()  # noqa: PT017 - either way is right
        return
    text = json.dumps(stored, allow_nan=False, ensure_ascii=False)
    assert b"\0" not in text.encode()
    assert json.loads(text) == json.loads(json.dumps(stored))


def test_the_text_of_an_error_can_be_stored_whatever_an_api_has_put_into_it():
    assert (
        str(AsyncApiError("it says 'x \ud83d' and 'a\0b', \ud83d\udc00 and é")) == "it says 'x �' and 'a�b', �� and é"
    )


def test_a_number_beyond_64_bits_becomes_text_for_postgres_makes_integers_of_large_floats():
    assert to_storable([1e300, -(2.0**63), 2.0**62, 0.1], "x") == ["1e+300", "-9.223372036854776e+18", 2.0**62, 0.1]
