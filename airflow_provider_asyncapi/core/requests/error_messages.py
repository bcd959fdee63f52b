"""What an API says when something went wrong, wherever it says it."""

from __future__ import annotations

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, is_blank
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

#: Where APIs put their messages, most telling first. `title` and `detail` are RFC 9457's.
_USUAL_PLACES = (
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
_USUAL_XML_PLACES = (
    "xpath://*[local-name()='ExceptionText']",
    "xpath://*[local-name()='errorSummary']",
    "xpath://*[local-name()='faultstring']",
    "xpath://*[local-name()='message']",
    "xpath://*[local-name()='detail']",
    "xpath://*[local-name()='error']",
)


def error_message(response: Response, selection: SelectorChain | None, variables: Variables) -> str | None:
    """
    Find the message of an answer that reports a failure.

    :param selection: where the author says it is; the usual places are tried after it.
    :return: the message; of a body in another format all of it; None for an empty one. Neither redacted nor shortened.
    """
    for selector in selection.selectors if selection is not None else ():
        if found := _text_at(SelectorChain((selector,)), response, variables):
            return found
    if not response.body.strip():
        return None
    is_xml = response.body.lstrip()[:1] == b"<" and "html" not in response.content_type
    for place in _USUAL_XML_PLACES if is_xml else _USUAL_PLACES:
        text = _text_at(SelectorChain.parse(place, "error_message"), response, variables)
        if text and place == "detail" and (title := _text_at(SelectorChain.parse("title", ""), response, variables)):
            text = f"{title}: {text}"
        if text:
            return text
    return response.text


def _text_at(selection: SelectorChain, response: Response, variables: Variables) -> str | None:
    try:
        value: JsonValue = selection.find_value(response, variables)
    except AsyncApiError:
        return None
    return as_text(value) if value not in (None, [], {}, False) and not is_blank(value) else None
