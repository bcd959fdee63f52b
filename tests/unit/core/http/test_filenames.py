import contextlib
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.http.filenames import (
    MemberNames,
    check_member_name,
    choose_file_name,
    choose_page_name,
    make_collision_key,
)
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from tests.unit.recorded_calls import recorded


def name(disposition="", url="https://x/files/report.csv?sig=1", fallback="job-7"):
    headers = Headers([("Content-Disposition", disposition)] if disposition else [])
    return choose_file_name(Response(200, headers, url=url), fallback)


@pytest.mark.parametrize(
    ("disposition", "chosen"),
    [
        ('attachment; filename="a b.zip"', "a b.zip"),
        ("attachment; filename=a.zip", "a.zip"),
        ("attachment; FileName=a.zip", "a.zip"),
        ("attachment; filename=\"fallback.zip\"; filename*=UTF-8''b%C3%BCrg.zip", "bürg.zip"),
        ("attachment; filename*=UTF-8''b%C3%BCrg.zip; filename=fallback.zip", "bürg.zip"),
        ("attachment; filename*=bogus''a.zip", "a.zip"),
        ('attachment; filename="bürg.zip"', "bürg.zip"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.txt"', "x.txt"),
        ('attachment; filename="/etc/cron.d/x"', "x"),
        ("attachment; filename*=UTF-8''..%2F..%2Fx%00y", "x_y"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ('attachment; filename="a<b>:c|d?*.txt"', "a_b__c_d__.txt"),
        ("attachment; filename*=UTF-8''a%E2%80%AEgpj.exe", "a_gpj.exe"),
        ('attachment; filename="..."', "report.csv"),
        ("attachment", "report.csv"),
        ("", "report.csv"),
    ],
)
def test_the_api_may_name_a_file_but_not_its_folder(disposition, chosen):
    assert name(disposition) == chosen


@pytest.mark.parametrize(
    ("disposition", "chosen"),
    [
        ("attachment; filename*=iso-8859-1'en'b%FCrg.zip", "bürg.zip"),
        ("attachment; filename*=punycode''b%C3%BCrg.zip", "bürg.zip"),
        ("attachment; filename*=\"UTF-8''a.zip\"", "a.zip"),
        ("attachment; filename*=a.zip", "a.zip"),
        (r'attachment; filename="a\"; filename=b.zip"; x="', "a_; filename=b.zip"),
        ('attachment; x="; filename=b.zip"; filename=a.zip', "a.zip"),
        ('attachment; filename="a.zip', "a.zip"),
    ],
)
def test_the_name_is_read_as_the_standards_say(disposition, chosen):
    assert name(disposition) == chosen


@pytest.mark.parametrize("part", [";", "; ", ";a", "=;", '"', "\\"])
def test_reading_a_name_takes_the_same_few_calls_however_long_the_header(part):
    calls = []
    sys.setprofile(lambda _frame, event, _arg: calls.append(event))
    try:
        name("attachment" + part * (65536 // len(part)))
    finally:
        sys.setprofile(None)
    assert len(calls) < 200


def test_a_name_is_cut_before_its_combining_characters_are_put_in_order(monkeypatch):
    looked_at: list[Any] = []
    normalize = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", recorded(normalize, looked_at, lambda _, text: text))
    assert name(url="https://x/", fallback="a" + "\u0316\u0301" * 30_000 + ".csv").endswith(".csv")
    assert len(looked_at[0]) < 1024


@pytest.mark.parametrize(
    ("url", "fallback", "chosen"),
    [
        ("https://x/files/a%2F..%2Fb.csv", "7", "b.csv"),
        ("https://x/jobs/7/result", "7", "7"),
        ("https://x/jobs/7/", "https://x/jobs/7", "7"),
        ("https://x/jobs/..", "..", "result"),
        ("", "", "result"),
    ],
)
def test_without_a_name_the_url_or_the_identifier_gives_one(url, fallback, chosen):
    assert name(url=url, fallback=fallback) == chosen


def test_a_long_name_is_cut_to_what_file_systems_take_and_keeps_its_suffix():
    long = name(f"attachment; filename*=UTF-8''{'%C3%BC' * 300}.tar.gz")
    assert len(long.encode()) == 199
    assert long.endswith("ü.gz")
    assert name(f'attachment; filename="a.{"b" * 300}"') == "a." + "b" * 198


@given(st.text())
def test_any_name_becomes_one_file_in_its_folder(text):
    chosen = name(url="https://x/", fallback=text)
    assert chosen.encode()
    assert chosen[0] != "."
    assert not set(chosen) & set('/\\\0\r\n<>:"|?*')


@pytest.mark.parametrize(
    ("member", "segments"),
    [
        ("a.csv", ("a.csv",)),
        ("a/b/c.csv", ("a", "b", "c.csv")),
        ("./a//b.csv", ("a", "b.csv")),
        ("a\\b.csv", ("a", "b.csv")),
        ("..a/b..", ("..a", "b..")),
        ("ü" * 127, ("ü" * 127,)),
        # Written from right to left by its letters, and a joiner within an emoji.
        ("\u05d3\u05d5\u05d7.csv", ("\u05d3\u05d5\u05d7.csv",)),
        ("\U0001f469\u200d\U0001f52c", ("\U0001f469\u200d\U0001f52c",)),
    ],
)
def test_a_members_name_is_its_path_below_the_destination(member, segments):
    assert check_member_name(member) == segments


@pytest.mark.parametrize(
    "member",
    ["/etc/passwd", "\\x", "\\\\host\\x", "../x", "a/../../x", "a/..", "a\\..\\x", "C:x", "c:\\x", "", ".", "./"],
)
def test_a_member_that_would_leave_the_destination_is_refused(member):
    with pytest.raises(ArchiveError, match="would leave the destination; nothing was kept"):
        check_member_name(member)


@pytest.mark.parametrize(
    "member",
    ["a\0.csv", "a\nb", "\x7f", "a/\x85", "ü" * 128, "a\ud800", "ab/" * 341 + "ab", ".asyncapi-x", "a?versionId=b"],
)
def test_a_member_that_can_not_be_a_file_is_refused(member):
    with pytest.raises(ArchiveError, match="can't be the name of a file; nothing was kept"):
        check_member_name(member)


@pytest.mark.parametrize("mark", "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2069\t\x1b\x9b")
def test_a_member_whose_name_would_be_read_in_another_order_is_refused(mark):
    for member in (f"report{mark}vsc.exe", f"folder{mark}/report.csv"):
        with pytest.raises(ArchiveError, match="can't be the name of a file; nothing was kept") as caught:
            check_member_name(member)
        assert mark not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"), [("A/b", "a/B"), ("STRASSE", "straße"), ("\u00fc", "u\u0308"), ("É", "e\u0301")]
)
def test_names_collide_where_some_file_system_takes_them_for_one(one, other):
    assert make_collision_key(tuple(one.split("/"))) == make_collision_key(tuple(other.split("/")))


def test_other_names_do_not_collide():
    assert len({make_collision_key((text,)) for text in ("m2", "m²", "m 2", "m")}) == 4


# Members of an archive


def added(*names):
    members = MemberNames(100)
    return [members.add(name) for name in names]


def test_names_that_differ_are_all_taken():
    assert added("a", "b/c", "b/d/e", "bc") == [("a",), ("b", "c"), ("b", "d", "e"), ("bc",)]


@pytest.mark.parametrize("names", [("a", "A"), ("x/a", "X/./a"), ("\u00fc", "u\u0308"), ("stra\u00dfe", "STRASSE")])
def test_two_members_may_not_be_one_file(names):
    with pytest.raises(ArchiveError, match="would be one file"):
        added(*names)


@pytest.mark.parametrize("names", [("a", "A/b"), ("a/b", "a"), ("x/a/b/c", "y", "x/A")])
def test_a_member_may_not_be_a_file_and_a_folder(names):
    with pytest.raises(ArchiveError, match=r"member '[^']*' would be a file and the folder of '[^']*/[^']*'"):
        added(*names)


def test_there_may_be_too_many_folders():
    added(*(f"{number}/x" for number in range(100)))
    with pytest.raises(ResultTooLargeError, match="max_members: the archive's files are in more than 100 folders"):
        added(*(f"{number}/x" for number in range(101)))


@given(st.lists(st.text(alphabet="aAb/.\\:\u00df", max_size=8), max_size=6))
def test_what_is_taken_is_below_the_destination_and_nothing_twice(names):
    members = MemberNames(100)
    taken = []
    for name in names:
        with contextlib.suppress(ArchiveError):
            taken.append(members.add(name))
    assert all(segment not in ("", ".", "..") for path in taken for segment in path)
    keys = ["/".join(path).casefold() for path in taken]
    assert len(set(keys)) == len(keys)
    assert not any(key != other and key.startswith(f"{other}/") for key in keys for other in keys)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/json", "page-000012.json"),
        ("application/x-ndjson", "page-000012.ndjson"),
        ("text/xml; charset=utf-8", "page-000012.xml"),
        ("text/csv", "page-000012.csv"),
        ("", "page-000012.txt"),
    ],
)
def test_pages_have_names_that_sort(kind, name):
    assert choose_page_name(12, Response(200, Headers([("content-type", kind)]))) == name
