"""Runtime expressions of OpenAPI and Arazzo, as selectors."""

from __future__ import annotations

import re

from airflow_provider_asyncapi.importing.documents import split_pointer
from airflow_provider_asyncapi.importing.selectors import build_selector

_HEADER = re.compile(r"\$response\.headers?\.([!#$%&'*+.^_`|~\w-]+)")
_BODY = re.compile(r"\$response\.body(#/?[^\s{}]*|(?:[.\[][^\s{}]*)?)")


def select_expression(expression: str) -> str | None:
    """
    Return the selector of what an expression finds in a response; None if it isn't about one.

    :param expression: such as ``$response.body#/job/id`` or ``$response.header.Location``, also in braces. The form
        with dots, ``$response.body.job.id``, isn't in the specification, and is common.
    """
    text = expression.strip()
    text = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    if text == "$statusCode":
        return "status_code"
    if match := _HEADER.fullmatch(text):
        return f"header:{match[1]}"
    match = _BODY.fullmatch(text)
    if match is None:
        return None
    if match[1].startswith("#"):
        return build_selector(split_pointer(match[1]))
    return build_selector([part for part in re.split(r"[.\[\]]+", match[1]) if part])
