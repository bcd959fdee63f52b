"""Destinations for tests: what is written to them, and what is left there."""

from __future__ import annotations

from airflow_provider_asyncapi.results.destination import ByteBudget, Destination

LIMIT = 1000


def write(destination: Destination, content: bytes):
    file = destination.open_file(ByteBudget(LIMIT))
    file.write(content)
    return file.finish()


def put(target: str, **files: bytes) -> list[str]:
    destination = Destination(target)
    try:
        paths = destination.commit(
            [((*name.split("__"),), write(destination, content)) for name, content in files.items()]
        )
        destination.finalize()
        return paths
    finally:
        destination.close()
