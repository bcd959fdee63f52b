import pytest

from airflow_provider_asyncapi.core.text import format_number, make_displayable, shorten

#: ESC, a C1 control, overrides and isolates of the direction, marks, a line separator, half a character.
NASTY = "\x1b[2J \x9b1m \x07 \r \u202e \u2066 \u2069 \u200f \u061c \u2028 \ud83d \x7f \0"


def test_nothing_that_a_terminal_acts_on_is_displayed():
    assert make_displayable(NASTY).replace("\N{REPLACEMENT CHARACTER}", "") == "[2J 1m" + " " * 11
    assert (
        make_displayable("tab\tand\nline, Größe, \u4f60, \U0001f600, \u05d0")
        == "tab\tand\nline, Größe, \u4f60, \U0001f600, \u05d0"
    )


def test_a_text_for_a_message_is_folded_and_cut():
    assert shorten(" a\n\t b ") == "a b"
    assert shorten("x" * 300) == "x" * 300
    assert shorten("x" * 301) == "x" * 300 + "… (301 characters)"
    assert shorten("abcdef", 3) == "abc… (6 characters)"


def test_characters_that_confuse_terminals_and_databases_are_taken_out_of_messages():
    assert shorten("a\x00b\x1b[31mc\ud800") == "a\ufffdb\ufffd[31mc\ufffd"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.05, "0.05"), (2.0, "2"), (1.2345, "1.23"), (999.6, "1000"), (3600.0, "3600"), (1234567, "1234567")],
)
def test_a_number_of_a_message_has_no_exponent(number, text):
    assert format_number(number) == text
