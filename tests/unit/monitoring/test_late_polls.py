"""Late polls are said once a minute, for each connection and reason."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.monitoring import late_polls
from tests.unit.virtual_time import pass_time, run_in_virtual_time


def test_late_polls_of_a_while_are_one_line_for_each_connection_and_reason(caplog):
    async def scenario() -> None:
        for seconds in (2.0, 9.1, 4.0):
            late_polls.record("vendor", Delay(seconds, Reason.CONNECTIONS))
        late_polls.record("vendor", Delay(1.5, Reason.EVENT_LOOP))
        late_polls.record("other", Delay(3.0, Reason.RATE))
        await pass_time(59)
        assert not caplog.messages
        await pass_time(120)
        assert len(caplog.messages) == 3
        late_polls.record("other", Delay(3.0, Reason.RATE))
        await pass_time(61)

    with caplog.at_level(logging.WARNING):
        run_in_virtual_time(scenario())
    assert [message.partition(":")[2].partition(":")[0].strip() for message in caplog.messages] == [
        "in the last 60 s 3 polls were made late, by up to 9.1 s (connections)",
        "in the last 60 s 1 poll was made late, by up to 1.5 s (event loop)",
        "in the last 60 s 1 poll was made late, by up to 3.0 s (rate)",
        "in the last 60 s 1 poll was made late, by up to 3.0 s (rate)",
    ]
    assert "connections_per_host" in caplog.messages[0]
    assert "start another one" in caplog.messages[1]
    assert "requests_per_second" in caplog.messages[2]
