"""Fetches of values and of files, from scripted responses."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.fetch.flow import ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response
from tests.unit.fake_files import MemoryDraft

MIB = 1024 * 1024


def fetching(api=None, *, handle=None, **given):
    given = {"endpoint": "/jobs/{identifier}/result", **given}
    return ResultFetcher(api or make_api(), FetchPlan.parse(given), handle or JobHandle("7"))


def value(*replies, handle=None, api=None, **given):
    runner = FlowRunner(api or make_api(), *replies)
    found, _ = runner.run(fetching(runner.api, handle=handle, **given).fetch_value(MIB))
    return found, runner


class StreamingRunner(FlowRunner):
    """Hands bodies to sinks as the transports do; one whose header says that it is longer breaks there."""

    def perform(self, effect):
        response = super().perform(effect)
        sink = getattr(effect, "sink", None)
        if sink is not None and response.ok:
            sink.begin(response)
            for start in range(0, len(response.body), 700_000):
                sink.write(response.body[start : start + 700_000])
            if "x-broken" in response.headers:
                raise make_lost_error()
            sink.finish()
            response.streamed_bytes, response.body = len(response.body), b""
        return response


def files(*replies, handle=None, **given):
    files: dict[Any, Any] = {}

    def open_file(number):
        return files.setdefault(number, MemoryDraft())

    runner = StreamingRunner(make_api(), *replies)
    given.setdefault("output_type", "file")
    responses = runner.run(fetching(runner.api, handle=handle, **given).fetch_files(open_file))
    return [files[number].content for number in sorted(files)], responses, runner


def broken(body, **headers):
    return make_response(body, x_broken="1", content_length="9", etag='"v1"', **headers)
