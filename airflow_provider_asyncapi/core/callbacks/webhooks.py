"""
Webhooks: calls of an API that start DAGs, by asset events.

They are described by the field ``callback`` of a connection, beside the signature that they have to have::

    {
        "signature": {"header": "X-Signature"},
        "events": {"asset": "orders", "id": "event_id", "capture": {"order": "data.order.id"}},
        "challenge": {"query": "validationToken"},
    }
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_text
from airflow_provider_asyncapi.core.selectors.captures import capture_values, parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.rules import Condition

#: Longest challenge that is answered, in characters.
MAX_CHALLENGE = 1024
_EVENT_KEYS = ("asset", "id", "when", "capture")
_CHALLENGE_KEYS = ("query", "body", "as")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """
    The asset event of a call.

    :param asset: the name of the asset.
    :param event_id: the selector of the event's identifier; None if the signature or the whole body identifies it.
    :param when: the condition that the call has to meet.
    :param captures: the selectors of the event's values.
    """

    asset: str
    event_id: SelectorChain | None = None
    when: Condition | None = None
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any, where: str) -> WebhookEvent:
        """
        Parse an event.

        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        _check_keys(given, _EVENT_KEYS, where)
        asset = given.get("asset")
        if not isinstance(asset, str) or not asset:
            raise ConfigurationError(f"{where}.asset: has to be the name of an asset, not {asset!r}")
        return cls(
            asset,
            SelectorChain.parse_optional(given.get("id"), f"{where}.id"),
            Condition.parse(given["when"], f"{where}.when") if given.get("when") is not None else None,
            parse_captures(given.get("capture"), f"{where}.capture"),
        )

    def make_item(self, conn_id: str, call: Response, identity: str) -> dict[str, JsonValue] | None:
        """
        Return the item of the asset event; None if the call doesn't meet the condition.

        :param identity: a text that is equal for a call and its repetitions, if it contains no identifier.
        :raises InvalidCallbackError: if the call lacks the identifier, or can't be read.
        """
        try:
            if self.when is not None and not self.when.holds(call, {}):
                return None
            named = None if self.event_id is None else self.event_id.find_value(call, {})
            found = capture_values(self.captures, call, {})
            captured = {name: value for name, value in found.items() if name in self.captures}
            values = dict(JobHandle(None).with_variables(captured).variables)
        except AsyncApiError as error:
            # The original message may quote the body, which mustn't be logged.
            raise InvalidCallbackError(f"the event for asset {self.asset!r}: {type(error).__name__}") from None
        if self.event_id is not None and named is None:
            raise InvalidCallbackError(f"it has no identifier of an event at {self.event_id}")
        text = identity if named is None else as_text(named)
        return {"id": hashlib.sha256(f"{conn_id}\n{text}".encode()).hexdigest()[:32], "values": values}


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    The answer to a call that only checks the URL: a value that the call contains.

    :param query: the parameter of the query with the value; the call isn't signed.
    :param body: the selector of the value in the body; the call is signed as all others.
    :param is_json: whether the value is answered in a JSON object, by the name of the parameter or the selector.
    """

    query: str | None = None
    body: SelectorChain | None = None
    is_json: bool = False

    @classmethod
    def parse(cls, given: Any, where: str) -> Challenge:
        """
        Parse a challenge.

        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        _check_keys(given, _CHALLENGE_KEYS, where)
        query, form = given.get("query"), given.get("as", "text")
        if (query is None) == (given.get("body") is None):
            raise ConfigurationError(f"{where}: has to have query, the name of a parameter, or body, a selector")
        if query is not None and (not isinstance(query, str) or not query):
            raise ConfigurationError(f"{where}.query: has to be the name of a parameter, not {query!r}")
        if form not in ("text", "json"):
            raise ConfigurationError(f"{where}.as: {form!r} isn't one of text, json")
        return cls(query, SelectorChain.parse_optional(given.get("body"), f"{where}.body"), form == "json")

    def find_in_query(self, parameters: Mapping[str, str]) -> str | None:
        """
        Return the value to answer with; None if the call isn't a challenge.

        :raises InvalidCallbackError: if the value is too long.
        """
        return None if self.query is None else _check_length(parameters.get(self.query))

    def find_in_body(self, call: Response) -> str | None:
        """
        Return the value to answer with; None if the call isn't a challenge.

        :raises InvalidCallbackError: if the value is too long.
        """
        if self.body is None:
            return None
        try:
            value = self.body.find_value(call, {})
        except AsyncApiError:
            return None
        return None if value is None else _check_length(as_text(value))

    @property
    def name(self) -> str:
        """The name of the value in a JSON object."""
        return str(self.query or self.body).strip("'").rpartition(".")[2]


def parse_webhook_events(given: Any, where: str) -> tuple[WebhookEvent, ...]:
    """
    Parse the events of a connection: a mapping, or a list of them.

    :raises ConfigurationError: if one is invalid; the message names the key.
    """
    return tuple(WebhookEvent.parse(each, where) for each in as_list(given))


def _check_length(value: str | None) -> str | None:
    if value is not None and len(value) > MAX_CHALLENGE:
        raise InvalidCallbackError(f"its challenge has more than {MAX_CHALLENGE} characters")
    return value


def _check_keys(given: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: has to be an object, not {type(given).__name__}")
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigurationError(f"{where}: {describe_unknown_key(unknown[0], known)}; it has {', '.join(known)}")
