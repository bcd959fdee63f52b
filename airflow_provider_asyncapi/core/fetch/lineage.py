"""How OpenLineage names what was written: https://openlineage.io/docs/spec/naming."""

from __future__ import annotations

from urllib.parse import urlsplit


def dataset_name(destination: str) -> tuple[str, str]:
    """
    Return the namespace and the name of a destination's dataset: ``s3://bucket`` and a key, ``file`` and a path.

    :param destination: as the fetch operator takes it; a connection in it (``s3://aws_default@bucket``) is left out.
    """
    scheme, separator, rest = destination.partition("://")
    if not separator or scheme == "file":
        return "file", (rest if separator else destination).rstrip("/") or "/"
    parts = urlsplit(destination)
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.strip("/") or "/"
