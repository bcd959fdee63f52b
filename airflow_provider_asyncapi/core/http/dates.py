"""Read the dates of HTTP headers."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime


def parse_http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, section 5.6.7) in seconds since the epoch; None if the text is none."""
    try:
        moment = parsedate_to_datetime(text.strip())
        # "-0000" and a missing zone give a naive time, which means UTC here.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
