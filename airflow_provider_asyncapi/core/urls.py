"""
URLs that an API gives: a signature holds for each byte of one, so none is changed that can be sent.

The libraries' own functions write escapes anew (``%3d`` as ``%3D``), escape what stands there unescaped, and drop the
question mark of an empty query.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin

ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
#: Scheme and host, and the rest.
_PARTS = re.compile(r"((?:https?://[^/?#]*)?)(.*)", re.IGNORECASE | re.DOTALL)
#: A request's first line ends at a space, and takes nothing beyond ASCII (RFC 9112, section 3).
_UNSENDABLE = re.compile(r"[^\x21-\x7e]+")


def escape_unsendable(url: str) -> str:
    """
    Return a URL in which only what can't be sent is percent-encoded: white space, control characters, non-ASCII.

    The host stays as it is, for there an escape would make another name of it.
    """
    parts = _PARTS.match(url)
    assert parts is not None  # noqa: S101 - both parts of the pattern may be empty
    return parts[1] + _UNSENDABLE.sub(lambda match: quote(match[0], errors="replace"), parts[2])


def resolve(base: str, reference: str) -> str:
    """
    Return the URL that a reference leads to (RFC 3986, section 5.2), without its fragment.

    :param base: the absolute URL of what gave the reference.
    :param reference: a URL, which stays as it is, or a relative reference.
    :raises ValueError: if no URL comes out.
    """
    given = reference.strip()
    url = given if ABSOLUTE.match(given) else urljoin(base, given)
    return escape_unsendable(url.partition("#")[0])
