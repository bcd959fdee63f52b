import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.status.progress import Progress


def fraction(progress, body):
    parsed = Progress.parse(progress)
    assert parsed is not None
    return parsed.read_fraction(Response(200, body=json.dumps(body).encode()), {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (45, 0.45),
        ("45", 0.45),
        ("45 %", 0.45),
        ("12.5%", 0.125),
        ("3/10", 0.3),
        (" 3 of 10 ", 0.3),
        (150, 1.0),
        (-3, 0.0),
        ("many", None),
        ("1.2.3%", None),
        ("3/0", None),
        (None, None),
        (True, None),
        ([1, 2], None),
        (1 / 3 * 100, 0.3333),
    ],
)
def test_progress_is_a_percentage_or_so_many_of_so_many(value, expected):
    assert fraction("p", {"p": value}) == expected
    assert fraction({"percent": "p"}, {"p": value}) == expected


@pytest.mark.parametrize(
    ("progress", "body", "expected"),
    [
        ({"fraction": "f"}, {"f": 0.25}, 0.25),
        ({"fraction": "f"}, {}, None),
        ({"done": "d", "total": "t"}, {"d": 3, "t": "4"}, 0.75),
        ({"done": "d", "total": "t"}, {"t": 4}, None),
        ({"done": "d", "total": "t"}, {"d": 3, "t": 0}, None),
        ({"pending": "p", "total": "t"}, {"p": 1, "t": 4}, 0.75),
        ({"pending": "p", "total": "t"}, {"p": 1}, None),
        ({"pending": "p", "total": "t"}, {"p": 0, "t": 1}, 1.0),
    ],
)
def test_progress_is_counted_from_its_parts(progress, body, expected):
    assert fraction(progress, body) == expected


def test_a_body_that_can_not_be_read_tells_no_progress():
    progress = Progress.parse("p")
    assert progress is not None
    assert progress.read_fraction(Response(200, body=b"<html>"), {}) is None


def test_no_parameter_is_no_progress():
    assert Progress.parse(None) is None


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (
            {},
            r"progress: has to be a selector or a mapping with percent, fraction, done and total, .*; it has \[\]",
        ),
        ({"done": "d"}, r"it has \['done'\]"),
        ({"done": "d", 7: "t"}, r"it has \['7', 'done'\]"),
        ({"percent": "a["}, r"progress\['percent'\]: malformed selector"),
        ("a[", r"progress: malformed selector 'a\['"),
        (7, "progress: a selector has to be a string"),
    ],
)
def test_another_form_is_an_error(progress, message):
    with pytest.raises(ConfigurationError, match=message):
        Progress.parse(progress)
    assert issubclass(SelectorError, ConfigurationError)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text("0123456789./% of", max_size=12) | st.text())
def test_any_value_is_a_fraction_or_nothing(value):
    for progress in ("p", {"fraction": "p"}, {"done": "p", "total": "p"}):
        found = fraction(progress, {"p": value})
        assert found is None or 0 <= found <= 1
