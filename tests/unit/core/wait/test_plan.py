from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.wait.plan import parse_timeout


@pytest.mark.parametrize(("given", "seconds"), [(0, 0), (2.5, 2.5), (timedelta(hours=1), 3600)])
def test_a_timeout_is_seconds_or_a_timedelta(given, seconds):
    assert parse_timeout(given) == seconds


@pytest.mark.parametrize("given", [-1, True, "1h", 1e12, float("nan"), timedelta(seconds=-1)])
def test_any_other_timeout_is_an_error(given):
    with pytest.raises(ConfigurationError, match="timeout: has to be a number of seconds from 0"):
        parse_timeout(given)
