"""Error handlers of a manifest: rules about responses, and the time to wait after an error."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.expressions import Comparison, read_template
from airflow_provider_asyncapi.importing.airbyte.rendering import Renderer
from airflow_provider_asyncapi.importing.selectors import build_selector

#: The outcomes of actions; an action without a counterpart in a profile becomes a gap.
_OUTCOMES = {"FAIL": "failure", "RETRY": "retry", "SUCCESS": "success", "RATE_LIMITED": "retry"}
#: Status codes that Airbyte retries by itself, as this package does.
_ALWAYS_REPEATED = frozenset((408, 425, 429, 500, 502, 503, 504))
#: The rule operators for comparisons of Jinja.
_OPERATORS = {"eq": "in", "ne": "not_in", "in": "in", "notin": "not_in", "gt": "gt", "lt": "lt"}


def read_error_handler(requester: Component, renderer: Renderer, table: str) -> None:
    """
    Set the rules of a request, and the delays after errors; what has no counterpart becomes a gap.

    :param table: the table of the profile that describes the request.
    """
    content = renderer.draft.tables[table]
    for handler in _list_handlers(requester.child("error_handler")):
        if handler.type not in ("", "DefaultErrorHandler"):
            kind = handler.get("class_name") or handler.type
            renderer.draft.add_gap(handler.place, f"{kind}: errors are handled as by default")
            continue
        for each in handler.children("response_filters"):
            rule = _read_filter(each, renderer)
            if rule is not None and rule not in content.get("rules", []):
                content.setdefault("rules", []).append(rule)
        for strategy in handler.children("backoff_strategies"):
            _read_backoff(strategy, renderer, content)
        if isinstance(retries := handler.get("max_retries"), int):
            content.setdefault("max_consecutive_errors", retries + 1)


def _list_handlers(handler: Component | None) -> Iterator[Component]:
    if handler is None:
        return
    if handler.type == "CompositeErrorHandler":
        for each in handler.children("error_handlers"):
            yield from _list_handlers(each)
        return
    yield handler


def _read_filter(filter_: Component, renderer: Renderer) -> dict[str, Any] | None:
    """Return the rule of a response filter; None if it changes nothing, or has no counterpart."""
    action = str(filter_.get("action", "FAIL")).upper()
    codes = [int(code) for code in filter_.items("http_codes") if str(code).isdecimal()]
    if action in ("RETRY", "RATE_LIMITED") and codes and _ALWAYS_REPEATED.issuperset(codes):
        return None
    outcome = _OUTCOMES.get(action)
    if outcome is None:
        renderer.draft.add_gap(filter_.place, f"the action {action} for {_describe(filter_, codes)}")
        return None
    conditions: list[dict[str, Any]] = []
    if codes:
        conditions.append({"selector": "status_code", "in": codes[0] if len(codes) == 1 else codes})
    if text := filter_.get("error_message_contains"):
        conditions.append({"selector": "response_text", "matches": _escape(str(text))})
    if filter_.get("predicate") is not None:
        condition = _read_predicate(filter_)
        if condition is None:
            renderer.draft.add_gap(filter_.place_of("predicate"), f"the condition {filter_.get('predicate')}")
            return None
        conditions.append(condition)
    if not conditions or (action == "FAIL" and codes and min(codes) >= HTTPStatus.BAD_REQUEST):
        # Such a response is a failure anyway.
        return None
    return {**(conditions[0] if len(conditions) == 1 else {"all": conditions}), "outcome": outcome}


def _read_predicate(filter_: Component) -> dict[str, Any] | None:
    """Return the condition of a predicate; None if it is more than one comparison."""
    condition = read_template(filter_.get("predicate"), filter_.parameters)
    if not isinstance(condition, Comparison) or condition.path.source not in ("response", "headers"):
        return None
    is_header = condition.path.source == "headers"
    keys = condition.path.keys
    selector = f"header:{keys[0]}" if is_header and keys else build_selector(keys)
    if condition.operator == "exists":
        return {"selector": selector, "exists": not condition.is_negated}
    if condition.is_negated or condition.operator not in (*_OPERATORS, "contains"):
        return None
    if condition.operator == "contains":
        return {"selector": selector if keys else "response_text", "matches": _escape(str(condition.value))}
    return {"selector": selector, _OPERATORS[condition.operator]: condition.value}


def _escape(text: str) -> str:
    return "".join(f"\\{each}" if each in r"\.^$*+?{}[]|()" else each for each in text)


def _read_backoff(strategy: Component, renderer: Renderer, content: dict[str, Any]) -> None:
    match strategy.type:
        case "WaitTimeFromHeader" | "WaitUntilTimeFromHeader":
            header = str(renderer.render(strategy.get("header"), strategy.parameters, ("retry_after",), (str,)))
            regex = strategy.get("regex")
            selector = f"header:{header}" + (f" regex:{regex}" if regex else "")
            if header.lower() != "retry-after":
                content.setdefault("retry_after", selector)
        case "ConstantBackoff":
            seconds = renderer.render(strategy.get("backoff_time_in_seconds"), strategy.parameters, ("retry_delays",))
            if isinstance(seconds, (int, float)):
                content.setdefault("retry_delays", {"429": seconds, "503": seconds})
        case "ExponentialBackoff" | "ExponentialBackoffStrategy":
            pass
        case _:
            kind = strategy.get("class_name") or strategy.type
            renderer.draft.add_gap(strategy.place, f"{kind}: after errors the request is repeated as by default")


def _describe(filter_: Component, codes: list[int]) -> str:
    parts = [f"status codes {', '.join(map(str, codes))}"] if codes else []
    parts += [str(filter_.get(key)) for key in ("error_message_contains", "predicate") if filter_.get(key)]
    return " and ".join(parts) or "all responses"
