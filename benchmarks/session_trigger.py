"""The trigger of this package over ClientSession, which is used if the installed aiohttp isn't a tested one."""

from __future__ import annotations

from airflow_provider_asyncapi.transports import fast_path
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger

# The contenders have a process each, so no other one is affected.
fast_path.NEWEST = fast_path.OLDEST = "0.0"


class SessionTrigger(AsyncApiJobTrigger):
    """Polls over aiohttp.ClientSession."""
