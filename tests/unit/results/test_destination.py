"""Files are put where they belong in a local folder: complete, or not at all."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.results.destination import ByteBudget, Destination
from tests.unit.results.destinations import LIMIT, put, write
from tests.unit.results.transfers import everything_in

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_file_is_put_where_it_belongs(tmp_path, prefix):
    assert put(f"{prefix}{tmp_path}/a/b.csv", anything=b"abc") == [f"{tmp_path}/a/b.csv"]
    assert (tmp_path / "a/b.csv").read_bytes() == b"abc"
    assert everything_in(tmp_path) == ["a", "a/b.csv"]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_files_are_put_below_a_folder(tmp_path, prefix):
    paths = put(f"{prefix}{tmp_path}/a/", x=b"1", sub__y=b"2")
    assert paths == [f"{tmp_path}/a/x", f"{tmp_path}/a/sub/y"]
    assert everything_in(tmp_path) == ["a", "a/sub", "a/sub/y", "a/x"]


@pytest.mark.parametrize("name", ["a b", "a%20b", "a#b", "a?b", "run+1:00"])
def test_a_path_is_taken_as_it_is(tmp_path, name):
    assert put(f"file://{tmp_path}/{name}", x=b"1") == [f"{tmp_path}/{name}"]
    assert everything_in(tmp_path) == [name]


def test_what_was_there_is_replaced(tmp_path):
    put(f"{tmp_path}/a/", x=b"old", y=b"old")
    put(f"{tmp_path}/a/", x=b"new")
    assert (tmp_path / "a/x").read_bytes() == b"new"
    assert everything_in(tmp_path) == ["a", "a/x", "a/y"]


def test_nothing_is_there_before_the_commit(tmp_path):
    destination = Destination(f"{tmp_path}/a/b/c.csv")
    write(destination, b"abc")
    assert not (tmp_path / "a/b/c.csv").exists()
    assert [
        path for path in everything_in(tmp_path) if not Path(path).parts[-1].startswith((".asyncapi-", "0.part"))
    ] == [
        "a",
        "a/b",
    ]
    destination.close()
    assert everything_in(tmp_path) == []


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "a").mkdir()
    destination = Destination(f"{tmp_path}/a/b/")
    write(destination, b"abc")
    destination.close()
    assert everything_in(tmp_path) == ["a"]


def test_a_commit_that_fails_half_way_leaves_what_was_there(tmp_path):
    put(f"{tmp_path}/a/", x=b"old")
    (tmp_path / "a/clash").mkdir()
    with pytest.raises(ConfigurationError, match=r"a/clash' is a folder, and the result has a file of that name"):
        put(f"{tmp_path}/a/", x=b"new", sub__y=b"new", clash=b"new")
    assert (tmp_path / "a/x").read_bytes() == b"old"
    assert everything_in(tmp_path) == ["a", "a/clash", "a/x"]


def test_a_commit_that_can_not_be_undone_fails_with_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "clash").mkdir()
    monkeypatch.setattr(Path, "unlink", lambda _: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(ConfigurationError):
        put(f"{tmp_path}/", x=b"new", clash=b"new")


def seen_while_replacing(monkeypatch, folder: Path) -> list[dict[str, bytes]]:
    """Return the content of the folder just before and after each step that names a file."""
    seen: list[dict[str, bytes]] = []

    def look() -> None:
        files = (path for path in folder.rglob("*") if path.is_file())
        seen.append(
            {path.name: path.read_bytes() for path in files if not str(path.relative_to(folder)).startswith(".")}
        )

    for owner, name in ((os, "link"), (Path, "replace"), (shutil, "copy2")):
        real = getattr(owner, name)

        def step(*args, real=real, **given):
            look()
            made = real(*args, **given)
            look()
            return made

        monkeypatch.setattr(owner, name, step)
    return seen


@pytest.fixture(params=["hard links", "no hard links"])
def _linking(request, monkeypatch):
    def refuse(*_args, **_given):
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_linking")
def test_a_reader_finds_the_old_file_or_the_new_one_and_never_a_gap(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old x", y=b"old y")
    seen = seen_while_replacing(monkeypatch, tmp_path)
    put(f"{tmp_path}/", x=b"new x", y=b"new y")
    assert all(each.keys() == {"x", "y"} for each in seen)
    assert {content for each in seen for content in each.values()} == {b"old x", b"old y", b"new x", b"new y"}
    assert everything_in(tmp_path) == ["x", "y"]


@pytest.mark.usefixtures("_linking")
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_undone_commit_leaves_the_old_files_and_nothing_beside_them(tmp_path, monkeypatch, failing):
    put(f"{tmp_path}/", x=b"old x", y=b"old y")
    destination = Destination(f"{tmp_path}/")
    files = [((name,), write(destination, b"new")) for name in "xyz"]
    steps = iter(range(10))
    real = Path.replace

    def replace(path, target):
        if Path(target).parent == tmp_path and Path(target).name in "xyz" and next(steps) == failing:
            raise OSError(errno.EIO, "the disk is broken")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="broken"):
        destination.commit(files)
    destination.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old x", "y": b"old y"}


def test_a_link_that_is_refused_for_another_reason_fails_the_commit(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old")

    def refuse(*_args, **_given):
        raise OSError(errno.ENOSPC, "no room for a name")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="no room"):
        put(f"{tmp_path}/", x=b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def test_files_and_their_names_are_on_the_disk_before_an_earlier_result_is_given_up(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old")
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(path, target):
        steps.append("name")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    put(f"{tmp_path}/", x=b"new")
    # First the record by which it can be undone, then the file.
    assert steps == ["file", "name", "folder"] * 2


@pytest.mark.parametrize(("answer", "matters"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_whose_names_cannot_be_flushed_is_no_reason_to_fail_and_a_broken_disk_is(
    tmp_path, monkeypatch, answer, matters
):
    def refuse(_descriptor):
        raise OSError(answer, "can't")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="can't") if matters else contextlib.nullcontext():
        put(f"{tmp_path}/x", x=b"new")


def test_threads_that_begin_files_together_share_one_staging_folder(tmp_path, monkeypatch):
    destination = Destination(f"{tmp_path}/a/")
    asked = itertools.count(1)
    another_is_here = threading.Event()

    def staging(_name):
        if next(asked) == 2:
            another_is_here.set()
        another_is_here.wait(0.2)
        folder = tmp_path / str(uuid.uuid4())
        folder.mkdir()
        return folder

    monkeypatch.setattr(destination._storage, "make_staging_folder", staging)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: destination.open_file(ByteBudget(LIMIT)), range(8)))
    for file in files:
        file.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_several_files_do_not_become_one(tmp_path):
    with pytest.raises(ConfigurationError, match="is one file, and there are several; end it with a slash"):
        put(f"{tmp_path}/x.csv", a=b"1", b=b"2")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "destination: is empty"),
        (" ", "destination: is empty"),
        ("file://host/x", "names a host; a file's URL begins with file:///"),
        ("file://", "names a host"),
        ("nothing://x/y", "destination: 'nothing://x/' can't be written to"),
    ],
)
def test_a_destination_that_can_not_be_one_is_an_error_at_once(target, message):
    with pytest.raises(ConfigurationError, match=message):
        Destination(target)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder; end it with a slash"):
        Destination(str(tmp_path))


@pytest.mark.parametrize("target", ["x/", "x/y.csv", "x/y/z/"])
def test_a_file_is_no_folder(tmp_path, target):
    (tmp_path / "x").write_bytes(b"")
    destination = Destination(f"{tmp_path}/{target}")
    with pytest.raises(ConfigurationError, match="leads through a file, not a folder"):
        destination.open_file(ByteBudget(LIMIT))
    destination.close()
    assert everything_in(tmp_path) == ["x"]


def test_a_destination_that_nothing_was_written_to_leaves_nothing(tmp_path):
    destination = Destination(f"{tmp_path}/a/")
    assert destination.commit([]) == []
    destination.close()
    assert everything_in(tmp_path) == []
