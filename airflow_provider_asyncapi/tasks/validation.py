"""What is wrong in a DAG, found when it is parsed: all that can be told before its templates are rendered."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import UnknownVariableError
from airflow_provider_asyncapi.core.json_values import as_list, frozen, thawed
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS
from airflow_provider_asyncapi.core.requests.request_template import strict_parts

#: Requests within a request; what they hold beside templates can be checked when the DAG is parsed.
SUBREQUESTS = frozenset(
    {"start", "lookup", "cancel", "locate", "cleanup", "batch", "status_details", "failure_details"}
)
#: The part of a description that isn't one of these.
OWN = "request"
#: Gives the variables that a part of a description may name; None where nobody can know.
FindKnown = Callable[[str], set[str] | None]
#: Part of a description → the selectors of it that name variables, and these.
Named = Mapping[str, frozenset[tuple[str, str]]]

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
#: Parameters of which it matters that they are given, and which variables they name.
_OUTLINED = frozenset({"endpoint", "query_params", "headers", *BODY_PARAMETERS})
#: Those of them that are one text.
_TEXTS = ("endpoint", "xml")
#: What a template makes may name where the pages are.
_POSSIBLE = ("page", "cursor")
#: Parameters of a task beside its request that name variables.
_COUNTS = ("pages", "last_page")
#: What is named where it can't be known, and who has it.
_OWNERS = {
    IDEMPOTENCY_KEY: "only the requests of the trigger operator have it",
    CALLBACK_URL: "only the requests of a trigger operator with callback=True have it",
    "page": "only requests for numbered pages have it (output_type='pages')",
    "offset": "only requests for numbered pages have it (output_type='pages')",
    "cursor": "only requests for pages have it, where cursor says where the next one is",
    "limit": "only requests for pages have it, where page_size is given",
}


def check(
    plan_type: Any, described: Mapping[str, Any], is_templated: Callable[[str], bool], *, complete: bool
) -> Named:
    """
    Check a description as far as its templates allow.

    The tasks that a loop makes are described alike, so that one check does for all of them.

    :param plan_type: what reads it.
    :param is_templated: tells whether a parameter is rendered before it is read.
    :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.
    :return: the variables that its selectors name.
    :raises ConfigurationError: naming the parameter.
    """
    visible: dict[str, Any] = {}
    for name, value in described.items():
        if name in SUBREQUESTS:
            if not (_has_xcoms(value) or (isinstance(value, str) and _JINJA.search(value))):
                visible[name] = value
        elif not is_templated(name):
            visible[name] = value
        elif name in _OUTLINED:
            visible[name] = _outline(name, value)
    plain = frozen(visible)
    if plain is None:
        return _checked(plan_type, visible, complete=complete)
    return _checked_frozen(plan_type, plain, complete)


def check_variables(described: Mapping[str, Any], in_selectors: Named, find_known: FindKnown) -> None:
    """
    Check that something sets each variable that has to be known.

    :param in_selectors: what :func:`check` gives.
    :raises UnknownVariableError: naming the parameter, and what is known.
    """
    known = cache(find_known)
    for part, where, text in _strict_texts(described):
        if "{" in text:
            for variable in templates.variable_names(_JINJA.sub("", text)):
                _check_known(variable.removeprefix("+"), f"{where}: {text!r}", known(part))
    for part, named in in_selectors.items():
        where = f"{part}: selector" if part in SUBREQUESTS else "selector"
        for text, variable in sorted(named):
            _check_known(variable, f"{where} {text!r}", known(part))


def _check_known(variable: str, where: str, known: set[str] | None) -> None:
    if known is None or variable in known or variable.startswith("connection."):
        return
    shown = ", ".join(f"{{{name}}}" for name in sorted(known)) or "none"
    why = _OWNERS.get(
        variable, "what the connection's profile captures is known only where the operator names the profile"
    )
    if '"' in variable:
        why = f"{why}; {templates.HOW_TO_WRITE_JSON}"
    raise UnknownVariableError(
        f"{where}: nothing sets the variable {{{variable}}}; known: {shown}, and {{connection.<name>}}; {why}"
    )


def _strict_texts(described: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Walk the texts whose variables have to be known: the part of the description, the parameter, the text."""
    for name in _COUNTS:
        if isinstance(described.get(name), str):
            yield OWN, name, described[name]
    requests = [(OWN, "", described)]
    for part in sorted(SUBREQUESTS & described.keys()):
        requests += [(part, f"{part}.", each) for each in as_list(described[part]) if isinstance(each, Mapping)]
    for part, prefix, request in requests:
        for name, value in strict_parts(request):
            for text in templates.strings_in(value):
                # What a template gives may be a number, or stand in a string.
                if name == "endpoint" or not templates.is_json_text(_JINJA.sub("0", text)):
                    yield part, f"{prefix}{name}", text


@lru_cache(maxsize=1024)
def _checked_frozen(plan_type: Any, plain: bytes, complete: bool) -> Named:
    return _checked(plan_type, thawed(plain), complete=complete)


def _checked(plan_type: Any, visible: Mapping[str, Any], *, complete: bool) -> Named:
    from airflow_provider_asyncapi.core.selectors.selection import selectors_in

    plan = plan_type.parse(visible, complete=complete)
    parts = {each.name: selectors_in(getattr(plan, each.name)) for each in dataclasses.fields(plan)}
    named = {
        part: frozenset(
            (selector.text, name)
            for selector in selectors
            if not _JINJA.search(selector.text)
            for name in selector.names()
        )
        for part, selectors in parts.items()
    }
    return {part: pairs for part, pairs in named.items() if pairs}


def _outline(name: str, value: Any) -> Any:
    """
    Give what matters of a part of a request before it is rendered: that it is there, and which variables it names.

    Requests that differ in the rest only are alike, and are checked once.
    """
    texts = list(templates.strings_in(value))
    variables = {name for text in texts if "{" in text for name in templates.variable_names(_JINJA.sub("", text))}
    if _has_xcoms(value) or any("{{" in text or "{%" in text for text in texts):
        variables.update(_POSSIBLE)
    outline = "".join(f"{{{variable}}}" for variable in sorted(variables))
    return outline if name in _TEXTS else {"": outline}


def _has_xcoms(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_xcoms, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_xcoms, value))
    return isinstance(value, XComArg)
