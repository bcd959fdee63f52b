"""
URLs that an API gives: a signature holds for each byte of one, so none is changed that can be sent.

The libraries' own functions write escapes anew (``%3d`` as ``%3D``), escape what stands there unescaped, and drop the
question mark of an empty query. ``urljoin`` also drops empty segments of a path.
"""

from __future__ import annotations

import re
from urllib.parse import quote

ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
#: Scheme and host, and the rest.
_PARTS = re.compile(r"((?:https?://[^/?#]*)?)(.*)", re.IGNORECASE | re.DOTALL)
#: A request's first line ends at a space, and takes nothing beyond ASCII (RFC 9112, section 3).
_UNSENDABLE = re.compile(r"[^\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Scheme, authority, path and query (RFC 3986, appendix B), each with its delimiter.
_REFERENCE = re.compile(r"([a-z][a-z0-9+.-]*:)?(//[^/?#]*)?([^?#]*)(\?[^#]*)?", re.IGNORECASE | re.DOTALL)
#: The scheme of a reference, and slashes and backslashes where a host begins, with what follows them.
_BEGIN = re.compile(r"(?P<scheme>https?:)?(?P<slashes>[/\\]*)(?P<rest>[^/?#]*)", re.IGNORECASE)


class AmbiguousUrlError(ValueError):
    """Browsers, Python and RFC 3986 find different hosts in a reference. The message continues "… for it"."""


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
    :raises AmbiguousUrlError: if it isn't clear to which host the reference leads.
    """
    given = reference.strip()
    _check_host_is_clear(given)
    scheme, authority, path, query = _split_reference(given)
    if scheme:
        return escape_unsendable(f"{scheme}{authority}{path}{query}")
    scheme, base_authority, base_path, base_query = _split_reference(base)
    if authority:
        path = _remove_dot_segments(path)
    elif not path:
        path, query = base_path, query or base_query
    else:
        path = path if path.startswith("/") else f"{base_path.rpartition('/')[0]}/{path}"
        path = _remove_dot_segments(path)
    return escape_unsendable(f"{scheme}{authority or base_authority}{path}{query}")


def _split_reference(reference: str) -> tuple[str, str, str, str]:
    """Return scheme, authority, path and query with their delimiters; empty for what isn't there."""
    parts = _REFERENCE.match(reference)
    assert parts is not None  # noqa: S101 - each part of the pattern may be empty
    scheme, authority, path, query = parts.groups("")
    return scheme, authority, path, query


def _remove_dot_segments(path: str) -> str:
    """Return a path without its ``.`` and ``..`` (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment not in (".", ".."):
            kept.append(segment)
        elif segment == ".." and kept:
            kept.pop()
    if path.endswith(("/.", "/..")):
        kept.append("")
    return f"/{'/'.join(kept)}" if path else ""


def _check_host_is_clear(reference: str) -> None:
    r"""
    Check that any reader finds the same host in a reference.

    Browsers take a backslash for a slash, any number of slashes for two, and leave out tabs and line breaks
    (https://url.spec.whatwg.org/#url-parsing). ``urljoin`` takes ``http:\\host`` and ``http:/host`` for paths.

    :raises AmbiguousUrlError: if readers differ.
    """
    if _CONTROL.search(reference):
        raise AmbiguousUrlError("holds a control character")
    begin = _BEGIN.match(reference)
    assert begin is not None  # noqa: S101 - each part of the pattern may be empty
    slashes = begin["slashes"]
    has_host = begin["scheme"] is not None or len(slashes) > 1
    if "\\" in slashes or (has_host and "\\" in begin["rest"]):
        raise AmbiguousUrlError("has a backslash where a host would begin")
    if has_host and slashes != "//":
        raise AmbiguousUrlError("has not two slashes where a host would begin")
