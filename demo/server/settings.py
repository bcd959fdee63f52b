"""Hold what a test may want to change about the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.server.deliveries import RETRY_SECONDS

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Say how long things take, and by which clock.

    :param clock: Seconds since the epoch; all expiry and progress goes by it.
    :param job_seconds: From the start of a job to its end.
    :param rate_limit_every: Every how many Celigo requests one answers 429; 0 for none.
    :param panoply_token_seconds: Lifetime of a Panoply access token.
    :param vayana_token_seconds: Longest lifetime of a Vayana token, whatever the login asks for.
    :param elements_callback_url: The callback URL configured "in the Cloud Elements account"; empty for none.
    :param callback_retry_seconds: The pauses before each further try to call back.
    """

    clock: Clock = time.time
    job_seconds: float = 6.0
    rate_limit_every: int = 5
    panoply_token_seconds: float = 20.0
    vayana_token_seconds: float = 15.0
    elements_callback_url: str = ""
    callback_retry_seconds: Sequence[float] = RETRY_SECONDS
