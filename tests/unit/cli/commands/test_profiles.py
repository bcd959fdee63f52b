"""`profiles` lists, shows and checks profiles."""

from __future__ import annotations

import json
import tomllib

import pytest

from airflow_provider_asyncapi.connections.profiles import load_profile

MINE = """\
[about]
title = "Mine"
[submit]
endpoint = "/x"
json = { a = [1, true, { "b c" = "é" }], d = {} }
identifier = "id"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "not a name.toml").write_text("")
    return tmp_path


def test_all_that_tasks_can_use_are_listed(shell, folder):
    listed = {each["name"]: each for each in shell("profiles", "list", "--json").json}
    assert {"celigo", "http_202", "mine"} <= set(listed)
    assert not {"notes.txt", "not a name", "notes"} & set(listed)
    assert listed["mine"] == {"name": "mine", "title": "Mine", "file": str(folder / "mine.toml")}
    lines = shell("profiles", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(listed)


@pytest.mark.parametrize("text", ["[", "\xff", "about = 5", "[about]\ntitle = 5"])
def test_one_that_can_not_be_read_is_listed_too(shell, folder, text):
    (folder / "mine.toml").write_bytes(text.encode("latin-1"))
    assert shell("profiles", "list").code == 0
    assert "mine" in shell("profiles", "list").out


def test_one_is_shown_as_toml_with_its_file(shell, folder):
    done = shell("profiles", "show", "mine")
    assert done.code == 0
    assert done.out.splitlines()[0] == f"# {folder / 'mine.toml'}"
    assert tomllib.loads(done.out) == tomllib.loads(MINE)


@pytest.mark.parametrize("name", ["celigo", "http_202", "vayana", "cloud_elements", "panoply", "phixflow"])
def test_a_shipped_one_is_shown_as_it_is(shell, name):
    shown = tomllib.loads(shell("profiles", "show", name).out)
    assert shown == {table: content for table, content in load_profile(name).items() if content}


def test_each_key_has_its_origin(shell, folder):
    shown = shell("profiles", "show", "mine", "--json").json
    assert shown["file"] == str(folder / "mine.toml")
    assert shown["tables"]["submit"]["identifier"] == {"value": "id", "origin": "mine"}


def test_an_inherited_key_has_the_profile_that_sets_it_as_its_origin(shell, folder):
    (folder / "acme").mkdir()
    (folder / "acme" / "jobs.toml").write_text('extends = "mine"\n[submit]\nendpoint = "/y"\n', encoding="utf-8")
    submit = shell("profiles", "show", "acme/jobs", "--json").json["tables"]["submit"]
    assert submit["endpoint"] == {"value": "/y", "origin": "acme/jobs"}
    assert submit["identifier"] == {"value": "id", "origin": "mine"}
    assert 'identifier = "id"  # from mine' in shell("profiles", "show", "acme/jobs").out.splitlines()
    assert "acme/jobs" in shell("profiles", "list").out


def test_an_unknown_one_is_an_error_with_the_known_ones(shell):
    done = shell("profiles", "show", "celligo")
    assert (done.code, done.out) == (2, "")
    assert "celigo" in done.err


def test_mistakes_are_listed_with_their_places(shell, folder):
    file = folder / "mine.toml"
    file.write_text('[submit]\nerror_messages = "id"\n\n[status]\nignore_case = 5\n')
    done = shell("profiles", "check", file)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{file}:2: [submit] error_messages: unknown key; did you mean error_message?",
        f"{file}:5: [status] ignore_case: has to be True or False, not 5",
        "1 profile checked: 2 mistakes",
    ]
    first, _ = shell("profiles", "check", file, "--json").json
    assert (first["file"], first["line"], first["table"], first["key"]) == (str(file), 2, "submit", "error_messages")


def test_broken_toml_has_its_place(shell, folder):
    (folder / "mine.toml").write_text('[submit]\nmethod = "POST\n')
    done = shell("profiles", "check", folder / "mine.toml")
    assert done.code == 1
    assert "isn't TOML" in done.out
    assert "line 2" in done.out


def test_all_known_ones_are_checked_by_default(shell, folder):
    done = shell("profiles", "check")
    assert done.code == 0
    assert done.out.endswith(" profiles checked: no mistakes\n")
    assert json.loads(shell("profiles", "check", "--json").out) == []


def test_what_is_no_profile_is_an_error_with_its_name(shell, folder):
    (folder / "bytes").write_bytes(b"a = 1\nb = '\xff'")
    with (folder / "large").open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    for name, said in (("bytes", "bytes:2: isn't UTF-8"), ("large", "isn't a profile"), ("none", "can't be read")):
        done = shell("profiles", "check", folder / name)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
