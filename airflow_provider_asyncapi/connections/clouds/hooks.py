"""Make a hook of another provider, for a connection that is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.lazy import load_object

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def make_hook(
    path: str, package: str, connection: Connection, *, attributes: dict[str, Any] | None = None, **arguments: Any
) -> Any:
    """
    Return a hook.

    It doesn't look its connection up: in the triggerer, this is possible on the event loop only, and the hook is used
    on a thread.

    :param path: the import path of its class.
    :param package: the package with the class, for messages.
    :param attributes: attributes that replace attributes of the class.
    :param arguments: the arguments of the hook.
    :raises ConfigurationError: if the package isn't installed.
    """
    try:
        hook_class = load_object(path)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"it is of type {connection.conn_type!r}, and its provider can't be imported ({error}); install {package}"
            " on workers and triggerers"
        ) from error

    lent = {"get_connection": lambda *_: connection, **(attributes or {})}
    return type(hook_class.__name__, (hook_class,), lent)(**arguments)
