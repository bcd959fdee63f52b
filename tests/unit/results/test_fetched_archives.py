"""Fetch archives, and unpack them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from tests.loopback import reply
from tests.unit.results.archives import ENCRYPTED
from tests.unit.results.transfers import MIB, everything_in, zipped

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_an_archive_is_unpacked(fetched, tmp_path):
    answer = reply(zipped(a=b"1", sub__b=b"22"), content_type="application/zip")
    manifest = fetched(answer, output_type="zip", destination=f"{tmp_path}/")
    assert manifest["paths"] == [f"{tmp_path}/a", f"{tmp_path}/sub/b"]
    assert (manifest["bytes"], manifest["members"], manifest["content_type"]) == (3, 2, "application/zip")
    assert everything_in(tmp_path) == ["a", "sub", "sub/b"]


def test_an_archive_may_be_kept_whole(fetched, tmp_path):
    content = zipped(a=b"1")
    fetched(reply(content), output_type="zip", destination=f"{tmp_path}/x.zip", limits={"unpack": False})
    assert (tmp_path / "x.zip").read_bytes() == content


def test_several_archives_have_a_folder_each(fetched, tmp_path):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1")), reply(zipped(a=b"1"))]
    fetched(*answers, output_type="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/")
    assert everything_in(tmp_path) == ["0", "0/a", "1", "1/a"]


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_members": 1}])
def test_several_archives_share_their_limits(fetched, tmp_path, limits):
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    answers = [reply(zipped(a=b"1" * 600)), reply(zipped(a=b"2" * 600))]
    with pytest.raises(exceptions.AsyncApiResultFailed, match=next(iter(limits))):
        fetched(
            *answers, output_type="zip", endpoint="{links}", handle=handle, destination=f"{tmp_path}/", limits=limits
        )
    assert everything_in(tmp_path) == []


def test_what_is_no_archive_is_shown(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed) as caught:
        fetched(
            reply({"error": "not ready", "you": "hunter22"}, content_type="application/json"),
            output_type="zip",
            destination=f"{tmp_path}/a/",
        )
    assert "/jobs/7 answered 200 with 41 bytes of application/json, which are no zip archive" in str(caught.value)
    assert 'the body begins: {"error": "not ready", "you": "***"}' in str(caught.value)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    "content", [zipped(a=b"1" * 1000)[:-1], zipped(**{"..__x": b"1"})], ids=["truncated", "escaping"]
)
def test_a_bad_archive_leaves_nothing(fetched, tmp_path, content):
    (tmp_path / "in").mkdir()
    with pytest.raises(exceptions.AsyncApiResultFailed, match=r"nothing was kept|no zip archive"):
        fetched(reply(content), output_type="zip", destination=f"{tmp_path}/in/a/")
    assert everything_in(tmp_path) == ["in"]


def test_an_archive_needs_a_folder(fetched, server, tmp_path):
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="an archive is unpacked into a folder"):
        fetched(output_type="zip", destination=f"{tmp_path}/x.zip")
    assert server.asked == []


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_a_tar_archive_is_unpacked(fetched, tmp_path):
    manifest = fetched(reply(tarred(a=b"1", b=b"22")), output_type="tar", destination=f"{tmp_path}/")
    assert (manifest["members"], manifest["bytes"], everything_in(tmp_path)) == (2, 3, ["a", "b"])


@pytest.mark.parametrize(("output", "content"), [("zip", tarred(a=b"1")), ("tar", zipped(a=b"1"))])
def test_one_kind_of_archive_is_not_the_other(fetched, tmp_path, output, content):
    with pytest.raises(
        exceptions.AsyncApiResultFailed, match=f"output_type='{output}': .* which are no {output} archive"
    ):
        fetched(reply(content), output_type=output, destination=f"{tmp_path}/")


def test_the_password_of_an_archive_is_in_the_connection(fetched, server, tmp_path, monkeypatch):
    extra = {"auth": "none", "secrets": {"archive_password": "hunter22"}}
    monkeypatch.setenv("AIRFLOW_CONN_LOCKED", json.dumps({"host": server.url, "extra": extra}))
    hook = AsyncApiHook("locked")
    server.respond_with(reply(bytes.fromhex(ENCRYPTED)))
    plan = FetchPlan.parse({"endpoint": "/x", "output_type": "zip"})
    fetch(hook, FetchTask(plan, JobHandle("7"), f"{tmp_path}/", ResultLimits(10 * MIB, 10, 200, 1000)))
    hook.close()
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("unpack", "kept"), [(True, {"x.csv": b"a\n1\n"}), (False, {"x.csv.gz": gzip.compress(b"a\n1\n", mtime=0)})]
)
def test_a_gzip_file_is_undone_or_kept(fetched, server, tmp_path, unpack, kept):
    given = {
        "output_type": "gzip",
        "endpoint": "/x.csv.gz",
        "destination": f"{tmp_path}/",
        "limits": {"unpack": unpack},
    }
    fetched(reply(gzip.compress(b"a\n1\n", mtime=0)), **given)
    assert {name: (tmp_path / name).read_bytes() for name in everything_in(tmp_path)} == kept
