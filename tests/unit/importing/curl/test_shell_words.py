"""cURL commands are split into words as the shell that they were copied for would, and nothing is run."""

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.importing.curl.shell_words import split_commands


def words(text):
    (command,) = split_commands(text)
    return [word.text for word in command]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("curl 'a b' \"c d\" e\\ f", ["curl", "a b", "c d", "e f"]),
        ("$ curl -d'{\"a\": 1}' u", ["curl", '-d{"a": 1}', "u"]),
        ('curl "a \\"b\\" \\\\ \\n"', ["curl", 'a "b" \\ \\n']),
        ("curl \\\n  -X POST \\  \r\n u", ["curl", "-X", "POST", "u"]),
        ("curl $'a\\n\\'b\\' \\x41\\u00e9\\101'", ["curl", "a\n'b' AéA"]),
        ("curl '' \"\" $''", ["curl", "", "", ""]),
        ("# about it\ncurl u # its end", ["curl", "u"]),
        ("curl it'\"'s u#x https://h/?a=1", ["curl", 'it"s', "u#x", "https://h/?a=1"]),
    ],
)
def test_posix_quotes(text, expected):
    assert words(text) == expected


def test_variables_and_placeholders_are_named_as_templates_do():
    (command,) = split_commands("curl \"$HOST/jobs\" ${TOKEN}x '$LITERAL' https://h/jobs/<job id>")
    assert [word.text for word in command[1:]] == ["{HOST}/jobs", "{TOKEN}x", "$LITERAL", "https://h/jobs/{job_id}"]
    assert [set(word.variables) for word in command[1:]] == [{"HOST"}, {"TOKEN"}, set(), {"job_id"}]


def test_each_line_that_does_not_go_on_is_a_command():
    assert [len(command) for command in split_commands("curl a\n\n# the status\ncurl b \\\n c\n")] == [2, 3]


CMD = (
    'curl ^"https://h/x?a=1^&b=^%^20^" ^\r\n'
    '  -H ^"content-type: application/json^" ^\r\n'
    '  --data-raw ^"^{^\\^"a^\\^": ^\\^"b c^\\^"^}^\n\nd^"\r\n'
)


def test_quotes_of_cmd():
    assert words(CMD) == [
        "curl",
        "https://h/x?a=1&b=%20",
        "-H",
        "content-type: application/json",
        "--data-raw",
        '{"a": "b c"}\nd',
    ]


def test_quotes_of_cmd_in_their_older_form():
    assert words('curl "https://h/x?a=1&b=2" ^\n -d "{\\"a\\": \\"\\\\\\"\\"}" "x""y"') == [
        "curl",
        "https://h/x?a=1&b=2",
        "-d",
        '{"a": "\\""}',
        'x"y',
    ]


def test_quotes_of_powershell():
    text = "curl.exe `\n -H 'it''s' -d '{\\\"a\\\": 1}' \"$env:HOST `\"x`\"\" `\n u"
    assert words(text) == ["curl.exe", "-H", "it's", "-d", '{"a": 1}', '{HOST} "x"', "u"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curl u | jq .", "line 1, column 8: a pipe isn't carried out"),
        ("curl u; rm -rf /", "line 1, column 7: a second command after ;"),
        ("curl \\\n https://h/?a=1&b=2", "line 2, column 16: an & outside quotes"),
        ("curl u > out", "line 1, column 8: a redirection to a file"),
        ('curl -H "Authorization: $(cat t)"', "line 1, column 25: $(…) runs a command"),
        ("curl `id`", "line 1, column 6: `…` runs a command"),
        ("curl ${A:-b}", r"line 1, column 6: of a shell's expansions only"),
        ("curl 'a", "line 1, column 6: the quote ' isn't closed"),
        ('curl "secret', "line 1, column 6: the quote \" isn't closed"),
        ("curl $'a", "line 1, column 6: the quote $' isn't closed"),
        ("curl $'\\U99999999'", "line 1, column 8: no character has this number"),
        ('curl ^"a^" | more', "line 1, column 12: a pipe"),
        ('curl ^"a', "line 1, column 8: a quote \" isn't closed"),
        ("Invoke-WebRequest -Uri u", "isn't one, but a command of PowerShell or JavaScript"),
        ("await fetch('u')", "isn't one, but a command of PowerShell or JavaScript"),
        ("x" * (1024 * 1024 + 1), "has 1048577 characters"),
    ],
)
def test_what_a_shell_would_do_beside_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigurationError) as raised:
        split_commands(text)
    assert str(raised.value).startswith(f"cURL command: {message}")
    assert "secret" not in str(raised.value)
