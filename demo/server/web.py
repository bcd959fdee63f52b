"""Read requests strictly: what all vendors' modules need to refuse what they cannot accept."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web
from lxml import etree

JSON = "application/json"
XML = "application/xml"
FORM = "application/x-www-form-urlencoded"

JsonObject = dict[str, Any]


class System(Protocol):
    """Be one vendor's system."""

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""


class RefusedError(Exception):
    """
    Answer with an error from anywhere inside a handler.

    :param body: An object is sent as JSON, text and bytes as they are.
    """

    def __init__(
        self,
        status: int,
        body: JsonObject | str | bytes,
        *,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers

    def response(self) -> web.Response:
        """Make the answer."""
        text = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        return web.Response(
            status=self.status,
            body=text.encode() if isinstance(text, str) else text,
            content_type=self.content_type,
            headers=self.headers,
        )


Refuse = Callable[[int, str], RefusedError]
"""Wrap a status and a message in a vendor's error shape."""


def media_type(request: web.Request) -> str:
    """Name the body's media type; empty if it has no ``Content-Type``."""
    return request.content_type if "Content-Type" in request.headers else ""


async def read_json(request: web.Request, refuse: Refuse, *, optional: bool = False) -> JsonObject:
    """
    Read a JSON object.

    :param optional: An empty body is an empty object.
    """
    raw = await request.read()
    if optional and not raw:
        return {}
    if media_type(request) != JSON:
        raise refuse(415, f"The body must be {JSON}, not {media_type(request) or 'without a Content-Type'}.")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise refuse(400, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise refuse(400, "The body must be a JSON object.")
    return body


async def read_json_or_xml(request: web.Request, refuse: Refuse) -> JsonObject:
    """Read a JSON object, or an XML element whose children become the members of one."""
    if media_type(request) not in (XML, "text/xml"):
        return await read_json(request, refuse)
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(await request.read(), parser)
    except etree.XMLSyntaxError as error:
        raise refuse(400, f"The body is not XML: {error}") from error
    return {etree.QName(child).localname: child.text or "" for child in root if isinstance(child.tag, str)}


async def read_form(request: web.Request, refuse: Refuse) -> dict[str, str]:
    """Read a URL-encoded form; names are compared in upper case."""
    if not await request.read():
        return {}
    if media_type(request) != FORM:
        raise refuse(415, f"The body must be {FORM}, not {media_type(request) or 'without a Content-Type'}.")
    form = await request.post()
    return {name.upper(): value for name, value in form.items() if isinstance(value, str)}


def read_number(request: web.Request, name: str, default: int, refuse: Refuse, *, least: int = 0) -> int:
    """Read a whole number from the query."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or int(text) < least:
        raise refuse(400, f"The parameter {name} must be a whole number from {least}, not {text!r}.")
    return int(text)


def accepted(request: web.Request, *offered: str) -> str | None:
    """
    Choose the first offered media type that ``Accept`` names.

    A wildcard names none: a client that does not say what it wants is refused by the strict vendors.
    """
    for part in request.headers.get("Accept", "").split(","):
        name = part.partition(";")[0].strip().lower()
        if name in offered:
            return name
    return None


def accepts_only(request: web.Request, offered: str) -> bool:
    """Return whether ``Accept`` names a media type and nothing else."""
    names = {part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")}
    return names == {offered}


def bearer(request: web.Request) -> str | None:
    """Read the token of ``Authorization: Bearer``."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


def basic(request: web.Request) -> str | None:
    """Read ``user:password`` of ``Authorization: Basic``."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def absolute(request: web.Request, path: str) -> str:
    """Make a URL on this server out of a path."""
    return f"{request.scheme}://{request.host}{path}"


def elsewhere(request: web.Request, path: str) -> str:
    """Make a URL that leads here by another name: to a client another origin, like a vendor's object storage."""
    return f"{request.scheme}://localhost:{request.url.port}{path}"


def to_xml(name: str, value: JsonObject) -> bytes:
    """Write an object as XML: a member is an element, a list repeats its element."""
    root = etree.Element(name)
    _fill(root, value)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _fill(parent: etree._Element, value: JsonObject) -> None:
    for name, member in value.items():
        for item in member if isinstance(member, list) else [member]:
            child = etree.SubElement(parent, name)
            if isinstance(item, dict):
                _fill(child, item)
            elif item is not None:
                child.text = str(item)
