"""Fetch files, from servers that break off, drip and state wrong lengths too."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import socket
import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.loopback import Server, chunked, raw, reply, reset
from tests.unit.results.stores import fresh_store, plain
from tests.unit.results.transfers import MIB, broken, everything_in, targets, zipped

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_a_file_is_streamed(fetched, tmp_path):
    body = bytes(range(256)) * 20_000
    answer = reply(body, content_type="application/pdf", content_disposition='attachment; filename="../a report.pdf"')
    manifest = fetched(answer, output_type="file", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a report.pdf"]
    assert (tmp_path / "a report.pdf").read_bytes() == body


def test_gzip_is_undone(fetched, tmp_path):
    answer = reply(gzip.compress(b"a,b\n" * 1000), content_encoding="gzip")
    assert fetched(answer, output_type="file", destination=f"{tmp_path}/x.csv")["bytes"] == 4000
    assert (tmp_path / "x.csv").read_bytes() == b"a,b\n" * 1000


def test_a_transfer_that_breaks_begins_anew(fetched, tmp_path):
    answers = [broken(b"abc"), chunked(b"abcd", b"efgh", end=False), raw(b""), reply(b"abcdefghij")]
    manifest = fetched(*answers, output_type="file", destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == b"abcdefghij"
    assert manifest["bytes"] == 10


def test_a_transfer_that_breaks_again_and_again_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[broken(b"abc")] * 5, output_type="file", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_a_file_that_is_too_large_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(reply(b"x" * 101), output_type="file", destination=f"{tmp_path}/a/x", limits={"max_bytes": 100})
    assert everything_in(tmp_path) == []


def test_each_url_of_a_list_becomes_a_file_with_a_name_of_its_own(fetched, server, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a/x.csv", "/b/X.csv", "/c/x.csv", "/d"]})
    server.routes |= {
        link: reply(content) for link, content in zip(handle.variables["links"], (b"1", b"2", b"3", b"4"), strict=True)
    }
    manifest = fetched(
        output_type="file",
        endpoint="{links}",
        handle=handle,
        destination=f"{tmp_path}/",
    )
    assert [Path(path).name for path in manifest["paths"]] == ["x.csv", "2-X.csv", "3-x.csv", "7"]
    assert [Path(path).read_bytes() for path in manifest["paths"]] == [b"1", b"2", b"3", b"4"]


def test_a_list_without_urls_makes_no_files(fetched, tmp_path):
    handle = JobHandle(None, variables={"links": []})
    manifest = fetched(output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/a/")
    assert (manifest["paths"], manifest["content_type"]) == ([], "")
    assert everything_in(tmp_path) == []


def test_several_files_do_not_become_one(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="is one file, and there are several"):
        fetched(reply(b"1"), output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/x")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("output", ["file", "zip"])
def test_files_need_a_destination(fetched, server, output):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=f"destination: output_type='{output}' needs one"):
        fetched(output_type=output, locate={"endpoint": "/l", "capture": {"a": "b"}})
    assert server.asked == []


def test_a_located_link_to_another_origin_gets_no_credentials(fetched, server, tmp_path):
    other = Server()
    try:
        other.respond_with(reply(b"abc"))
        manifest = fetched(
            reply({"link": f"{other.url}/files/x.csv?sig=s3cr3t"}),
            output_type="file",
            locate={"endpoint": "/jobs/{identifier}", "capture": {"link": "link"}},
            endpoint="{link}",
            destination=f"{tmp_path}/",
        )
        assert "authorization" in server.asked[0].headers
        assert "authorization" not in other.asked[0].headers
        assert other.asked[0].target == "/files/x.csv?sig=s3cr3t"
        assert "s3cr3t" not in json.dumps(manifest)
    finally:
        other.close()


def test_the_task_may_be_tried_again(fetched, tmp_path):
    for content in (b"first", b"second"):
        fetched(reply(content), output_type="file", destination=f"{tmp_path}/x")
        assert (tmp_path / "x").read_bytes() == content
    assert everything_in(tmp_path) == ["x"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_a_file_goes_to_an_object_store(fetched, scheme):
    store = fresh_store(scheme)
    manifest = fetched(reply(b"abc"), output_type="file", destination=f"{scheme}://bucket/a/b.csv")
    assert plain(manifest["paths"]) == [f"{scheme}://bucket/a/b.csv"]
    assert list(store.contents().values()) == [b"abc"]


@pytest.mark.parametrize("scheme", ["memory", "s3"])
def test_an_upload_that_breaks_leaves_no_object_and_the_job_where_it_is(fetched, server, scheme):
    store = fresh_store(scheme)
    store.breaks = {2}
    with pytest.raises(ConnectionResetError):
        fetched(
            reply(zipped(a=b"1", b=b"2" * 100)),
            output_type="zip",
            destination=f"{scheme}://bucket/a/",
            cleanup={"endpoint": "/jobs/{identifier}"},
        )
    assert store.contents() == {}
    assert targets(server) == ["GET /jobs/7"]


BODY = random.Random(4).randbytes(3 * MIB)


class Breaking:
    """
    Serves a file, and breaks off each time after so many bytes.

    :param misuse: what it does with a range: `None` what it should, or ignore it, answer with another part, another
        file, or refuse it.
    """

    def __init__(self, after: int, *, misuse: str | None = None, validator: bool = True) -> None:
        self.after, self.misuse, self.validator = after, misuse, validator
        self.ranges: list[str | None] = []

    def __call__(self, connection: Any, asked: Any) -> bool:
        given = asked.headers.get("range")
        self.ranges.append(given)
        first = int(given.removeprefix("bytes=").rstrip("-")) if given else 0
        tag = '"v2"' if given and self.misuse == "other etag" else '"v1"'
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\n"
        if given and self.misuse == "refuse":
            return reply(b"", 416)(connection, asked)
        if given and self.misuse != "ignore":
            first += 1 if self.misuse == "other part" else 0
            head = (
                f"HTTP/1.1 206 FailedRecordsRule\r\ncontent-length: {len(BODY) - first}\r\n"
                f"content-range: bytes {first}-{len(BODY) - 1}/{len(BODY)}\r\n"
            )
        elif given:
            first = 0
        head += f"etag: {tag}\r\n" if self.validator else ""
        # One that can't go on is whole at the third try.
        is_last = len(self.ranges) > 2 if self.misuse or not self.validator else first + self.after >= len(BODY)
        end = len(BODY) if is_last else first + self.after
        connection.sendall(head.encode() + b"\r\n" + BODY[first:end])
        return reset(connection, asked) if not is_last else True


@pytest.mark.parametrize(
    ("given", "most"),
    [
        # A reset loses what was on its way.
        ({}, 50),
        ({"misuse": "ignore"}, 3),
        ({"misuse": "other part"}, 4),
        ({"misuse": "other etag"}, 4),
        ({"misuse": "refuse"}, 4),
        ({"validator": False}, 3),
    ],
    ids=str,
)
def test_a_server_that_resets_is_asked_for_the_rest_or_for_all(fetched, server, tmp_path, given, most):
    server.routes["/jobs/7"] = breaking = Breaking(500_000, **given)
    manifest = fetched(output_type="file", destination=f"{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert manifest["sha256"] == [hashlib.sha256(BODY).hexdigest()]
    assert len(breaking.ranges) <= most
    if not given:
        starts = [int(str(each).removeprefix("bytes=").rstrip("-")) for each in breaking.ranges[1:]]
        assert starts == sorted(starts)
        assert starts[-1] > len(BODY) / 2


def test_a_length_that_lies_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiUnavailable):
        fetched(*[broken(b"abc")] * 5, output_type="file", destination=f"{tmp_path}/a/x")
    assert everything_in(tmp_path) == []


def test_a_length_that_is_too_much_is_refused_before_it_comes(fetched, server, tmp_path):
    answer = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nabc")
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(answer, output_type="file", destination=f"{tmp_path}/a/x")
    assert len(server.asked) == 1
    assert everything_in(tmp_path) == []


def test_a_file_that_drips_is_whole_in_the_end(fetched, server, tmp_path):
    def drip(connection: Any, _asked: Any) -> bool:
        # Each byte is sent at once, in a packet of its own.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
        return True

    assert fetched(drip, output_type="file", destination=f"{tmp_path}/x")["bytes"] == 100


def test_a_file_that_is_not_what_was_stated_leaves_nothing(fetched, tmp_path):
    answers = [reply(b"xyz", content_md5=b64encode(hashlib.md5(b"abc").digest()).decode())] * 5
    with pytest.raises(exceptions.AsyncApiUnavailable, match=r"content-md5 states md5 .*5 errors in a row"):
        fetched(*answers, output_type="file", destination=f"{tmp_path}/a/x")
    handle = JobHandle("7", variables={"sha": f"sha256:{hashlib.sha256(b'abc').hexdigest()}"})
    assert fetched(
        reply(b"xyz"), reply(b"abc"), handle=handle, output_type="file", checksum="{sha}", destination=f"{tmp_path}/x"
    )
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="checksum: 'abc' can't be a checksum"):
        fetched(output_type="file", checksum="abc", destination=f"{tmp_path}/x")
    assert everything_in(tmp_path) == ["x"]


def test_files_are_fetched_at_the_same_time(fetched, server, tmp_path):
    together = threading.Barrier(3, timeout=10)

    def behave(connection, asked):
        together.wait()
        return reply(asked.target.encode())(connection, asked)

    links = [f"/{number}.csv" for number in range(6)]
    server.routes |= dict.fromkeys(links, behave)
    handle = JobHandle("7", variables={"links": links})
    manifest = fetched(output_type="file", endpoint="{links}", handle=handle, concurrency=3, destination=f"{tmp_path}/")
    assert [Path(path).read_text() for path in manifest["paths"]] == links


def test_one_file_that_fails_ends_the_others(fetched, server, tmp_path):
    begun = threading.Event()

    def endless(connection: Any, _asked: Any) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        begun.set()
        while True:
            connection.sendall(b"x" * 1000)

    def failing(connection: Any, asked: Any) -> bool:
        begun.wait(10)
        return reply(b"", 403)(connection, asked)

    server.routes |= {"/a": failing, "/b": endless}
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    with pytest.raises(exceptions.AsyncApiUnauthorized):
        fetched(output_type="file", endpoint="{links}", handle=handle, destination=f"{tmp_path}/a/")
    assert everything_in(tmp_path) == []
