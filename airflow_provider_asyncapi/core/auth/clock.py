"""The clock of this machine, by which signatures are dated, compared with that of a server."""

from __future__ import annotations

from airflow_provider_asyncapi.core.http.dates import parse_http_date
from airflow_provider_asyncapi.core.http.messages import Response

#: Smallest difference of clocks that is mentioned, in seconds; servers accept about a minute.
_CLOCK_DIFFERENCE = 30.0


def describe_clock(response: Response, now: float) -> str:
    """
    Return a text about the clock if it differs much from the server's, which may be why a signature is refused.

    :param now: seconds since the epoch, by this machine's clock.
    """
    sent_at = parse_http_date(response.headers.get("date", ""))
    if sent_at is None or abs(now - sent_at) < _CLOCK_DIFFERENCE:
        return ""
    return f"the clock of this machine differs from the server's by {now - sent_at:+.0f} s, so correct it"
