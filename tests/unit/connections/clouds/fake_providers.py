"""
The parts of the providers of Google, Azure and AWS that lend credentials, without the providers.

``tests/clouds`` uses the real ones; here they aren't installed on each version of Airflow and Python.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

if TYPE_CHECKING:
    import pytest

GOOGLE_HOOK = "airflow.providers.google.common.hooks.base_google"
AZURE_HOOK = "airflow.providers.microsoft.azure.hooks.base_azure"
AWS_HOOK = "airflow.providers.amazon.aws.hooks.base_aws"


class GoogleAuthError(Exception):
    def __init__(self, *args: Any, retryable: bool = False) -> None:
        super().__init__(*args)
        self.retryable = retryable


class GoogleTransportError(GoogleAuthError):
    pass


class RefreshError(GoogleAuthError):
    pass


class AzureError(Exception):
    pass


class ClientAuthenticationError(AzureError):
    pass


class BotoCoreError(Exception):
    pass


class HttpClientError(BotoCoreError):
    pass


class BotoConnectionError(BotoCoreError):
    pass


class ClientError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


@dataclass
class FakeClouds:
    """
    What the hooks return, and what they were asked.

    :ivar on_open: an error that a hook raises instead of returning its credentials.
    :ivar on_renew: an error that the credentials raise instead of renewing themselves.
    :ivar expires_at: the expiry of a token, in seconds since the epoch.
    :ivar is_temporary: whether the keys of AWS have a session token.
    :ivar has_keys: whether AWS has keys at all.
    """

    on_open: Exception | None = None
    on_renew: Exception | None = None
    expires_at: float | None = None
    is_temporary: bool = True
    has_keys: bool = True
    opened: list[dict[str, Any]] = field(default_factory=list)
    renewed: int = 0

    def open(self, **asked: Any) -> None:
        self.opened.append(asked)
        if self.on_open is not None:
            raise self.on_open

    def renew(self) -> str:
        self.renewed += 1
        if self.on_renew is not None:
            raise self.on_renew
        return f"token-{self.renewed}"


def make_google_hook(clouds: FakeClouds) -> type[BaseHook]:
    class GoogleBaseHook(BaseHook):
        def __init__(self, gcp_conn_id: str) -> None:
            self.extras = self.get_connection(gcp_conn_id).extra_dejson

        @property
        def scopes(self) -> list[str]:
            return ["default"]

        def get_credentials(self) -> Any:
            clouds.open(extras=self.extras, scopes=self.scopes)
            credentials = SimpleNamespace(token=None, expiry=None)

            def refresh(_request: Any) -> None:
                credentials.token = clouds.renew()
                if clouds.expires_at is not None:
                    credentials.expiry = datetime.fromtimestamp(clouds.expires_at, UTC).replace(tzinfo=None)

            credentials.refresh = refresh
            return credentials

    return GoogleBaseHook


def make_azure_hook(clouds: FakeClouds) -> type[BaseHook]:
    class AzureBaseHook(BaseHook):
        def __init__(self, conn_id: str) -> None:
            self.conn_id = conn_id

        def get_credential(self) -> Any:
            connection = self.get_connection(self.conn_id)
            clouds.open(login=connection.login, extras=connection.extra_dejson)

            def get_token(*scopes: str) -> Any:
                return SimpleNamespace(token=f"{clouds.renew()} for {scopes}", expires_on=clouds.expires_at)

            return SimpleNamespace(get_token=get_token)

    return AzureBaseHook


def make_aws_hook(clouds: FakeClouds) -> type[BaseHook]:
    class AwsBaseHook(BaseHook):
        def __init__(self, aws_conn_id: str, region_name: str | None) -> None:
            self.aws_conn_id, self.region_name = aws_conn_id, region_name

        def get_session(self) -> Any:
            connection = self.get_connection(self.aws_conn_id)
            clouds.open(login=connection.login, region=self.region_name)

            def freeze() -> Any:
                return SimpleNamespace(
                    access_key=clouds.renew(), secret_key="the-secret", token="session" if clouds.is_temporary else None
                )

            credentials = SimpleNamespace(get_frozen_credentials=freeze) if clouds.has_keys else None
            return SimpleNamespace(get_credentials=lambda: credentials)

    return AwsBaseHook


def install(monkeypatch: pytest.MonkeyPatch) -> FakeClouds:
    """Have modules that look like those of the providers."""
    clouds = FakeClouds()

    modules: dict[str, dict[str, Any]] = {
        GOOGLE_HOOK: {"GoogleBaseHook": make_google_hook(clouds)},
        AZURE_HOOK: {"AzureBaseHook": make_azure_hook(clouds)},
        AWS_HOOK: {"AwsBaseHook": make_aws_hook(clouds)},
        "google.auth.exceptions": {
            "GoogleAuthError": GoogleAuthError,
            "RefreshError": RefreshError,
            "TransportError": GoogleTransportError,
        },
        "google.auth.transport.requests": {"Request": object},
        "azure.core.exceptions": {"AzureError": AzureError, "ClientAuthenticationError": ClientAuthenticationError},
        "botocore.exceptions": {
            "BotoCoreError": BotoCoreError,
            "ClientError": ClientError,
            "ConnectionError": BotoConnectionError,
            "HTTPClientError": HttpClientError,
        },
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return clouds
