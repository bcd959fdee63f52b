"""Gzip files are decompressed."""

from __future__ import annotations

import gzip

import pytest

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.results.archives import ArchiveLimits
from airflow_provider_asyncapi.results.destination import ByteBudget
from airflow_provider_asyncapi.results.gunzip import GunzippingPartialFile
from tests.unit.results.transfers import MIB


@pytest.fixture
def gunzipped(tmp_path):
    def gunzipping(content, size=3, **limits):
        bounds = ArchiveLimits(**{"max_bytes": 100 * MIB, "max_members": 1, "max_ratio": 200, **limits})
        file = GunzippingPartialFile(tmp_path / "x", ByteBudget(bounds.max_bytes), bounds)
        try:
            file.expect(1)
            file.write(b"left over")
            file.restart()
            for at in range(0, len(content), size):
                file.write(content[at : at + size])
            return file.finish().path.read_bytes()
        finally:
            file.close()

    return gunzipping


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_gzip_file_is_undone_while_it_comes(gunzipped, size):
    assert gunzipped(gzip.compress(b"a,b\n" * 100), size) == b"a,b\n" * 100
    assert gunzipped(b"a,b\n" * 100, size) == b"a,b\n" * 100
    assert gunzipped(b"\x1f", size) == b"\x1f"


@pytest.mark.parametrize(
    ("content", "limits", "error", "message"),
    [
        (gzip.compress(b"abc")[:-1], {}, ArchiveError, "ends too early"),
        (b"\x1f\x8b" + b"\xff" * 50, {}, ArchiveError, "the gzip file is broken: .*; nothing was kept"),
        (gzip.compress(bytes(10 * MIB)), {"max_ratio": 10}, ResultTooLargeError, "max_ratio: the gzip file unpacks"),
        (gzip.compress(bytes(MIB)), {"max_bytes": 10}, ResultTooLargeError, "max_bytes"),
    ],
)
def test_a_gzip_file_that_is_broken_or_a_bomb_is_refused(gunzipped, content, limits, error, message):
    with pytest.raises(error, match=message):
        gunzipped(content, 1000, **limits)
