"""
Find in responses what a description needs: the identifier of the job, its status, the place of its result.

Each candidate has the reasons for it, for people who decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.importing.exploring.request_places import (
    Place,
    have_same_shape,
    list_places,
    split_path,
)
from airflow_provider_asyncapi.importing.exploring.response_values import FoundValue, list_values
from airflow_provider_asyncapi.importing.exploring.status_words import guess_outcome

_JOB_ID = re.compile(
    r"(?:job|task|operation|request|execution|run|export|import|report|batch|query|statement|process|workflow|prediction"
    r"|transaction|message|ticket|tracking)_?(?:id|uuid|guid|number|handle|key)"
)
_ID = re.compile(r"_?id|uuid|guid")
_ANY_ID = re.compile(r"[a-z\d]+(?:_id|uuid|guid)|[a-z]+id")
_NAMED = re.compile(r"name|handle|reference|ref|number|key|token")
#: Objects whose identifier isn't that of the job.
_OTHERS = re.compile(r"user|account|owner|tenant|customer|project|org|author|creator|workspace|client|team|error")
_MONITOR = re.compile(r"status|self|monitor|operation|poll|location|href|url|uri|link|get")
_OTHER_LINK = re.compile(r"cancel|stop|delete|abort|response|result|output|download|file|doc|help|log|web|html|stream")
_STATUS = re.compile(r".*_?(?:status|state|phase)")
_DONE = re.compile(r"(?:is_?)?(?:done|finished|completed?|ready|succeeded|success)")
_RESULT_LINK = re.compile(
    r"result|output|download|file|report|artifact|response|location|href|url|uri|link|content|data|export"
)
_RESULT = ("result", "results", "output", "outputs", "response", "rows", "records", "items", "data", "value")
_ERROR = ("error.message", "error_message", "errorMessage", "error.detail", "error", "message", "detail", "reason")
_PROGRESS = re.compile(r"progress|percent|percentage|percent_?(?:completed?|done)|progress_?percent(?:age)?")
_LONGEST_STATUS = 60
_LONGEST_IDENTIFIER = 300
_URL = re.compile(r"https?://\S+|/[\w%.~+-]+/\S+")
#: Each level of nesting makes a candidate less likely.
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A selector, and why it may be the right one.

    :param selector: the selector.
    :param value: what it finds.
    :param reasons: the reasons.
    :param score: how likely it is, to compare candidates.
    :param replaces: the text of the next request that the value replaces; None for a URL that is the whole endpoint.
    """

    selector: str
    value: JsonValue
    reasons: tuple[str, ...]
    score: int
    replaces: str | None = None

    @property
    def is_link(self) -> bool:
        """Whether the value is a URL."""
        return is_link(self.value)


def is_link(value: JsonValue) -> bool:
    """Return whether a value is a URL, or a path that begins with a slash."""
    return isinstance(value, str) and _URL.fullmatch(value) is not None


def find_identifiers(
    response: Response, submit: Mapping[str, Any], status: Mapping[str, Any] | None
) -> list[Candidate]:
    """
    Return the candidates for the identifier of the job, the most likely one first.

    :param response: the response to the submit.
    :param submit: the parameters of the submit.
    :param status: the parameters of the status request, whose path may contain the identifier of another job; None if
        it isn't known.
    """
    places = None if status is None else list_places(status, split_path(submit["endpoint"]))
    path = [] if status is None else split_path(status["endpoint"])
    candidates = []
    for each in list_values(response):
        if not isinstance(each.value, str | int) or isinstance(each.value, bool) or each.value == "":
            continue
        if len(str(each.value)) > _LONGEST_IDENTIFIER:
            continue
        candidate = _rate_link(each, status) if is_link(each.value) else _rate_identifier(each, places, path)
        if candidate is not None:
            candidates.append(candidate)
    return _sort(candidates)


def place_identifier(chosen: Candidate, submit: Mapping[str, Any], status: Mapping[str, Any] | None) -> Candidate:
    """Return the candidate for an identifier that somebody has named, with the text that it replaces."""
    if status is None or chosen.is_link:
        return chosen
    places = list_places(status, split_path(submit["endpoint"]))
    name = _normalize(chosen.selector.rpartition(".")[2])
    match = _match_place(str(chosen.value), name, places, split_path(status["endpoint"]))
    # The last part of the path that the submit hasn't is the best guess.
    text = match[0].text if match else places[0].text if places else None
    return replace(chosen, replaces=text)


def _rate_link(found: FoundValue, status: Mapping[str, Any] | None) -> Candidate | None:
    name = _normalize(found.name)
    reasons, score = [], 0
    if found.is_header:
        score = 60
        reasons.append("a header with the URL of the job")
    elif _MONITOR.search(name) and not any(map(_OTHER_LINK.search, map(_normalize, (found.name, *found.parents)))):
        score = 45 + 10 * ("status" in name)
        reasons.append("a URL whose name is that of a status")
    if not reasons:
        return None
    if status is None:
        # An identifier needs a guess about the rest of the URL.
        score += 15
    else:
        if not _leads_to(str(found.value), status["endpoint"]):
            return None
        score += 40
        reasons.append("it has the form of the URL of the status")
    return Candidate(found.selector, found.value, tuple(reasons), score - _DEPTH * len(found.parents))


def _leads_to(link: str, endpoint: str) -> bool:
    """Return whether a URL differs from an endpoint in identifiers only."""
    one, other = split_path(link.partition("?")[0]), split_path(endpoint.partition("?")[0])
    return len(one) == len(other) and all(map(_may_replace, one, other))


def _may_replace(part: str, other: str) -> bool:
    """Return whether two parts of paths are the same, or identifiers of the same kind."""
    return part == other or have_same_shape(part, other) or Place(other).is_placeholder


def _rate_identifier(found: FoundValue, places: Sequence[Place] | None, path: Sequence[str]) -> Candidate | None:
    name, text = _normalize(found.name), str(found.value)
    if found.is_header:
        return None
    reasons, score = [], 0
    for pattern, points in ((_JOB_ID, 60), (_ID, 50), (_ANY_ID, 25), (_NAMED, 15)):
        if pattern.fullmatch(name):
            score = points
            reasons.append(f"its name is {found.name}")
            break
    if not name:
        score = 20
        reasons.append("it is the whole body")
    if any(map(_OTHERS.search, map(_normalize, (*found.parents, found.name)))) and not _JOB_ID.fullmatch(name):
        score -= 40
    replaces = None
    if places is not None:
        match = _match_place(text, name, places, path)
        if match is None:
            return None
        place, points, reason = match
        score += points
        replaces = place.text
        if reason:
            reasons.append(reason)
    if not reasons or any(map(str.isspace, text)):
        return None
    return Candidate(found.selector, found.value, tuple(reasons), score - _DEPTH * len(found.parents), replaces)


def _match_place(text: str, name: str, places: Sequence[Place], path: Sequence[str]) -> tuple[Place, int, str] | None:
    """Return the place that a value belongs in, with points and the reason."""
    parts = text.split("/")
    for start in range(len(path) - len(parts) + 1) if len(parts) > 1 else ():
        # A name such as `operations/op-7` is several parts of the path.
        window = path[start : start + len(parts)]
        if all(map(_may_replace, parts, window)):
            whole = "/".join(window)
            return Place(whole), 50, f"it looks like {whole!r} in the status request"
    for place in places:
        if place.text == text:
            return place, 60, "the status request contains this value"
    for place in places:
        if place.is_placeholder:
            named = _normalize(place.text.strip("{}"))
            points = 30 if named.endswith(name) or name.endswith(named) else 10
            return place, points, ""
    for place in places:
        if have_same_shape(text, place.text):
            return place, 40, f"it looks like {place.text!r} in the status request"
    likely = [place for place in places if place.looks_like_identifier]
    return (likely[0], 0, "") if likely else None


def find_statuses(response: Response) -> list[Candidate]:
    """Return the candidates for the status in the response to a poll, the most likely one first."""
    candidates = []
    for found in list_values(response):
        name, value = _normalize(found.name), found.value
        if found.is_header or not name:
            continue
        reasons = [f"its name is {found.name}"]
        if isinstance(value, bool):
            if not _DONE.fullmatch(name):
                continue
            score = 50
        elif not isinstance(value, str) or len(value) > _LONGEST_STATUS or not _STATUS.fullmatch(name):
            continue
        else:
            score = 100 if name in {"status", "state", "phase"} else 70
        if guess_outcome(value) is not None and not isinstance(value, bool):
            score += 20
            reasons.append(f"{value!r} is a usual status")
        if any(map(_OTHERS.search, map(_normalize, found.parents))):
            score -= 40
        score -= 2 * _DEPTH * len(found.parents) + 30 * ("[" in found.selector)
        candidates.append(Candidate(found.selector, value, tuple(reasons), score))
    return _sort(candidates)


def find_results(response: Response, identifier: JsonValue) -> list[Candidate]:
    """
    Return the candidates for the result in the last status: URLs that lead to it, and values that are the result.

    :param identifier: the identifier of the job, which isn't its result.
    """
    candidates = []
    for found in list_values(response):
        name, names = _normalize(found.name), [*map(_normalize, (*found.parents, found.name))]
        depth = _DEPTH * len(found.parents)
        if found.value in (None, "", [], {}, identifier):
            continue
        if is_link(found.value):
            if "[" in found.selector:
                # One of several; the list itself is the result.
                continue
            if re.search("self|status|cancel|monitor|logs?$", name) or not any(map(_RESULT_LINK.search, names)):
                continue
            if str(found.value).partition("?")[0] == response.url.partition("?")[0]:
                continue
            points = 60 + 20 * any(re.search("result|output|download|file", each) for each in names)
            candidates.append(Candidate(found.selector, found.value, (f"a URL named {found.name}",), points - depth))
        elif name in _RESULT and isinstance(found.value, dict | list) and "[" not in found.selector:
            is_table = isinstance(found.value, list) and isinstance(found.value[0], dict)
            points = 50 - 2 * _RESULT.index(name) + 25 * is_table
            candidates.append(Candidate(found.selector, found.value, (f"it is named {found.name}",), points - depth))
    return _sort(candidates)


def find_identifiers_of_result(
    response: Response, fetch: Mapping[str, Any], known: Sequence[str], job: JsonValue = None
) -> list[Candidate]:
    """
    Return the candidates for an identifier of the result, such as that of a file, in the last status.

    :param fetch: the parameters of the request for the result.
    :param known: texts of that request that aren't an identifier of the result.
    :param job: the identifier of the job. If it is a URL, a placeholder can't stand for it, but for its last part.
    """
    places = [place for place in list_places(fetch, known) if place.looks_like_identifier]
    candidates = []
    last_part = split_path(str(job))[-1] if is_link(job) else None
    for found in list_values(response):
        if not isinstance(found.value, str | int) or isinstance(found.value, bool):
            continue
        for place in places:
            if place.is_placeholder and str(found.value) == last_part:
                reason = "it is the last part of the URL of the job"
                candidates.append(Candidate(found.selector, found.value, (reason,), 50, place.text))
            elif place.text == str(found.value) or have_same_shape(place.text, str(found.value)):
                reason = f"it looks like {place.text!r} in the request for the result"
                score = 50 - _DEPTH * len(found.parents)
                score += 20 * bool(re.search("result|output|file|download", _normalize(found.name)))
                candidates.append(Candidate(found.selector, found.value, (reason,), score, place.text))
    return _sort(candidates)


def find_rows(response: Response) -> str | None:
    """Return the selector of the only list of objects in a JSON object; None if there is no such list."""
    lists = [
        each.selector
        for each in list_values(response)
        if not each.parents and isinstance(each.value, list) and each.value and isinstance(each.value[0], dict)
    ]
    return lists[0] if len(lists) == 1 and not lists[0].startswith(("$[", "header:")) else None


def find_error_message(responses: Iterable[Response]) -> str | None:
    """Return the selector of an error message that a failed job has."""
    for response in responses:
        texts = {each.selector for each in list_values(response) if isinstance(each.value, str)}
        if named := next((selector for selector in _ERROR if selector in texts), None):
            return named
    return None


def find_progress(responses: Iterable[Response]) -> str | None:
    """Return the selector of a number that is the progress."""
    for response in responses:
        for each in list_values(response):
            if as_number(each.value) is not None and _PROGRESS.fullmatch(_normalize(each.name)):
                return each.selector
    return None


def _normalize(name: str) -> str:
    """Return a name in snake_case."""
    return re.sub(r"(?<=[a-z\d])(?=[A-Z])|[\W]+", "_", name).lower().strip("_")


def _sort(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: -candidate.score)
