"""The metadata of this provider for Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.connections import form as connection_form

_NAME = "Asynchronous HTTP APIs"
_PACKAGE = "airflow_provider_asyncapi"
#: As in pyproject.toml, which isn't installed.
_DOCUMENTATION = "https://github.com/airflow-provider-asyncapi/airflow-provider-asyncapi/tree/main/docs"


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _NAME, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-asyncapi",
        "name": _NAME,
        "description": (
            "Submit jobs to asynchronous HTTP APIs, wait for them without a worker, and fetch their results."
        ),
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": _DOCUMENTATION,
                "tags": ["protocol"],
            }
        ],
        "operators": _modules("operators.asyncapi", "operators.job"),
        "sensors": _modules("sensors.asyncapi"),
        "hooks": _modules("hooks.asyncapi"),
        "triggers": _modules("triggers.asyncapi", "triggers.job_slots"),
        "extra-links": [f"{_PACKAGE}.links.asyncapi.RemoteJobLink"],
        "connection-types": [
            {
                "connection-type": connection_form.CONNECTION_TYPE,
                "hook-class-name": f"{_PACKAGE}.hooks.asyncapi.AsyncApiHook",
                "hook-name": connection_form.HOOK_NAME,
                "ui-field-behaviour": connection_form.UI_FIELD_BEHAVIOUR,
                "conn-fields": connection_form.make_form_fields(),
            }
        ],
        # Read by Airflow 3.2 and newer.
        "cli": [f"{_PACKAGE}.cli.commands.registry.get_asyncapi_commands"],
        "config": {
            "asyncapi": {
                "description": "Settings of the provider for asynchronous HTTP APIs.",
                "options": {
                    "profiles_folder": {
                        "description": "Folder with profiles (TOML files), which take precedence over the shipped"
                        " ones.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/opt/airflow/asyncapi_profiles",
                        "default": "",
                    },
                    "callback_base_url": {
                        "description": (
                            "Base URL at which APIs reach Airflow's API server for callbacks. Defaults to [api]"
                            " base_url."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://airflow.example.com",
                        "default": "",
                    },
                    "api_server_url": {
                        "description": (
                            "Base URL at which workers and triggerers reach Airflow's API server, for connections with"
                            " max_active_jobs. Defaults to [api] base_url."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://airflow-api-server:8080",
                        "default": "",
                    },
                    "callback_max_bytes": {
                        "description": "Maximum size of a callback's body, in bytes.",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "1048576",
                    },
                    "callback_folder": {
                        "description": (
                            "Folder (any ObjectStoragePath) for bodies of callbacks above 48 KiB; if empty, the"
                            " database."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://aws_default@bucket/callbacks/",
                        "default": "",
                    },
                    "callback_keep_days": {
                        "description": (
                            "Days after which the API server deletes the bodies in callback_folder; 0 for never."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "30",
                    },
                },
            }
        },
    }
