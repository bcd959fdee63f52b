"""
Variables in requests: ``{identifier}``, ``{pages}``, ``{data.task.id}``.

Airflow has already rendered Jinja templates before this module is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.redaction import MASK, is_sensitive_name
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.text import shorten

Variables = Mapping[str, JsonValue]
#: The prefix of the connection's variables; no other source may set variables with this prefix.
CONNECTION = "connection."

#: A variable's name is anything between braces that isn't a brace or a line break: selectors are names too.
_VARIABLE = re.compile(r"\{([^{}\r\n]+)\}")
#: `{+name}` keeps the reserved characters of a URL, slashes among them (RFC 6570, section 3.2.3).
_RESERVED = "/:?#[]@!$&'()*+,;=~"
#: The advice for braces of JSON that look like a variable.
HOW_TO_WRITE_JSON = (
    "if these braces are JSON, pass it as a separate query parameter or header: as a text that is only JSON, or as a"
    " mapping if it is an object"
)
#: Line breaks, other control characters, and lone surrogates, which can't be encoded.
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_QUOTE_OR_VARIABLE = re.compile(r"\{(?P<name>[^{}\r\n]+)\}|[\"']")
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_REFERENCE = re.compile(r"https?:[/\\]|/", re.IGNORECASE)


def find_variables(template: str) -> list[str]:
    """Return the names of all variables in a template, in order."""
    return [match[1] for match in _VARIABLE.finditer(template)]


def walk_strings(value: JsonValue) -> Iterator[str]:
    """Yield all strings of a nested value, without the keys of mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from walk_strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from walk_strings(item)


def find_whole_variable(template: str) -> str | None:
    """Return the name of the variable if the template is a single variable and nothing else; otherwise None."""
    match = _VARIABLE.fullmatch(template)
    return match[1] if match else None


def look_up(name: str, variables: Variables, where: str) -> JsonValue:
    """
    Return the value of a variable.

    :param where: the parameter that names the variable, for the message.
    :raises UnknownVariableError: if the variable isn't set; the message lists the variables that are.
    """
    try:
        value = variables[name]
    except KeyError:
        known = ", ".join(f"{{{key}}}" for key in sorted(variables)) or "none"
        advice = "variables are set by captures of earlier tasks, whose logs report captures that found nothing"
        if name.startswith(CONNECTION):
            advice = "variables that begin with connection. are set by the connection's variables and secrets"
        elif '"' in name:
            advice = f"{advice}; {HOW_TO_WRITE_JSON}"
        raise UnknownVariableError(f"{where}: the variable {{{name}}} isn't set; known: {known}; {advice}") from None
    if value is None:
        raise UnknownVariableError(f"{where}: the variable {{{name}}} is null")
    return value


def look_up_text(name: str, variables: Variables, where: str) -> str:
    """
    Return the value of a variable as text; it has to be a string, a number or a boolean.

    :raises UnsafeValueError: if a value is an object, a list of not just one value, or has control characters.
    """
    value = single_value(look_up(name, variables, where))
    if isinstance(value, list | dict):
        kind = f"a list of {len(value)} values" if isinstance(value, list) else "an object"
        raise UnsafeValueError(f"{where}: the variable {{{name}}} holds {kind}; select a single value in it")
    text = as_text(value)
    if CONTROL.search(text):
        raise UnsafeValueError(
            f"{where}: the variable {{{name}}} holds a line break or another control character:"
            f" {_describe_value(name, variables)}"
        )
    return text


def single_value(value: JsonValue) -> JsonValue:
    """
    Return what stands for a value if one text or number is needed: the only item of a list, or the value itself.

    What a selector finds is a list if it may find several, also if it finds one.
    """
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def render_selector(template: str, substitute: Callable[[str, bool, str, str], str]) -> str:
    """
    Insert variables into a selector.

    :param substitute: returns the text for a variable, given its name, whether it is in quotes, the text before it and
        the text after it.
    """
    quote_open = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal quote_open
        if name := match["name"]:
            return substitute(name, quote_open != "", template[: match.start()], template[match.end() :])
        if not quote_open:
            quote_open = match[0]
        elif quote_open == match[0]:
            quote_open = ""
        return match[0]

    return _QUOTE_OR_VARIABLE.sub(replace, template)


def is_json_text(text: str) -> bool:
    """Return whether a text is a JSON object or array, so that its braces aren't variables."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def render_text(template: str, variables: Variables, where: str) -> str:
    """
    Insert variables into a header, a parameter or another text.

    In a text that is JSON, unknown braces stay, and values are escaped for JSON strings.

    :raises UnknownVariableError: if a variable isn't set.
    """
    if "{" in template and is_json_text(template):
        return render_body(template, variables, lambda text: json.dumps(text, ensure_ascii=False)[1:-1])
    return _VARIABLE.sub(lambda match: look_up_text(match[1], variables, where), template)


def render_body(template: str, variables: Variables, encode: Callable[[str], str] = str) -> str:
    """Insert the known variables into a body; unknown braces stay, because they may be GraphQL or JSON."""

    def replace(match: re.Match[str]) -> str:
        value = variables.get(match[1])
        return match[0] if value is None else encode(as_text(value))

    return _VARIABLE.sub(replace, template)


def render_json(value: JsonValue, variables: Variables) -> JsonValue:
    """Insert the known variables into a JSON body; a string that is one variable takes the variable's type."""
    if isinstance(value, str):
        name = find_whole_variable(value)
        if name is not None and name in variables:
            return variables[name]
        return render_body(value, variables)
    if isinstance(value, Mapping):
        return {key: render_json(item, variables) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_json(item, variables) for item in value]
    return value


def render_param(value: JsonValue, variables: Variables, where: str) -> list[str]:
    """
    Insert variables into a query parameter, and return its values: several for a list, none for None.

    :raises UnknownVariableError: if a variable isn't set.
    """
    if value is None:
        return []
    if isinstance(value, str):
        name = find_whole_variable(value)
        if name is not None and isinstance(found := look_up(name, variables, where), list):
            return [as_text(item) for item in found]
        return [render_text(value, variables, where)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in render_param(item, variables, where)]
    return [as_text(render_json(value, variables))]


def render_url(template: str, variables: Variables, base_url: str, *, reference_base: str | None = None) -> str:
    """
    Return the absolute URL of an endpoint.

    A variable's value is percent-encoded; ``{+name}`` keeps slashes and the other reserved characters. If the template
    is a single variable, its value is a URL reference from the API: it is used byte for byte, and resolved against the
    URL of the response that contained it (RFC 9110, section 10.2.2). If the template begins with a variable that holds
    an absolute URL or path, the rest is appended to it.

    :param base_url: the connection's URL, which endpoints extend; the endpoints ``/`` and ``""`` are this URL itself,
        with a slash at its end only if it has one.
    :param reference_base: the URL against which references from the API are resolved; ``base_url`` by default.
    :raises UnknownVariableError: if a variable isn't set.
    :raises UnsafeValueError: if a value would change the path's segments (``.``, ``..``), or has line breaks.
    :raises ConfigurationError: if the result isn't an http or https URL.
    """
    where = f"endpoint {template!r}"
    template = template.strip()
    given = find_whole_variable(template)
    head = _VARIABLE.match(template)
    try:
        if given is not None:
            url = _resolve_reference(_look_up_non_empty(given, variables, where), base_url, reference_base)
        elif head and _REFERENCE.match(start := _look_up_non_empty(head[1], variables, where)):
            rest = _encode_variables(template[head.end() :], variables, where)
            url = _extend_url(_resolve_reference(start, base_url, reference_base), _percent_encode(rest))
        else:
            url = _percent_encode_url(_join_url(base_url, _encode_variables(template, variables, where)))
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ConfigurationError:
        raise
    except urls.AmbiguousUrlError as error:
        raise UnsafeValueError(
            f"{where}: isn't a valid URL: it {error}{_describe_values(template, variables)}"
        ) from None
    except ValueError:
        raise UnsafeValueError(f"{where}: isn't a valid URL{_describe_values(template, variables)}") from None
    if not is_http:
        raise ConfigurationError(
            f"{where}: isn't an http or https URL; set the connection's host or begin the endpoint with https://"
        )
    return url


def _resolve_reference(reference: str, base_url: str, reference_base: str | None) -> str:
    return urls.resolve(reference_base or base_url.rstrip("/") + "/", reference)


def _percent_encode_url(url: str) -> str:
    """Return a URL with path and query percent-encoded."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, _percent_encode(parts.path), _percent_encode(parts.query), ""))


def _percent_encode(text: str) -> str:
    """Percent-encode a path or query as far as needed (RFC 3986); nothing is encoded twice."""
    return quote(_LONE_PERCENT.sub("%25", text), safe=_RESERVED + "%")


def _extend_url(url: str, rest: str) -> str:
    """Append a path and a query to the path and the query of a URL."""
    parts = urlsplit(url)
    path, _, query = rest.partition("#")[0].partition("?")
    path = (parts.path.rstrip("/") if path.startswith("/") else parts.path) + path
    return urlunsplit((parts.scheme, parts.netloc, path, "&".join(filter(None, (parts.query, query))), ""))


def _join_url(base_url: str, endpoint: str) -> str:
    if urls.ABSOLUTE.match(endpoint):
        return endpoint
    path, mark, query = endpoint.partition("?")
    if path in ("", "/"):
        return f"{base_url}{mark}{query}"
    return f"{base_url.rstrip('/')}/{endpoint.lstrip('/')}"


def _encode_variables(template: str, variables: Variables, where: str) -> str:
    def encode(match: re.Match[str]) -> str:
        text = _look_up_non_empty(match[1], variables, where)
        # A fragment is never sent to the server, so a "#" can only be part of the value.
        return quote(text, safe=_RESERVED.replace("#", "") if match[1].startswith("+") else "")

    encoded = _VARIABLE.sub(encode, template)
    # The whole path is checked, because two adjacent values can also make a "..".
    if any(segment in (".", "..") for segment in encoded.partition("?")[0].split("/")):
        raise UnsafeValueError(
            f"{where}: a '.' or '..' would lead to another path{_describe_values(template, variables)}"
        )
    return encoded


def _look_up_non_empty(name: str, variables: Variables, where: str) -> str:
    text = look_up_text(name.removeprefix("+"), variables, where)
    if text == "":
        raise UnsafeValueError(f"{where}: the variable {{{name}}} is empty, so the URL would be a different one")
    return text


def _describe_values(template: str, variables: Variables) -> str:
    held = ", ".join(f"{{{name}}} holds {_describe_value(name, variables)}" for name in find_variables(template))
    return f"; {held}" if held else ""


def _describe_value(name: str, variables: Variables) -> str:
    """Return a variable's value for a message, masked if it may be a secret."""
    plain = name.removeprefix("+")
    if plain.startswith(CONNECTION) or is_sensitive_name(plain):
        return MASK
    return repr(shorten(as_text(variables[plain]), 80))
