import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.fetch.surrogates import refuse_half_characters

PARTS = st.sampled_from(["\ud83d", "\ude00", "\U0001f600", "\\", "u", "d83d", "\u0064", "x", '"', "\u1234", "D"])


def pieces_of(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@given(st.lists(PARTS, max_size=8).map("".join), st.integers(1, 14), st.booleans())
def test_half_a_character_is_found_wherever_the_pieces_are_cut(text, size, upper):
    body = json.dumps([text]).encode()
    if upper:
        body = body.replace(b"\\ud", b"\\uD")
    is_half = any("\ud800" <= character <= "\udfff" for character in json.loads(body)[0])
    try:
        read = b"".join(refuse_half_characters(pieces_of(body, size)))
    except ContentError:
        assert is_half
        return
    assert not is_half
    assert read == body


def test_half_a_character_is_named_with_advice():
    with pytest.raises(ContentError, match=r"half a character \(\\ud83d\) isn't JSON; output_type='file' keeps"):
        list(refuse_half_characters([b'["x \\ud83d"]']))


def test_an_escape_that_the_body_breaks_off_in_is_the_parsers_affair():
    assert b"".join(refuse_half_characters([b'["\\ud8'])) == b'["\\ud8'
