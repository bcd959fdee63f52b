"""Redaction of messages: URLs without queries, texts without secrets."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote_plus

from airflow_provider_asyncapi.core.text import escape_xml, shorten

MASK = "***"

_SENSITIVE = (
    r"(?:passw|pwd|secret|token|x-auth|authori[sz]ation|credential|signature|cookie|jwt"
    r"|(?:api|access|account|function|functions|master|private|shared|subscription)[-_]?key)"
)
_SENSITIVE_NAME = re.compile(_SENSITIVE, re.IGNORECASE)
# All repetitions are bounded: a body may be a megabyte of Base64, and this runs in the triggerer.
#: `"access_token": "…"` in JSON (also inside a string), `token=…` in forms and queries, `Authorization: Bearer …`. A
#: text may have been cut inside such a value.
_SENSITIVE_FIELD = re.compile(
    rf"""(?P<head>{_SENSITIVE}[\w.-]{{0,40}}\\{{0,3}}["']?\s{{0,9}}[:=]\s{{0,9}})"""
    r"""(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'[^']*(?:'|\Z)|\[[^\[\]]*(?:\]|\Z)|\{[^{}]*(?:\}|\Z)"""
    r"""|(?:(?:basic|bearer|digest|token)\s+)?[^\s,;&<}\]]+)""",
    re.IGNORECASE,
)
#: `<password>…</password>` in XML.
_SENSITIVE_ELEMENT = re.compile(
    rf"(?P<head><[\w:.-]{{0,40}}{_SENSITIVE}[\w:.-]{{0,40}}(?:\s[^<>]{{0,200}})?>)[^<]+", re.IGNORECASE
)
#: A URL up to a sensitive name in it. A query may contain secrets.
_URL_BEFORE_NAME = re.compile(r"://[\w.~%@\[\]-]*(?::\d+)?(?P<path>/[\w.~%@:/+()-]*)?")
#: Neither a quote nor the colon of a value without a space.
_END_OF_PATH = re.compile(r"[\w.-]: \Z")
#: The digits of a password are followed by ``@``.
_PORT = re.compile(r"\d{1,5}(?=[/?:,]?\s|[/?]|\Z)")
_LONGEST_URL = 2000
_URL = re.compile(r"(?P<scheme>[^/?#]*//)?(?:[^/?#]*@)?(?P<rest>[^?#]*)(?P<query>\?[^#]+)?")
#: Characters of a text that are looked at to show its beginning.
_EXCERPT_SIZE = 8 * 1024
#: The last tokens that are known at a time: the one in use, and earlier ones, which a response may still repeat.
_KEPT_TOKENS = 4
#: Maximum number of masked strings of a token: the token, and the other values in the response to its request.
_MAX_STRINGS_OF_TOKEN = 32
#: Shorter secrets would mask half of every message.
_SHORTEST_SECRET = 4
#: No word has so many letters; keys of letters alone have more.
_LONGEST_WORD = 16


def is_sensitive_name(name: str) -> bool:
    """Return whether a header, field or parameter of this name usually holds a secret."""
    return bool(_SENSITIVE_NAME.search(name))


def redact_url(url: str) -> str:
    """Return a URL without user info, query and fragment, which may contain keys."""
    # A pattern instead of urlsplit, which raises on addresses that an API got wrong.
    parts = _URL.match(url)
    assert parts is not None  # noqa: S101 - every part of the pattern may be empty
    return f"{parts['scheme'] or ''}{parts['rest']}{'?…' if parts['query'] else ''}"


def contains_secret(text: str, secret: str) -> bool:
    """
    Return whether a text contains a secret.

    A secret that is a plain word, as weak passwords are, may be a part of other words by chance: ``invoice`` in
    ``/invoices``. So it only counts as a whole word. Any other secret counts anywhere.
    """
    if not (secret.isalpha() and len(secret) < _LONGEST_WORD):
        return secret in text
    return re.search(rf"(?<![^\W\d_]){re.escape(secret)}(?![^\W\d_])", text) is not None


def contains_any_secret(text: str, secrets: Iterable[str]) -> bool:
    """Return whether a URL or a body contains one of the secrets, in its form in URLs, JSON or XML too."""
    texts = {text, unquote_plus(text)}
    return any(contains_secret(each, form) for form in _find_forms(secrets) for each in texts)


def find_masked_texts(text: str, redacted: str) -> tuple[str, ...]:
    """
    Return the parts of a text that were masked.

    :param redacted: the text with ``***`` in place of each secret.
    """
    if text == redacted:
        return ()
    found = re.fullmatch("(.+?)".join(map(re.escape, redacted.split(MASK))), text, re.DOTALL)
    # If the masked parts can't be identified, the whole text counts as one secret.
    return found.groups() if found else (text,)


class Redactor:
    """
    Masks known secrets, and the values of fields with sensitive names, in texts.

    :param secrets: the values that may never be shown; their forms in URLs, JSON and XML are masked too.
    """

    __slots__ = ("_forms", "_static", "_tokens")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._static: frozenset[str] = frozenset()
        self._tokens: deque[frozenset[str]] = deque(maxlen=_KEPT_TOKENS)
        #: Of all of them, the longest first, so that none is masked in part.
        self._forms: tuple[str, ...] = ()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Add secrets that stay valid, such as a callback's URL."""
        self._static |= _find_forms(secrets)
        self._sort_forms()

    def add_token(self, *secrets: str) -> None:
        """
        Add the secrets of a token that replaces an earlier one; only the secrets of the last few tokens are kept.

        :param secrets: the token, and the other values in the response to its request.
        """
        forms = _find_forms(secrets[:_MAX_STRINGS_OF_TOKEN])
        if forms not in self._tokens:
            self._tokens.append(forms)
            self._sort_forms()

    def keep_all_tokens(self) -> None:
        """Keep the secrets of all tokens from now on, for texts that are masked when the job is over."""
        self._tokens = deque(self._tokens)

    def _sort_forms(self) -> None:
        self._forms = tuple(sorted(self._static.union(*self._tokens), key=len, reverse=True))

    def mask_known(self, text: str) -> str:
        """Return the text with each known secret replaced by ``***``, and the values of all fields as they are."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def __call__(self, text: str) -> str:
        """Return the text with each secret replaced by ``***``."""
        text = self.mask_known(text)
        text = _SENSITIVE_ELEMENT.sub(lambda match: match["head"] + MASK, text)
        return _mask_fields(text)

    def excerpt(self, text: str, limit: int = 300) -> str:
        """
        Return the beginning of a text for a message, without secrets, folded and shortened as by :func:`shorten`.

        However long the text, only its beginning is looked at.
        """
        if len(text) <= _EXCERPT_SIZE:
            return shorten(self(text), limit)
        # A secret that is cut would not be found: what comes last is looked at, and not shown.
        margin = len(self._forms[0]) if self._forms else 1
        return shorten(self(text[: _EXCERPT_SIZE + margin])[:-margin], limit, length=len(text))

    def excerpt_with_end(self, text: str, limit: int = 1000) -> str:
        """
        Return the beginning and the end of a text for a message, as :meth:`excerpt` does.

        The last lines of an error output say most. However long the text, only its two ends are looked at.
        """
        if len(text) <= 2 * _EXCERPT_SIZE:
            begins = ends = " ".join(self(text).split())
            if len(ends) <= limit:
                return shorten(ends, limit)
        else:
            margin = len(self._forms[0]) if self._forms else 1
            begins = " ".join(self(text[: _EXCERPT_SIZE + margin])[:-margin].split())
            ends = " ".join(self(text[-_EXCERPT_SIZE - margin :])[margin:].split())
        head = limit // 3
        return f"{shorten(begins[:head], head)} … {shorten(ends[head - limit :], limit)} ({len(text)} characters)"


def _mask_fields(text: str) -> str:
    """Return the text with the values of fields with sensitive names replaced by ``***``."""
    parts, shown, position = list[str](), 0, 0
    while match := _SENSITIVE_FIELD.search(text, position):
        position = match.end()
        if _is_in_url(text, match):
            # What follows isn't the value of this name, but may be a field itself.
            position = match.end("head")
        else:
            parts += text[shown : match.end("head")], MASK
            shown = position
    return "".join([*parts, text[shown:]])


def _is_in_url(text: str, match: re.Match[str]) -> bool:
    """
    Return whether the name of a field is a part of a URL, and what follows its colon is no value.

    That is the end of a path, as in ``POST https://h/oauth/token: couldn't connect``, or a host with its port.
    """
    begin = match.start()
    scheme = text.rfind("://", max(0, begin - _LONGEST_URL), begin)
    if scheme < 0 or not (before := _URL_BEFORE_NAME.fullmatch(text, scheme, begin)):
        return False
    if before["path"] is None:
        return _PORT.match(text, match.end("head")) is not None
    return _END_OF_PATH.search(match["head"]) is not None


def _find_forms(secrets: Iterable[str]) -> frozenset[str]:
    """Return the secrets and their forms in URLs, JSON and XML."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            in_url = {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
            in_xml = {escape_xml(secret), escape_xml(secret, quotes=False)}
            forms |= {secret} | in_json | in_url | in_xml
    return frozenset(forms)
