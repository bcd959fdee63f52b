"""`select` shows what a selector finds in a saved response."""

from __future__ import annotations

import json
import re

import pytest

BODY = {"data": {"id": 7, "states": ["a", "b"]}}
WITH_HEAD = (
    b"HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n"
    b"HTTP/2 202 \r\nlocation: /jobs/7\r\ncontent-type: application/json\r\n\r\n"
    b'{"id": 7}'
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "response.json"
    path.write_text(json.dumps(BODY))
    return path


def test_each_value_is_a_line_of_json(shell, file):
    assert shell("select", "data.id", file).out == "7\n"
    assert shell("select", "data.states[*]", file).out == '"a"\n"b"\n'
    assert shell("select", "data.id", file).code == 0


def test_nothing_found_is_exit_code_1_and_shows_what_is_nearest(shell, file):
    done = shell("select", "id", file)
    assert (done.code, done.out) == (1, "'id' finds nothing; nearest is\n  $.data.id = 7\n")
    done = shell("select", "zzz.x[9]", "-", stdin=b"[]")
    assert (done.code, done.out) == (1, "'zzz.x[9]' finds nothing: the JSON is a list, not an object\n")
    done = shell("select", "result.phase", "-", stdin=b'{"result": "{\\"phase\\": 1}"}')
    assert done.out == (
        "'result.phase' finds nothing: $.result is a string, not an object; nearest is\n  $.result.json:phase = 1\n"
    )
    done = shell("select", "state", "-", stdin=b"HTTP/1.1 200 OK\r\nX-Job-State: done\r\n\r\n{}")
    assert done.out.endswith('; nearest is\n  header:x-job-state = "done"\n')


def test_programs_get_json(shell, file):
    assert shell("select", "data.id", file, "--json").json == {
        "selector": "data.id",
        "found": [7],
        "nearest": [],
        "reason": None,
    }
    done = shell("select", "id", file, "--json")
    assert done.code == 1
    assert done.json["nearest"] == [{"selector": "$.data.id", "value": 7}]
    assert shell("select", "zzz", file, "--json").json["reason"] == "the JSON has the keys data"


def test_a_response_with_its_head_is_read_from_standard_input(shell):
    def found(selector, *options):
        return shell("select", selector, "-", *options, stdin=WITH_HEAD).out

    assert found("id") == "7\n"
    assert found("header:Location") == '"/jobs/7"\n'
    assert found("status_code") == "202\n"
    assert found("status_code", "--status", "200") == "200\n"
    assert found("header:X-A", "--header", "x-a: 5") == '"5"\n'
    assert found(r"header:Location regex:/jobs/(\d+)") == '"7"\n'


def test_variables_are_put_in(shell):
    body = b'{"jobs": [{"id": 7, "state": "x"}, {"id": "y", "state": "z"}]}'
    for value, found in (("7", '"x"\n'), ("y", '"z"\n')):
        selector = "$.jobs[?(@.id == {key})].state" if value == "7" else '$.jobs[?(@.id == "{key}")].state'
        assert shell("select", selector, "-", "--var", f"key={value}", stdin=body).out == found


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["$.[", "-"], b"{}", r"malformed selector '\$\.\['"),
        (["id", "no_such_file"], b"", "no_such_file: can't be read: No such file"),
        (["id", "-"], b'{"id": 7', "-: expected JSON, got .* line 1, column"),
        (["id", "-"], b"<html>", "HTML"),
        (["id", "-"], b"<job/>", r"got XML \(no content type\); selectors of XML begin with xpath:"),
        (["xpath://id", "-"], b"{}", r"got JSON \(no content type\); selectors of JSON have no prefix"),
        (["id", "-"], b"HTTP/1.1 200 OK\r\nX: y", "no empty line"),
        (["id", "-"], b"HTTP/1.1 200 OK\r\nwhat\r\n\r\n{}", "-: 'what' isn't a header"),
        (["id", "-", "--header", "X"], b"{}", "--header: 'X' isn't a header"),
        (["id", "-", "--header", "X Y: z"], b"{}", "--header: 'X Y' can't be the name"),
        (["id", "-", "--var", "x"], b"{}", "--var: 'x' isn't an assignment"),
        (["{x}", "-"], b"{}", "x"),
        (["id", "-", "--status", "x"], b"{}", "--status"),
    ],
)
def test_what_can_not_be_used_is_exit_code_2_with_its_place(shell, words, stdin, said):
    done = shell("select", *words, stdin=stdin)
    assert (done.code, done.out) == (2, "")
    assert re.search(said, done.err), done.err


def test_a_folder_is_no_response(shell, tmp_path):
    assert "can't be read" in shell("select", "id", tmp_path).err
