"""
The names that operators and the sensor use only when a task is created or runs.

Each name is imported at its first use, so that a DAG file that only imports the operators doesn't import these modules,
and parsing a DAG doesn't import polling, fetching and the trigger. The modules are listed twice, for type checkers and
for the interpreter; a test compares the two lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.outputs.registry import choose_output
    from airflow_provider_asyncapi.core.fetch.paging.registry import assumed_page_variables, text_parameters
    from airflow_provider_asyncapi.core.fetch.plan import page_variables
    from airflow_provider_asyncapi.core.jobs.handle import MAP_ADVICE
    from airflow_provider_asyncapi.core.wait.plan import parse_timeout
    from airflow_provider_asyncapi.results.limits import ResultLimits
    from airflow_provider_asyncapi.tasks.fetching import fetch_result, make_lineage
    from airflow_provider_asyncapi.tasks.job_slots import get_slot
    from airflow_provider_asyncapi.tasks.job_templates import render_job
    from airflow_provider_asyncapi.tasks.job_wait import JobWait, WaitOptions
    from airflow_provider_asyncapi.tasks.submission_state import submit_next_job
    from airflow_provider_asyncapi.tasks.submit_job import submit_job
    from airflow_provider_asyncapi.tasks.validation import check_destination, check_plan, check_variables
    from airflow_provider_asyncapi.tasks.without_worker import (
        make_start_args,
        why_unsupported_end,
        why_unsupported_fetch,
        why_unsupported_start,
    )

__all__ = [
    "MAP_ADVICE",
    "JobWait",
    "ResultLimits",
    "WaitOptions",
    "assumed_page_variables",
    "check_destination",
    "check_plan",
    "check_variables",
    "choose_output",
    "fetch_result",
    "get_slot",
    "make_lineage",
    "make_start_args",
    "page_variables",
    "parse_timeout",
    "render_job",
    "submit_job",
    "submit_next_job",
    "text_parameters",
    "why_unsupported_end",
    "why_unsupported_fetch",
    "why_unsupported_start",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.fetch.outputs.registry": "choose_output",
        "airflow_provider_asyncapi.core.fetch.paging.registry": "assumed_page_variables text_parameters",
        "airflow_provider_asyncapi.core.fetch.plan": "page_variables",
        "airflow_provider_asyncapi.core.jobs.handle": "MAP_ADVICE",
        "airflow_provider_asyncapi.core.wait.plan": "parse_timeout",
        "airflow_provider_asyncapi.results.limits": "ResultLimits",
        "airflow_provider_asyncapi.tasks.fetching": "fetch_result make_lineage",
        "airflow_provider_asyncapi.tasks.job_slots": "get_slot",
        "airflow_provider_asyncapi.tasks.job_templates": "render_job",
        "airflow_provider_asyncapi.tasks.submission_state": "submit_next_job",
        "airflow_provider_asyncapi.tasks.submit_job": "submit_job",
        "airflow_provider_asyncapi.tasks.validation": "check_destination check_plan check_variables",
        "airflow_provider_asyncapi.tasks.job_wait": "JobWait WaitOptions",
        "airflow_provider_asyncapi.tasks.without_worker": (
            "make_start_args why_unsupported_end why_unsupported_fetch why_unsupported_start"
        ),
    },
)
