"""Late polls are said once a minute, for each connection and reason."""

from __future__ import annotations

import asyncio
import logging

from airflow_provider_asyncapi.core.wait.lateness import Delay, Reason
from airflow_provider_asyncapi.monitoring import late_polls


def test_late_polls_of_a_while_are_one_line_for_each_connection_and_reason(monkeypatch, caplog):
    monkeypatch.setattr(late_polls, "_WARN_INTERVAL", 0.05)

    async def scenario() -> None:
        for seconds in (2.0, 9.1, 4.0):
            late_polls.record("vendor", Delay(seconds, Reason.CONNECTIONS))
        late_polls.record("vendor", Delay(1.5, Reason.EVENT_LOOP))
        late_polls.record("other", Delay(3.0, Reason.RATE))
        while len(caplog.messages) < 3:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(caplog.messages) == 3
        late_polls.record("other", Delay(3.0, Reason.RATE))
        while len(caplog.messages) < 4:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert [message.partition(":")[2].partition(":")[0].strip() for message in caplog.messages] == [
        "in the last 0.05 s 3 polls were made late, by up to 9.1 s (connections)",
        "in the last 0.05 s 1 poll was made late, by up to 1.5 s (event loop)",
        "in the last 0.05 s 1 poll was made late, by up to 3.0 s (rate)",
        "in the last 0.05 s 1 poll was made late, by up to 3.0 s (rate)",
    ]
    assert "connections_per_host" in caplog.messages[0]
    assert "start another one" in caplog.messages[1]
    assert "requests_per_second" in caplog.messages[2]
