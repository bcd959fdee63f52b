"""Check a task's parameters when its DAG is parsed, as far as possible before templates are rendered."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.core.http.file_bodies import BODY_VARIABLES
from airflow_provider_asyncapi.core.json_values import as_list, freeze, thaw
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS, FILE_PARAMETER, RESUME
from airflow_provider_asyncapi.core.requests.request_template import SUBREQUESTS, iterate_strict_parts
from airflow_provider_asyncapi.core.selectors.captures import walk_variable_users
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.jinja import has_template
from airflow_provider_asyncapi.tasks.stages import FILE_PATHS

#: Name of the part of a description that isn't one of the subrequests.
OWN_REQUEST = "request"
#: Returns the variables that a part of a description may name; None if they can't be known.
FindVariables = Callable[[str], set[str] | None]
#: The pairs of a selector and its variable, by the part of a description.
SelectorVariables = Mapping[str, frozenset[tuple[str, str]]]

#: A text that is nothing but a variable.
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
#: Parameters for which only their presence and the variables that they name matter.
_OUTLINED_PARAMETERS = frozenset({"endpoint", "query_params", "headers", *BODY_PARAMETERS, FILE_PARAMETER})
#: The outline of a path.
_SOME_PATH = "file"
#: The outlined parameters that are a single string.
_TEXTS = ("endpoint", "xml")
#: The advice about captures for the message about an unknown variable.
_CAPTURES_ADVICE = (
    "what a sensor captures is in its own job handle (job=wait.handle), and what the connection's profile captures is"
    " known only if the operator names the profile"
)
_PATHS_ADVICE = (
    "a path can only name the task's own variables and the connection's, since an API must not choose the file that is"
    " sent"
)
#: Variables that only some requests have, and the reason for the message.
_VARIABLES_OF_SOME_REQUESTS = {
    IDEMPOTENCY_KEY: "only the requests of the submit operator have it",
    CALLBACK_URL: "only the requests of a submit operator with callback=True have it",
}


def check_plan(
    plan_type: Any,
    described: Mapping[str, Any],
    is_templated: Callable[[str], bool],
    *,
    complete: bool,
    assumed: Iterable[str] = (),
) -> SelectorVariables:
    """
    Check a description as far as its templates allow.

    Tasks that a loop creates have equal descriptions, which are checked once.

    :param plan_type: the plan that the description is read into.
    :param is_templated: returns whether a parameter is rendered before it is read.
    :param complete: whether a missing parameter is an error, because no profile can add it later.
    :param assumed: variables that the rendered value of a template is assumed to name.
    :return: the variables that the selectors name.
    :raises ConfigurationError: if a parameter is wrong; the message names it.
    """
    visible: dict[str, Any] = {}
    for name, value in described.items():
        if name in SUBREQUESTS:
            if not (_has_xcoms(value) or (isinstance(value, str) and _JINJA.search(value))):
                visible[name] = value
        elif not is_templated(name):
            visible[name] = value
        elif name in _OUTLINED_PARAMETERS:
            visible[name] = _outline(name, value, assumed)
    plain = freeze(visible)
    if plain is None:
        return _check_visible(plan_type, visible, complete=complete)
    return _check_frozen(plan_type, plain, complete)


def check_variables(
    described: Mapping[str, Any],
    in_selectors: SelectorVariables,
    find_known: FindVariables,
    text_parameters: Iterable[str] = (),
) -> None:
    """
    Check that each variable in a description is set by the job or by the task.

    :param in_selectors: the return value of :func:`check_plan`.
    :param text_parameters: parameters, outside of the requests, that name variables.
    :raises UnknownVariableError: if one isn't; the message names the parameter and the known variables.
    """
    known = cache(find_known)
    for part, where, text, own in _iterate_strict_texts(described, text_parameters):
        if "{" in text:
            for variable in templates.find_variables(_JINJA.sub("", text)):
                if variable not in own:
                    advice = _PATHS_ADVICE if part == FILE_PATHS else None
                    _check_known(variable.removeprefix("+"), f"{where}: {text!r}", known(part), advice)
    for part, named in in_selectors.items():
        where = f"{part}: selector" if part in SUBREQUESTS else "selector"
        for text, variable in sorted(named):
            _check_known(variable, f"{where} {text!r}", known(part))


def check_profile_body(described: Mapping[str, Any], explicit: Collection[str], find_known: FindVariables) -> None:
    """
    Check that each value of a body that is nothing but a variable is set.

    Other braces in a body may be meant as they are. A DAG author may mean this one, too, but not a profile.

    :param described: all parameters of a stage.
    :param explicit: the names of parameters that the DAG sets; the profile sets the others.
    :raises UnknownVariableError: if one isn't set; the message names the parameter and the known variables.
    """
    for name in BODY_PARAMETERS:
        for text in templates.walk_strings(None if name in explicit else described.get(name)):
            if (found := _PLACEHOLDER.fullmatch(text)) is not None:
                _check_known(found[1], f"{name}: {text!r}", find_known(OWN_REQUEST))


def check_destination(described: Mapping[str, Any], destination: Any, unpack: bool | None) -> None:
    """
    Check that the output type of a fetch can be written to its destination, unless a template may decide that.

    :param described: the parameters of the fetch.
    :param destination: the destination before it is rendered. The end of the text tells a folder from a file.
    :param unpack: whether archives are unpacked; None for what the profile sets.
    :raises ConfigurationError: if it can't.
    """
    if destination is None or (isinstance(destination, str) and not destination.endswith("}")):
        unpacks = described.get("unpack", True) if unpack is None else unpack
        lazy.choose_output(described).check_destination(destination, unpack=unpacks)


def check_warning_callback(given: Any, described: Mapping[str, Any], *, has_profile: bool) -> None:
    """
    Check the parameter ``on_warning_callback``.

    :param described: the parameters of the wait.
    :param has_profile: whether the task names a profile; if not, that of the connection may set ``warn_after``.
    :raises ConfigurationError: if it can't be called, or there is no ``warn_after``.
    """
    for callback in as_list(given):
        if not callable(callback):
            raise ConfigurationError(
                f"on_warning_callback: has to be a callable, or a list of them, not {type(callback).__name__}"
            )
    if described.get("warn_after") is None and (has_profile or described.get("endpoint") is not None):
        raise ConfigurationError("on_warning_callback: is never called without warn_after")


def _check_known(variable: str, where: str, known: set[str] | None, advice: str | None = None) -> None:
    if known is None or variable in known or variable.startswith("connection."):
        return
    shown = ", ".join(f"{{{name}}}" for name in sorted(known)) or "none"
    reason = _VARIABLES_OF_SOME_REQUESTS.get(variable) or lazy.explain_page_variable(variable)
    why = advice or reason or _CAPTURES_ADVICE
    if '"' in variable:
        why = f"{why}; {templates.HOW_TO_WRITE_JSON}"
    raise UnknownVariableError(
        f"{where}: nothing sets the variable {{{variable}}}; known: {shown}, and {{connection.<name>}}; {why}"
    )


def _iterate_strict_texts(
    described: Mapping[str, Any], text_parameters: Iterable[str]
) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Yield each text whose variables have to be known: part of the description, parameter, text, own variables."""
    for name in text_parameters:
        if isinstance(described.get(name), str):
            yield OWN_REQUEST, name, described[name], frozenset()
    requests = [(OWN_REQUEST, "", described)]
    for part in sorted(described.keys() & SUBREQUESTS):
        requests += [(part, f"{part}.", each) for each in as_list(described[part]) if isinstance(each, Mapping)]
    for part, prefix, request in requests:
        for where, path in _iterate_paths(request):
            yield FILE_PATHS, f"{prefix}{where}", path, frozenset()
        has_body = any(request.get(name) is not None for name in (*BODY_PARAMETERS, FILE_PARAMETER))
        yield from _iterate_request_texts(part, prefix, request, has_body=has_body)
        if part == "repair" and isinstance(lookup := request.get("lookup"), Mapping):
            yield from _iterate_request_texts(part, f"{prefix}lookup.", lookup, has_body=False)
        file = request.get(FILE_PARAMETER)
        if isinstance(file, Mapping) and isinstance(resume := file.get(RESUME), Mapping):
            yield from _iterate_request_texts(part, f"{prefix}{FILE_PARAMETER}.{RESUME}.", resume, has_body=False)


def _iterate_request_texts(
    part: str, prefix: str, request: Mapping[str, Any], *, has_body: bool
) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    for name, value in iterate_strict_parts(request):
        own = BODY_VARIABLES if has_body and name != "endpoint" else frozenset()
        for text in templates.walk_strings(value):
            # The value of a template may be a number, or part of a string.
            if name == "endpoint" or not templates.is_json_text(_JINJA.sub("0", text)):
                yield part, f"{prefix}{name}", text, own


def _iterate_paths(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the paths of the files that a request sends, each with its parameter."""
    files = request.get("files")
    parts = files.items() if isinstance(files, Mapping) else ()
    named = {FILE_PARAMETER: request.get(FILE_PARAMETER), **{f"files[{name!r}]": part for name, part in parts}}
    for where, file in named.items():
        if isinstance(file, Mapping) and isinstance(path := file.get("path"), str):
            yield f"{where}.path", path


@lru_cache(maxsize=1024)
def _check_frozen(plan_type: Any, plain: bytes, complete: bool) -> SelectorVariables:
    return _check_visible(plan_type, thaw(plain), complete=complete)


def _check_visible(plan_type: Any, visible: Mapping[str, Any], *, complete: bool) -> SelectorVariables:
    plan = plan_type.parse(visible, complete=complete)
    parts = {each.name: walk_variable_users(getattr(plan, each.name)) for each in dataclasses.fields(plan)}
    named = {
        part: frozenset(
            (user.text, name) for user in users if not _JINJA.search(user.text) for name in user.variable_names()
        )
        for part, users in parts.items()
    }
    return {part: pairs for part, pairs in named.items() if pairs}


def _outline(name: str, value: Any, assumed: Iterable[str]) -> Any:
    """
    Return an outline of a part of a request before it is rendered: its presence, and the variables that it names.

    Requests with equal outlines are checked once.
    """
    texts = list(templates.walk_strings(value))
    variables = {name for text in texts if "{" in text for name in templates.find_variables(_JINJA.sub("", text))}
    if _has_xcoms(value) or any(map(has_template, texts)):
        variables.update(assumed)
    outline = "".join(f"{{{variable}}}" for variable in sorted(variables))
    if name in _TEXTS:
        return outline
    if name == FILE_PARAMETER:
        return _outline_file(value)
    files = value.items() if name == "files" and isinstance(value, Mapping) else ()
    parts = {part: _outline_file(file) for part, file in files if isinstance(file, Mapping) and "path" in file}
    return {"": outline, **parts}


def _outline_file(value: Any) -> Any:
    """Return an outline of a file that a request sends; what is wrong with it stays wrong."""
    if isinstance(value, XComArg) or (isinstance(value, str) and has_template(value)):
        return {"path": _SOME_PATH}
    if not isinstance(value, Mapping) or "path" not in value:
        return value
    path = value["path"]
    is_path = isinstance(path, str | XComArg) or hasattr(path, "__fspath__") or hasattr(path, "as_uri")
    kept = {
        key: each
        for key, each in value.items()
        if not (isinstance(each, XComArg) or (isinstance(each, str) and has_template(each)))
    }
    return {**kept, "path": _SOME_PATH if is_path else path}


def _has_xcoms(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_xcoms, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_xcoms, value))
    return isinstance(value, XComArg)
