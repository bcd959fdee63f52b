"""The options of cURL: which take a value, and what becomes of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.importing.curl.shell_words import Word

#: Options with a value that make the request.
_VALUES = {
    "request": "X",
    "header": "H",
    "data": "d",
    "data-ascii": "",
    "data-raw": "",
    "data-binary": "",
    "data-urlencode": "",
    "json": "",
    "form": "F",
    "form-string": "",
    "upload-file": "T",
    "user": "u",
    "oauth2-bearer": "",
    "cookie": "b",
    "user-agent": "A",
    "referer": "e",
    "url": "",
    "url-query": "",
    "max-time": "m",
    "connect-timeout": "",
    "proxy": "x",
    "cacert": "",
    "cert": "E",
    "key": "",
}
_FLAGS = {"get": "G", "head": "I", "insecure": "k", "digest": ""}
#: Options that change what cURL shows, or how it sends; the provider does it in its own way, or it makes no difference.
_IGNORED_FLAGS = {
    "anyauth": "",
    "basic": "",
    "compressed": "",
    "fail": "f",
    "fail-with-body": "",
    "globoff": "g",
    "http1.0": "0",
    "http1.1": "",
    "http2": "",
    "http3": "",
    "include": "i",
    "ipv4": "4",
    "ipv6": "6",
    "location": "L",
    "location-trusted": "",
    "no-buffer": "N",
    "path-as-is": "",
    "progress-bar": "#",
    "remote-header-name": "J",
    "remote-name": "O",
    "show-error": "S",
    "silent": "s",
    "ssl-no-revoke": "",
    "tlsv1.2": "",
    "tlsv1.3": "",
    "verbose": "v",
}
_IGNORED_VALUES = {
    "cookie-jar": "c",
    "dump-header": "D",
    "max-redirs": "",
    "output": "o",
    "retry": "",
    "retry-delay": "",
    "retry-max-time": "",
    "stderr": "",
    "trace": "",
    "trace-ascii": "",
    "write-out": "w",
}
#: Options that can't be carried over, and what to do.
_REFUSED = {
    "aws-sigv4": "sign requests with the connection's auth = 'hmac'",
    "config": "write the options of the file into the command",
    "negotiate": "no kind of authentication of a connection does it",
    "netrc": "write the credentials into the command, as -u user:password",
    "next": "write each request as a command of its own",
    "ntlm": "no kind of authentication of a connection does it",
    "parallel": "write each request as a command of its own",
    "request-target": "write the path into the URL",
    "resolve": "a connection can't choose the address of a host",
    "unix-socket": "a connection can't use a socket of the machine",
}
_REFUSED_LETTERS = {"K": "config", "n": "netrc", ":": "next", "Z": "parallel"}

_TAKES_VALUE = {**_VALUES, **_IGNORED_VALUES}
_KNOWN = {**_TAKES_VALUE, **_FLAGS, **_IGNORED_FLAGS}
_LETTERS = {letter: name for name, letter in _KNOWN.items() if letter} | _REFUSED_LETTERS


@dataclass(frozen=True, slots=True)
class Option:
    """
    An option of a command.

    :param name: the long name, without dashes.
    :param value: the value; empty for a flag.
    :param word: the word with the value, or else with the flag.
    """

    name: str
    value: str
    word: Word


def read_options(words: Sequence[Word]) -> Iterator[Option]:
    """
    Yield the options that make the request; an argument without an option is the option ``url``.

    :param words: the words after ``curl``.
    :raises ConfigurationError: if an option is unknown, lacks its value, or can't be carried over.
    """
    rest = iter(words)
    for word in rest:
        text = word.text
        if not text.startswith("-") or text == "-":
            yield Option("url", text, word)
        elif text.startswith("--"):
            # "--no-…" switches a flag off.
            yield from _read_option(text[2:], word, rest)
        else:
            yield from _read_letters(word, rest)


def _read_letters(word: Word, rest: Iterator[Word]) -> Iterator[Option]:
    """Yield the options of a word such as ``-sSLd``; the rest of the word is the value of the first that takes one."""
    for number, letter in enumerate(word.text[1:], 2):
        name = _LETTERS.get(letter)
        if name is None:
            raise ConfigurationError(f"cURL command: {word.place}: unknown option -{letter}")
        value = word.text[number:]
        if name in _TAKES_VALUE and value:
            if name not in _IGNORED_VALUES:
                yield Option(name, value, word)
            return
        yield from _read_option(name, word, rest)


def _read_option(name: str, word: Word, rest: Iterator[Word]) -> Iterator[Option]:
    if name in _REFUSED:
        raise ConfigurationError(f"cURL command: {word.place}: --{name} can't be carried over; {_REFUSED[name]}")
    if name in _TAKES_VALUE:
        value = next(rest, None)
        if value is None:
            raise ConfigurationError(f"cURL command: {word.place}: --{name} lacks its value")
        if name in _VALUES:
            yield Option(name, value.text, value)
    elif name in _FLAGS:
        yield Option(name, "", word)
    elif name.removeprefix("no-") not in {*_FLAGS, *_IGNORED_FLAGS}:
        nearest = difflib.get_close_matches(name, [*_KNOWN, *_REFUSED], 1)
        advice = f"; did you mean --{nearest[0]}?" if nearest else ""
        raise ConfigurationError(f"cURL command: {word.place}: unknown option --{name[:40]}{advice}")
