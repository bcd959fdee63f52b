"""
Read a stream with Airbyte's own CDK, and print its records: read_stream.py MANIFEST STREAM CONFIG.

This runs in an environment of its own, whose versions are in ``constraints/``: it can't import this package.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Any

import yaml
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.async_job import job_orchestrator

#: The beginning of a line with a record.
RECORD = "record "


def make_source(manifest: dict[str, Any], config: dict[str, Any], catalog: Any) -> Any:
    """Return the source of a manifest; the class had another name in the generation of the older names."""
    try:
        from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
    except ImportError:
        from airbyte_cdk.sources.declarative.manifest_declarative_source import ManifestDeclarativeSource

        return ManifestDeclarativeSource(source_config=manifest)
    return ConcurrentDeclarativeSource(catalog=catalog, config=config, state=[], source_config=manifest)


def add_components(package: str) -> None:
    """Make a connector's components and schemas importable without its `__init__`, which imports the vendor's SDK."""
    spec = importlib.util.find_spec(package)
    if spec is not None:
        sys.modules[package] = importlib.util.module_from_spec(spec)


def main() -> None:
    manifest_file, stream, config_text = sys.argv[1:]
    # Five seconds, between the polls of jobs that are over at once.
    job_orchestrator.AsyncJobOrchestrator._WAIT_TIME_BETWEEN_STATUS_UPDATE_IN_SECONDS = 0.05
    for package in ("source_bing_ads", "source_pinterest", "source_sendgrid"):
        add_components(package)
    manifest, config = yaml.safe_load(Path(manifest_file).read_text()), json.loads(config_text)
    described = {"name": stream, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]}
    configured = {"stream": described, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": [configured]})
    source = make_source(manifest, config, catalog)
    for message in source.read(logging.getLogger("airbyte"), config, catalog, []):
        if message.type == Type.RECORD:
            # The CDK prints its own log between them.
            sys.stdout.write(f"{RECORD}{json.dumps(message.record.data, default=str)}\n")
        elif message.type == Type.TRACE and message.trace.error is not None:
            sys.stderr.write(f"{message.trace.error.internal_message or message.trace.error.message}\n")


if __name__ == "__main__":
    main()
