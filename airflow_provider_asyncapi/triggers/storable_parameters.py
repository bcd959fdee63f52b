"""Check the parameters that Airflow stores with a trigger, as plain text, in its metadata database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import redact

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnstorableValueError
from airflow_provider_asyncapi.core.http.redaction import contains_secret, find_masked_texts
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.core.requests.request_template import WHY_NO_SECRETS, refuse_secrets
from airflow_provider_asyncapi.core.templates import walk_strings

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api


def check_storable(spec: Mapping[str, Any], api: Api) -> None:
    """
    Check that the sensor's parameters can be stored with the trigger, and hold no secret.

    :param spec: the sensor's parameters, complete.
    :raises ConfigurationError: if a parameter holds a secret or a value that Airflow can't store; the message names it.
    """
    # Airflow's serializer accepts dates and other types that JSON doesn't have.
    plain = json.loads(json.dumps(spec, default=str))
    try:
        if to_storable(plain, "the sensor's parameters") != plain:
            raise ConfigurationError("the sensor's parameters hold an integer beyond 64 bits; write it as a string")
    except UnstorableValueError as error:
        raise ConfigurationError(str(error)) from None
    # Shorter values are common words and numbers.
    secrets = {secret for secret in api.settings.secrets() - api.settings.visible_values if len(secret) > 3}  # noqa: PLR2004 - see above
    refuse_secrets(spec)
    for name, value in spec.items():
        for text in walk_strings(value):
            # Airflow also masks secrets of other connections, and of variables that a template named.
            suspects = secrets.union(find_masked_texts(text, str(redact(text))))
            if any(contains_secret(text, secret) for secret in suspects):
                raise ConfigurationError(f"{name}: holds a secret, and {WHY_NO_SECRETS}")
