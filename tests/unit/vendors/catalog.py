"""All pretended vendors, by the name of their profile, and what their pages show."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.docs.snippets import ROOT, Snippet, snippets_in
from tests.unit.vendors.keys import fill_in_key
from tests.unit.vendors.vendor import Vendor, VendorServer

_OTHERS = {"vendor", "catalog", "conftest", "keys", "runs"}
_FILES = sorted(file.stem for file in Path(__file__).parent.glob("*.py"))
MODULES = [name for name in _FILES if name not in _OTHERS and not name.startswith("test_")]
VENDORS: dict[str, Vendor] = {
    vendor.profile: vendor
    for module in MODULES
    for vendor in importlib.import_module(f"tests.unit.vendors.{module}").VENDORS
}
#: The bucket on the pages, for which tests have a folder.
BUCKET = "s3://my-bucket/"
PAGES = ROOT / "docs" / "profiles"


def write_files(vendor: Vendor, bucket: Path) -> None:
    """Write the files that the submit of a vendor sends into a folder that stands for its bucket."""
    bucket.mkdir(exist_ok=True)
    for name, content in vendor.files.items():
        (bucket / name).write_text(content, encoding="utf-8")


def page_snippets(page: str, language: str) -> list[Snippet]:
    """Return the snippets of a page of a vendor, in one language."""
    return [each for each in snippets_in(PAGES / f"{page}.md") if each.language == language]


def make_connection(vendor: Vendor, server: VendorServer) -> dict[str, Any]:
    """Return the connection on the page of a vendor, or one like it, with the address of its server."""
    if vendor.connection is not None:
        own = vendor.connection(server)
        return {**own, "host": server.url, "extra": {**own["extra"], "profile": vendor.profile}}
    (shown,) = [each.text for each in page_snippets(vendor.page, "json") if '"conn_type"' in each.text][:1]
    for host in vendor.hosts:
        shown = shown.replace(host, server.url)
    given = json.loads(fill_in_key(shown))
    # The address may have a path.
    host = server.url + urlsplit(given["host"]).path if vendor.has_base_path else server.url
    addresses = {name: server.url + path for name, path in vendor.variables.items()}
    variables = {**given["extra"].get("variables", {}), **addresses}
    return {**given, "host": host, "extra": {**given["extra"], "variables": variables, "profile": vendor.profile}}
