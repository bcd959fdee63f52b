import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.selectors import patterns
from airflow_provider_asyncapi.core.selectors.patterns import parse_pattern


def as_python(pattern, text, flags=0):
    match = re.search(pattern, text, flags)
    return None if match is None else match[1] if re.compile(pattern).groups else match[0]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"/jobs/(\w+)", "https://x/jobs/a_7-b/"),
        (r"[^/]+$", "https://x/jobs/7"),
        (r"^urn:(.*)$", "urn:Größe"),
        (r"\w+", "«Größe»"),
        (r"\d+", "nr ٣٤"),
        (r"\S+", "\u00a0a b"),
        (r"\D+", "12ab"),
        (r"\W+", "ä-+b"),
        (r"\s+", "a\u2003\x1cb"),
        (r"[\w.]+", "é.f g"),
        (r"[^\W\d_]+", "_1é2"),
        (r"[^\d]+", "1ab"),
        (r"[^\S]+", "a \tb"),
        (r"[\s\S]+", "a\nb"),
        (r"[\W_]+", "a_-b"),
        (r"[\D1]+", "21ab"),
        (r"[a-c\]\-^]+", "x]b-^"),
        (r"(?a)\w+ (?:\s|\d)", "é ab 1"),
        (r"(?i)DONE|Ok", "it is done"),
        (r"x(?-i:y)|(?i:z)", "Xy xY Z"),
        (r"(?i:é)", "É"),
        (r"(?s)a.b", "a\nb"),
        (r"a(?s:.)b.c", "a\nb\nc a\nbxc"),
        (r"a.b", "a\nb"),
        (r"(?m)^b$", "a\nb\nc"),
        (r"^b$", "a\nb\nc"),
        (r"b\Z", "b\n"),
        (r"(b)$", "ab\n"),
        (r"\d+$", "job 123\n"),
        (r"(\d+$)", "job 123\n"),
        (r"(a)|(\d+)$", "job 123\n"),
        (r"[^j]+$", "job 123\n"),
        (r"\s*$", "a \n"),
        (r"(?x) a  # a comment", "ba"),
        (r"(?#comment)a{,2}b{2,}c{1}?", "aabbbc"),
        (r"a+?(b??)", "aab"),
        (r"(?P<name>a)|(b)", "b"),
        (r"\bok\b", "not-ok!"),
        (r"\Bk", "ok"),
        (r"\u00e4\x41\N{DIGIT ONE}\/\é", "äA1/é"),
        (r"[^a]b", "ab cb"),
        (r"{}", "{}"),
        ("", "a"),
        ("a||b", "b"),
        (r"a", "\ud800a"),
    ],
)
def test_a_pattern_finds_what_it_finds_in_python(pattern, text):
    assert parse_pattern(pattern).extract(text) == as_python(pattern, text)
    assert parse_pattern(pattern).matches(text) is (re.search(pattern, text) is not None)


parts = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\d", r"\w", r"\W", r"\s", "^", "$", r"\b", "é", "1"])
quantified = st.builds("{}{}".format, parts, st.sampled_from(["", "", "*", "+", "?", "*?", "{1,2}", "{2}"]))
sequences = st.lists(quantified, max_size=4).map("".join)
alternatives = st.lists(sequences, min_size=1, max_size=3).map("|".join)
expressions = st.builds("{}({}){}".format, sequences, alternatives, sequences) | alternatives


@given(expressions, st.text("ab1é \n-", max_size=8))
@example("^(a|b)*$", "ab")
def test_any_simple_pattern_finds_what_it_finds_in_python(pattern, text):
    try:
        expected = as_python(pattern, text)
    except re.error:
        return
    # RE2 knows the borders of words of ASCII only, and finds no line break after the end that comes before it.
    if r"\b" in pattern and not text.isascii():
        return
    if "\n" in text and re.search(r"\$\)*[^|)]", pattern):
        return
    assert parse_pattern(pattern).extract(text) == expected


def test_case_is_ignored_on_demand():
    assert parse_pattern("done", ignore_case=True).matches("DONE")
    assert not parse_pattern("done").matches("DONE")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"missing \), unterminated subpattern at position 0"),
        ("a**", "multiple repeat at position 2"),
        (r"(?<=/)\w+", "looking ahead or behind isn't supported"),
        (r"\w+(?=/)", "looking ahead or behind isn't supported"),
        (r"(?!x)", "looking ahead or behind isn't supported"),
        (r"(?!)", "looking ahead or behind isn't supported"),
        (r"(a)\1", "a back-reference isn't supported"),
        (r"(?P<x>a)(?P=x)", "a back-reference isn't supported"),
        (r"(a)?(?(1)b|c)", "a condition on a group isn't supported"),
        ("(?>a)", "an atomic group isn't supported"),
        ("a++", "a possessive quantifier isn't supported"),
        ("a{501}", "it repeats its parts more than 500 times"),
        ("(a{100}){6}", "it repeats its parts more than 500 times"),
        ("(a?){250}a{251}", "it repeats its parts more than 500 times"),
        ("(ab|c){200}", "it repeats its parts more than 500 times"),
        (r"\w{251}", "it repeats its parts more than 500 times"),
        ("[^a]{251}", "it repeats its parts more than 500 times"),
        ("(.?){251}b", "it repeats its parts more than 500 times"),
        (r"[^\Wx]", r"a set such as \[\^\\W…\]"),
        (r"[^\S\n]", r"a set such as \[\^\\W…\]"),
        ("a{99999999999999}", "too large"),
    ],
)
def test_a_mistake_and_what_may_take_for_ever_are_refused_when_the_pattern_is_read(pattern, message):
    with pytest.raises(SelectorError, match=message):
        parse_pattern(pattern)


def test_what_only_re2_refuses_is_an_error_of_the_selector():
    with pytest.raises(SelectorError, match="RE2 doesn't support it"):
        parse_pattern(r"\w" * 3000).matches("a")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"(\d+)/(\d+)", "1" * 1_000_000), ("(a+)+$", "a" * 1_000_000 + "b"), ("(x+x+)+y", "x" * 1_000_000)],
)
def test_no_pattern_backtracks(pattern, text, monkeypatch):
    """Python's engine takes hours for these; the test would never end."""
    for name in ("compile", "search", "match", "fullmatch"):
        monkeypatch.setattr(re, name, None)
    assert parse_pattern(pattern).extract(text) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(.?){250}b",
        "(.{0,25}){10}c",
        "(a?){250}a{250}c",
        "((a|b|c|d)?){125}#",
        "[^a]{250}b",
        "(?i)(.?){250}b",
        "(a*){500}b",
        "(a|aa){166}#",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}",
    ],
)
def test_what_repeats_its_parts_has_a_program_that_is_searched_in_some_hundredths_of_a_second(pattern):
    # RE2 looks at each instruction of the program at each byte, at worst.
    program = patterns._compile(parse_pattern(pattern).translated)
    assert program.programsize * 4096 <= 12_000_000
