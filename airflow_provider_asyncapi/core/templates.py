"""
Variables in requests: ``{identifier}``, ``{pages}``, ``{data.task.id}``.

Jinja has been rendered by Airflow before any of this runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.values import JsonValue, as_text

Variables = Mapping[str, JsonValue]

#: A variable's name is anything between braces that isn't a brace or a line break: selectors are names too.
_VARIABLE = re.compile(r"\{([^{}\r\n]+)\}")
#: `{+name}` keeps the reserved characters of a URL, slashes among them (RFC 6570, section 3.2.3).
_RESERVED = "/:?#[]@!$&'()*+,;=~"
_QUOTES = re.compile(r"[\"'\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def variable_names(template: str) -> list[str]:
    """Give the names of all variables in a template, in order."""
    return [match[1] for match in _VARIABLE.finditer(template)]


def strings_in(value: JsonValue) -> Iterator[str]:
    """Walk all strings of a nested value; the keys of mappings are left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item)


def whole_variable(template: str) -> str | None:
    """Give the name of the variable that the template consists of, if it is one variable and nothing else."""
    match = _VARIABLE.fullmatch(template)
    return match[1] if match else None


def substitute(template: str, value: str) -> str:
    """Put the same text in place of every variable."""
    return _VARIABLE.sub(lambda _: value, template)


def look_up(name: str, variables: Variables, where: str) -> JsonValue:
    """
    Find a variable.

    :param where: the parameter that names it, for the message.
    :raises UnknownVariableError: listing what is known.
    """
    try:
        value = variables[name]
    except KeyError:
        known = ", ".join(f"{{{key}}}" for key in sorted(variables)) or "none"
        raise UnknownVariableError(f"{where}: nothing has set the variable {{{name}}}; known: {known}") from None
    if value is None:
        raise UnknownVariableError(f"{where}: the variable {{{name}}} is null")
    return value


def scalar(name: str, variables: Variables, where: str) -> str:
    """
    Find a variable that has to be one string, number or boolean, and write it as text.

    :raises UnsafeValueError: on an object, a list, an empty string, or one with control characters.
    """
    value = look_up(name, variables, where)
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        raise UnsafeValueError(f"{where}: the variable {{{name}}} holds {kind}; select a single value of it")
    text = as_text(value)
    if _CONTROL.search(text):
        raise UnsafeValueError(f"{where}: the variable {{{name}}} holds a line break or another control character")
    return text


def render_selector(template: str, variables: Variables) -> str:
    """
    Put variables into a selector.

    :raises UnknownVariableError: on a name that isn't known.
    :raises UnsafeValueError: on a value with quotes or backslashes, which could change what the selector means.
    """
    where = f"selector {template!r}"

    def replace(match: re.Match[str]) -> str:
        text = scalar(match[1], variables, where)
        if _QUOTES.search(text):
            raise UnsafeValueError(f"{where}: the variable {{{match[1]}}} holds quotes or backslashes: {text!r}")
        return text

    return _VARIABLE.sub(replace, template)


def render_text(template: str, variables: Variables, where: str) -> str:
    """
    Put variables into a header, a parameter or another text as they are.

    :raises UnknownVariableError: on a name that isn't known.
    """
    return _VARIABLE.sub(lambda match: scalar(match[1], variables, where), template)


def render_body(template: str, variables: Variables, encode: Callable[[str], str] = str) -> str:
    """Put the known variables into a body; unknown braces stay, for they may be GraphQL or JSON."""

    def replace(match: re.Match[str]) -> str:
        value = variables.get(match[1])
        return match[0] if value is None else encode(as_text(value))

    return _VARIABLE.sub(replace, template)


def render_json(value: JsonValue, variables: Variables) -> JsonValue:
    """Put the known variables into a JSON body: a string that is one variable keeps the variable's type."""
    if isinstance(value, str):
        name = whole_variable(value)
        if name is not None and name in variables:
            return variables[name]
        return render_body(value, variables)
    if isinstance(value, Mapping):
        return {key: render_json(item, variables) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_json(item, variables) for item in value]
    return value


def render_any(value: JsonValue, variables: Variables, where: str) -> Any:
    """Put variables into query parameters: lists stay lists, a lone variable may be one, unknown names are errors."""
    if isinstance(value, str):
        name = whole_variable(value)
        if name is not None and isinstance(found := look_up(name, variables, where), list):
            return [as_text(item) for item in found]
        return render_text(value, variables, where)
    if isinstance(value, list | tuple):
        return [render_any(item, variables, where) for item in value]
    return as_text(value)


def render_url(template: str, variables: Variables, base_url: str, *, reference_base: str | None = None) -> str:
    """
    Make an absolute URL of an endpoint.

    A variable's value is percent-encoded; ``{+name}`` keeps slashes and the other reserved characters. A template that
    is one variable and nothing else is a URL reference that the API gave: it is taken as it is, and resolved
    against the URL that gave it (RFC 9110, section 10.2.2). One that begins with a variable that holds an absolute
    URL or path continues that.

    :param base_url: the connection's URL, which endpoints extend.
    :param reference_base: the URL against which references from the API are resolved; ``base_url`` where not given.
    :raises UnknownVariableError: on a name that isn't known.
    :raises UnsafeValueError: on a value that would change the path's segments (``.``, ``..``), or has line breaks.
    :raises ConfigurationError: where no http or https URL comes out.
    """
    where = f"endpoint {template!r}"
    given = whole_variable(template)
    head = _VARIABLE.match(template)
    if given is not None:
        url = _resolve(scalar(given.removeprefix("+"), variables, where), base_url, reference_base)
    elif head and _is_reference(start := scalar(head[1].removeprefix("+"), variables, where)):
        rest = _encode_variables(template[head.end() :], variables, where)
        url = _resolve(start, base_url, reference_base).rstrip("/" if rest.startswith("/") else "") + rest
    else:
        url = _join(base_url, _encode_variables(template, variables, where))
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"{where}: gives no http or https URL; set the connection's host or begin the endpoint with https://"
        )
    return quote(url.partition("#")[0], safe=_RESERVED + "%")


def _is_reference(value: str) -> bool:
    return value.startswith(("http://", "https://", "/"))


def _resolve(reference: str, base_url: str, reference_base: str | None) -> str:
    if reference == "":
        raise UnsafeValueError("endpoint: the URL that the API gave is empty")
    return urljoin(reference_base or base_url.rstrip("/") + "/", reference)


def _join(base_url: str, endpoint: str) -> str:
    if re.match(r"https?://", endpoint, re.I):
        return endpoint
    if not endpoint or endpoint.startswith("?"):
        return base_url + endpoint
    return f"{base_url.rstrip('/')}/{endpoint.lstrip('/')}"


def _encode_variables(template: str, variables: Variables, where: str) -> str:
    path_end = template.find("?") if "?" in template else len(template)

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        keep_reserved = name.startswith("+")
        text = scalar(name.removeprefix("+"), variables, where)
        if text == "":
            raise UnsafeValueError(f"{where}: the variable {{{name}}} is empty")
        if keep_reserved:
            encoded = quote(text, safe=_RESERVED)
        else:
            encoded = quote(text, safe="")
        in_path = match.start() < path_end
        if in_path and any(segment in (".", "..") for segment in text.split("/")):
            raise UnsafeValueError(
                f"{where}: the variable {{{name}}} holds {text!r}, which would lead to another path"
            )
        return encoded

    return _VARIABLE.sub(replace, template)
