"""Drafts of files: their digests, their limits, and their progress."""

from __future__ import annotations

import hashlib

import pytest

from airflow_provider_asyncapi.core.errors import ResultTooLargeError
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.results.destination import ByteBudget, PartialFile

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_a_draft_counts_and_digests(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10))
    file.write(b"abc")
    file.write(b"def")
    stored = file.finish()
    assert (stored.size, stored.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
    assert stored.path.read_bytes() == b"abcdef"


def test_a_draft_that_is_restarted_forgets(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10))
    file.write(b"123456789")
    file.restart()
    file.write(b"ab")
    stored = file.finish()
    assert (stored.size, stored.sha256) == (2, hashlib.sha256(b"ab").hexdigest())
    assert stored.path.read_bytes() == b"ab"


def test_a_digest_is_made_only_where_it_is_wanted(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10), digest=False)
    file.write(b"1")
    file.restart()
    file.write(b"2")
    assert file.finish().sha256 == ""


def test_drafts_take_no_more_than_is_allowed_together(tmp_path):
    budget = ByteBudget(5)
    files = [PartialFile(tmp_path / name, budget) for name in "ab"]
    files[0].write(b"abc")
    files[1].write(b"de")
    with pytest.raises(ResultTooLargeError, match="max_bytes, max_ratio: the result has 6 bytes or more, and 5 are"):
        files[1].write(b"f")
    for file in files:
        file.close()


def test_what_will_be_too_large_is_refused_before_it_comes(tmp_path):
    budget = ByteBudget(5)
    files = [PartialFile(tmp_path / name, budget) for name in "abc"]
    files[0].expect(3)
    files[0].expect(2)
    files[1].expect(None)
    with pytest.raises(ResultTooLargeError):
        files[2].expect(4)
    for file in files:
        file.close()


def test_progress_is_told_now_and_then(tmp_path, caplog):
    caplog.set_level("INFO")
    now = [0.0]
    file = PartialFile(tmp_path / "x", ByteBudget(10_000, ProgressMeter(None, lambda: now[0])))
    file.expect(8000)
    for now[0] in (1.0, 5.0, 6.0, 10.0):
        file.write(b"x" * 1000)
    file.close()
    assert [record.message for record in caplog.records] == [
        "fetched 2 kB of 8 kB (25 %), 400 B/s, 15 s left",
        "fetched 4 kB of 8 kB (50 %), 400 B/s, 10 s left",
    ]
