"""Fetches of pages, from scripted responses."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.fetch.flow import ResultFetcher
from airflow_provider_asyncapi.core.fetch.page_flow import fetch_pages
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response


class Rows(FlowRunner):
    """Keeps the rows of each page."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rows: list[list[Any]] = []
        self.count = 0

    def fetch(self, fetching: ResultFetcher, **inline: Any) -> None:
        paging = fetching.plan.paging
        assert paging is not None
        self.count = self.run(fetch_pages(fetching, paging, lambda rows, _: self.rows.append(rows), **inline))


def pages(*replies, handle=None, api=None, **given):
    runner = Rows(api or make_api(), *replies)
    plan = FetchPlan.parse({"output_type": "pages", "endpoint": "/rows", "result_path": "rows", **given})
    runner.fetch(ResultFetcher(runner.api, plan, handle or JobHandle("7", variables={"pages": 3})))
    return runner


def page(*rows, **more):
    return make_response({"rows": list(rows), **more})


NUMBERED = {"query_params": {"page": "{page}"}}
