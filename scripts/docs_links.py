"""
Check the links of a built site.

Each leads to a page and an anchor that exist, and no page loads anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html

#: Attributes by which a page loads something, as opposed to links that a reader follows.
_LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "object": "data"}


def check_site(folder: Path) -> tuple[list[str], list[str]]:
    """
    Return what is wrong with the links of a site, a sentence each, and the addresses elsewhere that it links to.

    Addresses elsewhere are not requested, only checked for their form.
    """
    pages = {path: html.parse(path).getroot() for path in sorted(folder.rglob("*.html"))}
    anchors = {path: set(page.xpath("//@id | //a/@name")) for path, page in pages.items()}
    problems: list[str] = []
    external: set[str] = set()
    for path, page in pages.items():
        name = path.relative_to(folder)
        for address, is_loaded in _find_addresses(page):
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                if is_loaded:
                    problems.append(f"{name} loads {address} from elsewhere")
                elif parts.scheme not in ("https", "http", "mailto") or (not parts.hostname and not parts.path):
                    problems.append(f"{name} links to {address}, which isn't an address")
                else:
                    external.add(address)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            # The list of versions stands above the folder of a version, and is written after it.
            if target == folder.resolve().parent / "versions.js":
                continue
            if not target.is_file():
                problems.append(f"{name} links to {address}, which doesn't exist")
            elif parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
                problems.append(f"{name} links to {address}, and that page has no such anchor")
    return problems, sorted(external)


def _find_addresses(page: html.HtmlElement) -> Iterator[tuple[str, bool]]:
    """Return the addresses in a page, and whether the page loads what is there."""
    for element in page.iter("a"):
        if address := element.get("href"):
            yield address, False
    for tag, attribute in _LOADED.items():
        for element in page.iter(tag):
            # Such as rel="next", which is a link for readers.
            is_link = tag == "link" and element.get("rel") not in ("stylesheet", "icon", "shortcut icon", "preload")
            if address := element.get(attribute):
                yield address, not is_link
