"""Find the message of an API in its error responses."""

from __future__ import annotations

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, is_blank
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

#: Selectors of the messages of many APIs, the most informative first. `title` and `detail` are those of RFC 9457.
_COMMON_SELECTORS = (
    "detail",
    "error.message",
    "error.detail",
    "error.code",
    "error_description",
    "errors[0].message",
    "errors[0].detail",
    "message",
    "errorMessage",
    "error_message",
    "statusMessage",
    "data.error.message",
    "data.error",
    "data.message",
    "result.error",
    "error",
    "errors",
    "reason",
    "title",
)
_COMMON_XML_SELECTORS = (
    "xpath://*[local-name()='ExceptionText']",
    "xpath://*[local-name()='errorSummary']",
    "xpath://*[local-name()='faultstring']",
    "xpath://*[local-name()='message']",
    "xpath://*[local-name()='detail']",
    "xpath://*[local-name()='error']",
)


def find_error_message(response: Response, selection: SelectorChain | None, variables: Variables) -> str | None:
    """
    Return the message of a response that reports a failure, neither redacted nor shortened.

    :param selection: the selector of the DAG author; common selectors are tried after it.
    :return: the message; the whole body if no selector finds one; None if the body is empty.
    """
    for selector in selection.selectors if selection is not None else ():
        if found := _find_text(SelectorChain((selector,)), response, variables):
            return found
    if not response.body.strip():
        return None
    is_xml = response.body.lstrip()[:1] == b"<" and "html" not in response.content_type
    for selector_text in _COMMON_XML_SELECTORS if is_xml else _COMMON_SELECTORS:
        text = _find_text(SelectorChain.parse(selector_text, "error_message"), response, variables)
        if (
            text
            and selector_text == "detail"
            and (title := _find_text(SelectorChain.parse("title", ""), response, variables))
        ):
            text = f"{title}: {text}"
        if text:
            return text
    return response.text


def _find_text(selection: SelectorChain, response: Response, variables: Variables) -> str | None:
    try:
        value: JsonValue = selection.find_value(response, variables)
    except AsyncApiError:
        return None
    return as_text(value) if value not in (None, [], {}, False) and not is_blank(value) else None
