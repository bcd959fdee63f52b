"""
Send requests over aiohttp's connections, without its session, request and response objects.

They repeat for each request what is the same for all, which takes longer than everything else in a poll. All that uses
undocumented parts of aiohttp is in this package; ``tests/unit/transports/fast_path/test_contracts.py`` has a test for
each of them. With an aiohttp that these tests weren't run with, :mod:`~.transports.aiohttp_session` is used instead.
"""

from __future__ import annotations

import re

#: The oldest and the newest aiohttp that all tests of the transports pass with. Raise the second one after running them
#: with a newer version.
OLDEST, NEWEST = "3.13.4", "3.14.5"


def is_tested(version: str) -> bool:
    """Return whether a version of aiohttp is in the tested range; pre-releases aren't."""
    return bool(re.fullmatch(r"\d+(\.\d+)+", version)) and _parse(OLDEST) <= _parse(version) <= _parse(NEWEST)


def _parse(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
