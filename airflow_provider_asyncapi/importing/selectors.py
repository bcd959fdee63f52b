"""Write paths of other tools as selectors."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: Selectors that aren't paths.
_OTHER_SELECTORS = ("response_text", "response_url", "status_code")


def build_selector(keys: Sequence[str | int]) -> str:
    """
    Return the selector of a value in a JSON body, or of a header.

    :param keys: the names and indexes that lead to it; ``*`` for all items; ``headers`` and a name for a header.
    """
    match keys:
        case ["headers", name]:
            return f"header:{name}"
    # Items of a list are read one by one; the values of the body itself may be those of an object.
    written = "".join("[*]" if key == "*" and index else _write_key(key) for index, key in enumerate(keys))
    if not written:
        return "$"
    is_plain = written.startswith(".") and not written.startswith(".*")
    plain = written.removeprefix(".")
    return f"${written}" if not is_plain or plain in _OTHER_SELECTORS else plain


def _write_key(key: str | int) -> str:
    if isinstance(key, int) or str(key).isdecimal():
        return f"[{key}]"
    if key == "*":
        return ".*"
    name = str(key)
    return f".{name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)}"
