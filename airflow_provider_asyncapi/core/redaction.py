"""What may be shown: URLs without queries, texts without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

MASK = "***"

_SENSITIVE_NAME = re.compile(
    r"passw|secret|token|authori[sz]ation|api[-_]?key|apikey|credential|signature|cookie|private[-_]?key", re.I
)
#: `"access_token": "…"` in JSON, `token=…` in forms and queries, `<password>…</password>` in XML.
_SENSITIVE_FIELD = re.compile(
    rf"""(?P<head>["']?[\w.-]*(?:{_SENSITIVE_NAME.pattern})[\w.-]*["']?\s*[:=]\s*"""
    rf"""|<[\w:.-]*(?:{_SENSITIVE_NAME.pattern})[\w:.-]*>)(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&<}}\]]+)""",
    re.I,
)
#: Shorter secrets would mask half of every message.
_SHORTEST_SECRET = 4


def is_sensitive_name(name: str) -> bool:
    """Tell whether a header, field or parameter of this name usually holds a secret."""
    return bool(_SENSITIVE_NAME.search(name))


def shown_url(url: str) -> str:
    """Give a URL without user info, query and fragment: what is left identifies the request and holds no key."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}"


class Redactor:
    """
    Takes known secrets, and whatever stands under a telling name, out of a text.

    :param secrets: the values that may never be shown; their URL-encoded forms are masked too.
    """

    __slots__ = ("_forms", "_known")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn further secrets, such as a token that a login has given."""
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                self._forms |= {secret, quote(secret, safe=""), quote_plus(secret)}
        alternatives = "|".join(re.escape(form) for form in sorted(self._forms, key=len, reverse=True))
        self._known = re.compile(alternatives) if alternatives else None

    def __call__(self, text: str) -> str:
        """Give the text with every secret replaced by ``***``."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _SENSITIVE_FIELD.sub(lambda match: match["head"] + MASK, text)
