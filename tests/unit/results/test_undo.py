"""A try replaces or undoes what an earlier try of the same task has left."""

from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.results.destination import Destination, Owner
from airflow_provider_asyncapi.results.undo import UndoRecord, UnverifiedRecordError
from tests.unit.results.destinations import put, write
from tests.unit.results.stores import fresh_store
from tests.unit.results.transfers import everything_in

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


TASK = Owner("dag/run/task/-1", secret=lambda: b"key")


def begun(target, **files):
    destination = Destination(target, TASK)
    destination.undo_earlier_try()
    stored = [((name,), write(destination, content)) for name, content in files.items()]
    return destination, stored


def test_a_try_replaces_what_an_earlier_one_has_left(folder):
    target, contents = folder
    put(target, old=b"0", kept=b"0")
    # Killed between commit and settling: nothing is closed.
    destination, stored = begun(target, old=b"1", new=b"1")
    destination.commit(stored)
    assert {"old", "new", "kept"} < set(contents())
    destination, stored = begun(target, other=b"2")
    assert contents().items() >= {"old": b"0", "kept": b"0"}.items()
    assert "new" not in contents()
    destination.commit(stored)
    destination.finalize()
    destination.close()
    assert contents() == {"old": b"0", "kept": b"0", "other": b"2"}


@pytest.mark.parametrize(("is_retry", "left"), [(True, {"a/xy", "b"}), (False, {"a/x", "a/xy", "b"})])
def test_a_retry_aborts_the_uploads_of_its_file_and_no_others(is_retry, left):
    store = fresh_store("s3")
    store.begun = {"a/x", "a/xy", "b"}
    Destination("s3://bucket/a/x", Owner("dag/run/task/-1", is_retry=is_retry)).undo_earlier_try()
    assert store.begun == left


def test_the_uploads_of_a_folder_are_those_that_its_record_names():
    store = fresh_store("s3")
    destination, stored = begun("s3://bucket/a/", x=b"1", y=b"2")
    destination.commit(stored)
    store.begun = {"a/x", "a/y", "a/z", "x"}
    Destination("s3://bucket/a/", TASK).undo_earlier_try()
    assert store.begun == {"a/z", "x"}


def test_a_role_that_may_not_list_uploads_can_fetch_anyway(caplog):
    store = fresh_store("s3")
    store.may_list = False
    Destination("s3://bucket/a/x", Owner("dag/run/task/-1", is_retry=True)).undo_earlier_try()
    assert "stay at s3://bucket/a: Access Denied" in caplog.text


def test_a_try_that_was_killed_half_way_is_undone(folder, monkeypatch):
    target, contents = folder
    put(target, old=b"0")
    destination, stored = begun(target, old=b"1", new=b"1")

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(type(destination._storage), "move_in", kill)
    for name in ("restore", "remove"):
        monkeypatch.setattr(type(destination._storage), name, kill)
    with pytest.raises(Killed):
        destination.commit(stored)
    monkeypatch.undo()
    destination, _ = begun(target)
    destination.close()
    assert contents() == {"old": b"0"}


def test_a_result_that_was_not_settled_can_still_be_undone(folder):
    target, contents = folder
    put(target, old=b"0")
    destination, stored = begun(target, old=b"1")
    destination.commit(stored)
    destination.close()
    assert contents()["old"] == b"1"
    destination, _ = begun(target)
    destination.close()
    assert contents() == {"old": b"0"}


def names_in_record_of(destination: Destination) -> str:
    return f"{destination._prefix}.json"


@pytest.mark.parametrize("secret", [lambda: b"key", lambda: None])
def test_a_record_that_the_task_did_not_write_is_not_believed(tmp_path, caplog, secret):
    """An archive that another task unpacked into a folder above may have brought it."""
    (tmp_path / "a").mkdir()
    victim, code = tmp_path / "victim", tmp_path / "a" / "code"
    victim.write_bytes(b"1")
    code.write_bytes(b"2")
    destination = Destination(f"{tmp_path}/a/", Owner("dag/run/task/-1", secret=secret))
    record = tmp_path / "a" / names_in_record_of(destination)
    pairs = [["../victim", None], ["../dags/evil.py", "code"], [str(victim), None], ["code", None]]
    for forged in (
        json.dumps(pairs),
        json.dumps({"files": json.dumps(pairs), "signature": "0" * 64}),
        json.dumps({"files": json.dumps(pairs), "signature": "\ud83d"}),
        json.dumps({"files": pairs}),
        "[" * 100_000,
        "",
    ):
        record.write_text(forged)
        destination.undo_earlier_try()
        assert everything_in(tmp_path) == ["a", record.relative_to(tmp_path).as_posix(), "a/code", "victim"]
        assert "nothing is undone" in caplog.text
        caplog.clear()
    destination.close()


@pytest.mark.parametrize("secret", [lambda: None, lambda: b"another key"])
def test_former_files_stay_if_the_record_of_them_is_not_believed(tmp_path, secret):
    (tmp_path / "a").write_bytes(b"former")
    killed = Destination(f"{tmp_path}/", TASK)
    killed.commit([(("a",), write(killed, b"new"))])
    left = everything_in(tmp_path)
    retry = Destination(f"{tmp_path}/", Owner(TASK.name, is_retry=True, secret=secret))
    retry.undo_earlier_try()
    retry.close()
    assert everything_in(tmp_path) == left
    assert [path.read_bytes() for path in tmp_path.rglob("*.former")] == [b"former"]


@pytest.mark.parametrize("secret", [lambda: None, lambda: b"another key"])
def test_former_files_and_their_record_outlast_later_tries_if_the_record_is_not_believed(folder, secret):
    target, contents = folder
    put(target, a=b"former")
    killed = Destination(target, TASK)
    killed.commit([(("a",), write(killed, b"new"))])
    (former,) = [name for name in contents() if name.endswith(".former")]
    record = contents()[names_in_record_of(killed)]
    for number in range(3):
        retry = Destination(target, Owner(TASK.name, is_retry=True, secret=secret))
        retry.undo_earlier_try()
        retry.commit([(("a",), write(retry, str(number).encode()))])
        retry.finalize()
        retry.close()
        (kept,) = [name for name in contents() if name.endswith(".unverified.json")]
        assert contents() == {"a": str(number).encode(), former: b"former", kept: record}


def test_an_undo_that_fails_keeps_the_former_files_for_the_next_try(folder, monkeypatch):
    target, contents = folder
    put(target, a=b"former")
    killed = Destination(target, TASK)
    killed.commit([(("a",), write(killed, b"new"))])

    def fail(*_):
        raise PermissionError

    monkeypatch.setattr(type(killed._storage), "restore", fail)
    left = contents()
    retry = Destination(target, TASK)
    with pytest.raises(OSError, match="couldn't be undone, as the log shows"):
        retry.undo_earlier_try()
    retry.close()
    assert contents() == left
    monkeypatch.undo()
    retry = Destination(target, TASK)
    retry.undo_earlier_try()
    retry.close()
    assert contents() == {"a": b"former"}


@pytest.mark.parametrize(
    "pair", [("../victim", None), ("/victim", None), ("a/../../victim", None), (".asyncapi-x", None), ("a", "code")]
)
def test_even_a_signed_record_names_nothing_outside_the_destination(pair):
    record = UndoRecord(".asyncapi-0123", b"key")
    with pytest.raises(UnverifiedRecordError, match="a file that isn't the task's"):
        record.parse(record.dump([pair]))
    good = [("a/b..c", None), ("x", ".asyncapi-0123-01234567.part/3.former")]
    assert record.parse(record.dump(good)) == good


def test_the_record_of_another_task_is_not_believed():
    content = UndoRecord(".asyncapi-0123", b"key").dump([("a", None)])
    for other in (UndoRecord(".asyncapi-4567", b"key"), UndoRecord(".asyncapi-0123", b"other")):
        with pytest.raises(UnverifiedRecordError, match="signature doesn't fit"):
            other.parse(content)


def test_another_task_undoes_nothing(folder):
    target, contents = folder
    destination, stored = begun(target, a=b"1")
    destination.commit(stored)
    other = Destination(target, Owner("dag/run/other/-1", secret=lambda: b"another key"))
    other.undo_earlier_try()
    other.close()
    assert contents()["a"] == b"1"


def test_one_file_needs_no_record(tmp_path):
    put(f"{tmp_path}/x.csv", a=b"1")
    assert everything_in(tmp_path) == ["x.csv"]
    assert put(f"{tmp_path}/x.csv", a=b"2") == [f"{tmp_path}/x.csv"]
    assert (tmp_path / "x.csv").read_bytes() == b"2"


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "sub").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="leads through a file, not a folder"):
        put(f"{tmp_path}/", a=b"1", sub__b=b"2")
    assert everything_in(tmp_path) == ["sub"]


def test_a_store_without_a_folder_is_none():
    with pytest.raises(ConfigurationError, match="names no folder or file in the store"):
        Destination("s3:///")
