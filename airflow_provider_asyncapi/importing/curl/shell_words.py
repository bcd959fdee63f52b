"""
Split cURL commands, as people paste them, into words.

Nothing is run or looked up. The quotes are those of POSIX shells, of ``cmd.exe`` (a browser's "Copy as cURL (cmd)") or
of PowerShell. A shell variable becomes ``{NAME}``, the way a request template names a variable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from airflow_provider_asyncapi.core.errors import ConfigurationError

#: The longest text that is read, in characters.
_MAX_LENGTH = 1024 * 1024
_CMD = re.compile(r"[ \t]\^[ \t]*\r?\n|[\s^]\^\"")
_POWERSHELL = re.compile(r"[ \t]`[ \t]*\r?\n|\A\s*curl\.exe\s")
_OTHER_PROGRAM = re.compile(r"\s*(?:\$session\b|Invoke-(?:WebRequest|RestMethod)\b|(?:await\s+)?fetch\()")
_PROMPT = re.compile(r"[ \t]*[$%>][ \t]+(?=curl\b)")
_CONTINUATION = re.compile(r"[\\`][ \t]*\r?\n")
_VARIABLE = re.compile(r"\$(?:env:)?(?:(?P<plain>[A-Za-z_]\w*)|\{(?:env:)?(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
#: ``<job id>``, the way documentation writes what the reader has to fill in.
_PLACEHOLDER = re.compile(r"<(?P<name>[A-Za-z][\w -]{0,60})>", re.ASCII)
_ANSI = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ANSI_CODE = re.compile(r"x(?P<x>[0-9A-Fa-f]{1,2})|u(?P<u>[0-9A-Fa-f]{1,4})|U(?P<U>[0-9A-Fa-f]{1,8})|(?P<o>[0-7]{1,3})")
_OPERATORS = {
    "|": "a pipe",
    "&": "an & outside quotes (put the URL into quotes if it is a part of it)",
    ";": "a second command after ;",
    "<": "a redirection from a file",
    ">": "a redirection to a file",
    "(": "a subshell",
    ")": "a parenthesis outside quotes",
}


@dataclass(frozen=True, slots=True)
class Word:
    """
    A word of a command.

    :param text: the word without quotes; shell variables are ``{NAME}``.
    :param place: the line and the column where it begins, for messages.
    :param variables: the names of the shell variables in it.
    """

    text: str
    place: str
    variables: frozenset[str] = frozenset()


def split_commands(text: str) -> list[list[Word]]:
    """
    Return the words of each command in a text.

    A command ends at the end of its line, unless the line ends with the mark of a continuation.

    :raises ConfigurationError: if a shell would do more than start one program, or a quote isn't closed.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigurationError(f"cURL command: has {len(text)} characters; at most {_MAX_LENGTH} are read")
    if _OTHER_PROGRAM.match(text):
        raise ConfigurationError(
            "cURL command: isn't one, but a command of PowerShell or JavaScript; copy the request as cURL"
        )
    if _CMD.search(text):
        return _CmdSplitter(text).split()
    return _PosixSplitter(text, is_powershell=_POWERSHELL.search(text) is not None).split()


def to_variable_name(text: str) -> str:
    """Return the name of the variable for a placeholder, such as ``job_id`` for ``<job id>``."""
    return re.sub(r"\W+", "_", text.strip()).strip("_").lower()


class _Splitter:
    """What the splitters of all shells share: the position, the word in work, and the words before it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._commands: list[list[Word]] = [[]]
        self._parts: list[str] | None = None
        self._begun = 0
        self._variables: set[str] = set()

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        # Without the text at this place, which may be a secret.
        place = self._describe_place(self._at if at is None else at)
        raise ConfigurationError(f"cURL command: {place}: {message}")

    def _describe_place(self, at: int) -> str:
        lines = self._text[:at].split("\n")
        return f"line {len(lines)}, column {len(lines[-1]) + 1}"

    def _refuse_operator(self, character: str, at: int | None = None) -> NoReturn:
        self._fail(f"{_OPERATORS[character]} isn't carried out; paste the cURL command alone", at)

    def _add(self, text: str) -> None:
        if self._parts is None:
            self._parts, self._begun, self._variables = [], self._at, set()
        self._parts.append(text)

    def _end_word(self) -> None:
        if self._parts is not None:
            word = Word("".join(self._parts), self._describe_place(self._begun), frozenset(self._variables))
            self._commands[-1].append(word)
            self._parts = None

    def _end_command(self) -> None:
        self._end_word()
        if self._commands[-1]:
            self._commands.append([])

    def _finish(self) -> list[list[Word]]:
        self._end_command()
        return self._commands[:-1]


class _PosixSplitter(_Splitter):
    """Splits text with the quotes of POSIX shells, or with the similar ones of PowerShell."""

    def __init__(self, text: str, *, is_powershell: bool) -> None:
        super().__init__(text)
        self._is_powershell = is_powershell
        self._escape = "`" if is_powershell else "\\"

    def split(self) -> list[list[Word]]:
        """Return the words of each command."""
        while self._at < len(self._text):
            self._read()
        return self._finish()

    def _read(self) -> None:
        """Read what separates words, or a part of a word."""
        text, at, character = self._text, self._at, self._text[self._at]
        if character == self._escape and (match := _CONTINUATION.match(text, at)):
            self._at = match.end()
        elif character == "\n":
            self._end_command()
            self._at += 1
        elif character.isspace():
            self._end_word()
            self._at += 1
        elif self._parts is None and not self._commands[-1] and (prompt := _PROMPT.match(text, at)):
            self._at = prompt.end()
        elif self._parts is None and character == "#":
            self._at = text.find("\n", at) if "\n" in text[at:] else len(text)
        else:
            self._read_part(character)

    def _read_part(self, character: str) -> None:
        text, at = self._text, self._at
        if character == "'":
            self._read_single_quotes()
        elif character == '"':
            self._read_double_quotes()
        elif text.startswith("$'", at) and not self._is_powershell:
            self._read_ansi_quotes()
        elif character == self._escape:
            self._add(text[at + 1 : at + 2])
            self._at += 2
        elif character in "$`":
            self._read_expansion()
        elif match := _PLACEHOLDER.match(text, at):
            self._add_variable(to_variable_name(match["name"]))
            self._at = match.end()
        elif character in _OPERATORS:
            self._refuse_operator(character)
        else:
            self._add(character)
            self._at += 1

    def _add_variable(self, name: str) -> None:
        self._add(f"{{{name}}}")
        self._variables.add(name)

    def _read_expansion(self) -> None:
        """Read what begins with ``$`` or a backtick."""
        text, at = self._text, self._at
        if text[at] == "`":
            self._fail("`…` runs a command; put the text there that it prints")
        if text.startswith("$(", at):
            self._fail("$(…) runs a command; put the text there that it prints")
        if match := _VARIABLE.match(text, at):
            self._add_variable(match["plain"] or match["braced"])
            self._at = match.end()
        elif text.startswith("${", at) or text[at + 1 : at + 2] in {*"0123456789@*#?!"}:
            self._fail("of a shell's expansions only $NAME and ${NAME} are understood; put the value there")
        else:
            self._add("$")
            self._at += 1

    def _read_single_quotes(self) -> None:
        begun = self._at
        end = self._text.find("'", begun + 1)
        if end < 0:
            self._fail("the quote ' isn't closed")
        self._add(self._unescape(self._text[begun + 1 : end]))
        self._at = end + 1
        if self._is_powershell and self._text.startswith("'", self._at):
            # Two quotes are one.
            self._add("'")

    def _unescape(self, text: str) -> str:
        # PowerShell before 7.3 hands on no double quote to a program, unless there is a backslash before it.
        return text.replace('\\"', '"') if self._is_powershell else text

    def _read_double_quotes(self) -> None:
        text, begun = self._text, self._at
        self._add("")
        self._at += 1
        while not text.startswith('"', self._at):
            rest = text[self._at : self._at + 2]
            if not rest:
                self._fail("the quote \" isn't closed", begun)
            if rest[0] == self._escape and (match := _CONTINUATION.match(text, self._at)):
                self._at = match.end()
            elif rest == '\\"' or (rest[0] == self._escape and rest[1:] in {*'"$\\`'}):
                self._add(rest[1:])
                self._at += 2
            elif rest[0] in "$`" and rest[0] != self._escape:
                self._read_expansion()
            else:
                self._add(rest[0])
                self._at += 1
        self._at += 1

    def _read_ansi_quotes(self) -> None:
        r"""Read ``$'…'``, in which ``\n`` and the like are escapes."""
        text, begun = self._text, self._at
        self._add("")
        self._at += 2
        while not text.startswith("'", self._at):
            if self._at >= len(text):
                self._fail("the quote $' isn't closed", begun)
            if text[self._at] != "\\":
                self._add(text[self._at])
                self._at += 1
            elif code := _ANSI_CODE.match(text, self._at + 1):
                number = int(code[code.lastgroup or 0], 8 if code.lastgroup == "o" else 16)
                if number > 0x10FFFF:  # noqa: PLR2004 - the last character of Unicode
                    self._fail("no character has this number")
                self._add(chr(number))
                self._at = code.end()
            else:
                escaped = text[self._at + 1 : self._at + 2]
                self._add(_ANSI.get(escaped, escaped))
                self._at += 2
        self._at += 1


class _CmdSplitter(_Splitter):
    """
    Splits text with the quotes of ``cmd.exe``.

    There are two layers: ``cmd.exe`` takes out carets, then the program splits the line by quotes and backslashes as
    Microsoft's C library does.
    """

    def split(self) -> list[list[Word]]:
        """Return the words of each command."""
        characters = self._remove_carets()
        is_quoted, number = False, 0
        while number < len(characters):
            self._at, character = characters[number]
            slashes = _count_slashes(characters, number)
            is_before_quote = "".join(each for _, each in characters[number + slashes : number + slashes + 1]) == '"'
            if slashes and is_before_quote:
                self._add("\\" * (slashes // 2) + '"' * (slashes % 2))
                number += slashes + slashes % 2
                continue
            if character == '"':
                self._add("")
                is_doubled = is_quoted and [each for _, each in characters[number + 1 : number + 2]] == ['"']
                if is_doubled:
                    self._add('"')
                    number += 1
                else:
                    is_quoted = not is_quoted
            elif is_quoted or not character.isspace():
                self._add(character)
            elif character == "\n":
                self._end_command()
            else:
                self._end_word()
            number += 1
        if is_quoted:
            self._fail("a quote \" isn't closed")
        return self._finish()

    def _remove_carets(self) -> list[tuple[int, str]]:
        """Return the characters that the program gets, with their positions."""
        text, found, is_quoted, at = self._text.replace("\r\n", "\n"), [], False, 0
        self._text = text
        while at < len(text):
            character = text[at]
            if character == "^" and not is_quoted:
                rest = text[at + 1 :].lstrip(" \t") if text[at + 1 : at + 2] in {" ", "\t"} else text[at + 1 :]
                if rest.startswith("\n"):
                    # The line goes on; of two line breaks, the second is meant.
                    at = len(text) - len(rest) + 1
                    if not rest.startswith("\n\n"):
                        continue
                else:
                    at += 1
                found.append((at, text[at : at + 1]))
            else:
                if not is_quoted and character in "|&<>":
                    self._refuse_operator(character, at)
                is_quoted ^= character == '"'
                found.append((at, character))
            at += 1
        return found


def _count_slashes(characters: Sequence[tuple[int, str]], number: int) -> int:
    slashes = 0
    while number + slashes < len(characters) and characters[number + slashes][1] == "\\":
        slashes += 1
    return slashes
