"""The limits of a result, which protect the worker and the metadata database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResultLimits:
    """
    The limits of a result.

    :param max_bytes: bytes of the whole result, unpacked.
    :param max_members: members of an archive.
    :param max_ratio: unpacked bytes for each packed one.
    :param max_xcom_bytes: bytes of a value's JSON text in XCom.
    :param unpack: whether an archive is unpacked.
    """

    max_bytes: int = 100 * 1024**3
    max_members: int = 100_000
    max_ratio: float = 200
    max_xcom_bytes: int = 48 * 1024
    unpack: bool = True
