from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat


def rows(text: str, kind: str = "csv", **given):
    chosen = ResultFormat.parse({"format": kind, **given})
    return list(chosen.options.parse_rows(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("Orders\n\n2026\na,b\n1,2\n", {"skip_first": 3}, [{"a": "1", "b": "2"}]),
        ('a,b\n1,2\n\n(c) Vendor, "2026\n', {"skip_last": 2}, [{"a": "1", "b": "2"}]),
        ("a,b\n1,2\n", {"skip_last": 5}, []),
        ('# made, "today\na,b\n# more\n1,2\n', {"comment": "#"}, [{"a": "1", "b": "2"}]),
        ('a\n"1\n# no comment"\n', {"comment": "#"}, [{"a": "1\n# no comment"}]),
        ("x,y\n1,2\n", {"skip_first": 1, "columns": ["a", "b"]}, [{"a": "1", "b": "2"}]),
        ("\n\na\n1\n", {}, [{"a": "1"}]),
    ],
)
def test_lines_around_a_table_are_skipped(text, given, expected):
    assert rows(text, **given) == expected


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("a,,c", ["a", "column_2", "c"]),
        ("a, ,c", ["a", "column_2", "c"]),
        ("a,a,a_2,a", ["a", "a_3", "a_2", "a_4"]),
        (",column_1,b", ["column_1_2", "column_1", "b"]),
    ],
)
def test_blank_and_repeated_heads_get_names_of_their_own(head, names):
    fields = [str(number) for number in range(len(names))]
    assert rows(f"{head}\n{','.join(fields)}\n") == [dict(zip(names, fields, strict=True))]


@pytest.mark.parametrize("text", ["a,b,\n1,2,\n", "a,b,,\n1,2\n", "a,b\n1,2,\n", "a,b\n1,2, ,\n"])
def test_a_delimiter_at_the_end_of_lines_adds_no_column(text):
    assert rows(text) == [{"a": "1", "b": "2"}]


def test_a_field_without_a_column_is_an_error_that_names_its_line():
    with pytest.raises(ContentError, match="line 5 has 3 fields, and there are 2 columns"):
        rows("title\n#\na,b,\n#\n1,2,3\n", skip_first=1, comment="#")


def test_a_line_that_is_broken_is_named_with_what_may_mend_it():
    with pytest.raises(ContentError, match=r"expected CSV, but line 2 isn't: .*quotechar \(None if it has no quotes\)"):
        rows('a\n"1\n')


def test_quotes_can_be_switched_off():
    text = 'a\tb\n"lone\tx\n2\t"y\n'
    assert rows(text, delimiter="\t", quotechar=None) == [{"a": '"lone', "b": "x"}, {"a": "2", "b": '"y'}]
    assert rows(text, delimiter="\t", quotechar="") == rows(text, "tsv")


def test_tsv_can_have_quotes_where_the_author_says_so():
    assert rows('a\tb\n"1\t2"\t3\n', "tsv", quotechar='"') == [{"a": "1\t2", "b": "3"}]


def test_a_field_may_be_longer_than_python_reads_by_default():
    assert rows(f"a\n{'x' * 131_073}\n") == [{"a": "x" * 131_073}]


def test_a_higher_limit_of_the_process_stays():
    before = csv.field_size_limit(100 * 1024 * 1024)
    try:
        rows("a\n1\n")
        assert csv.field_size_limit() == 100 * 1024 * 1024
    finally:
        csv.field_size_limit(before)


def test_many_heads_of_one_name_are_numbered_once_each():
    (row,) = rows(f"{','.join('a' * 20_000)}\n{','.join('1' * 20_000)}\n")
    assert len(row) == 20_000
    assert list(row)[-1] == "a_20000"


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5), min_size=1),
    st.lists(st.lists(st.text('ab,"\n ', max_size=5), min_size=1, max_size=4)),
)
def test_whatever_the_heads_each_row_has_each_column_once(heads, body):
    text = io.StringIO()
    csv.writer(text).writerows([heads, *body])
    try:
        found = rows(text.getvalue())
    except ContentError:
        return
    assert len({tuple(row) for row in found}) <= 1
