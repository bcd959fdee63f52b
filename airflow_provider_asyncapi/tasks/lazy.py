"""
The names that operators and the sensor use only when a task is created or runs.

Each name is imported at its first use: a DAG file that only imports the operators doesn't pay for them, and the parsing
of a DAG file doesn't pay for polling, fetching and the trigger. The modules are listed twice, for type checkers and for
the interpreter; a test compares the two lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.flow import clean_up_job
    from airflow_provider_asyncapi.core.fetch.lineage import dataset_name
    from airflow_provider_asyncapi.core.fetch.outputs.registry import choose_output
    from airflow_provider_asyncapi.core.fetch.plan import page_variables
    from airflow_provider_asyncapi.core.submit.flow import submit
    from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
    from airflow_provider_asyncapi.core.wait.cancel_if_running import cancel_if_running
    from airflow_provider_asyncapi.core.wait.deferral import run_until_sleep
    from airflow_provider_asyncapi.core.wait.flow import wait
    from airflow_provider_asyncapi.core.wait.plan import parse_cleanup
    from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary, summarize_wait
    from airflow_provider_asyncapi.results.destination import Owner
    from airflow_provider_asyncapi.results.fetching import FetchTask, ResultLimits, fetch
    from airflow_provider_asyncapi.tasks.callbacks import find_result, make_callback_url, make_reference, register_job
    from airflow_provider_asyncapi.tasks.job_templates import render_job
    from airflow_provider_asyncapi.tasks.secrets import load_secret
    from airflow_provider_asyncapi.tasks.submissions import SubmissionState
    from airflow_provider_asyncapi.tasks.validation import check_plan, check_variables
    from airflow_provider_asyncapi.tasks.waits import (
        RescheduleWaitState,
        TimeLimits,
        WaitState,
        delete_xcoms,
        find_start,
    )
    from airflow_provider_asyncapi.tasks.without_worker import (
        make_start_args,
        why_unsupported_end,
        why_unsupported_start,
    )
    from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger, check_storable
    from airflow_provider_asyncapi.triggers.cancellation import reason_to_cancel_on_worker
    from airflow_provider_asyncapi.triggers.events import WaitEvent

__all__ = [
    "AsyncApiJobTrigger",
    "FetchTask",
    "Owner",
    "PollSummary",
    "RescheduleWaitState",
    "ResultLimits",
    "SubmissionState",
    "TimeLimits",
    "WaitEvent",
    "WaitState",
    "cancel_if_running",
    "check_plan",
    "check_storable",
    "check_variables",
    "choose_output",
    "clean_up_job",
    "dataset_name",
    "delete_xcoms",
    "fetch",
    "find_result",
    "find_start",
    "load_secret",
    "make_callback_url",
    "make_reference",
    "make_start_args",
    "page_variables",
    "parse_cleanup",
    "reason_to_cancel_on_worker",
    "register_job",
    "render_job",
    "run_until_sleep",
    "submit",
    "summarize_wait",
    "wait",
    "wait_with_callbacks",
    "why_unsupported_end",
    "why_unsupported_start",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.fetch.flow": "clean_up_job",
        "airflow_provider_asyncapi.core.fetch.lineage": "dataset_name",
        "airflow_provider_asyncapi.core.fetch.outputs.registry": "choose_output",
        "airflow_provider_asyncapi.core.fetch.plan": "page_variables",
        "airflow_provider_asyncapi.core.submit.flow": "submit",
        "airflow_provider_asyncapi.core.wait.cancel_if_running": "cancel_if_running",
        "airflow_provider_asyncapi.core.wait.flow": "wait",
        "airflow_provider_asyncapi.core.wait.deferral": "run_until_sleep",
        "airflow_provider_asyncapi.core.wait.plan": "parse_cleanup",
        "airflow_provider_asyncapi.core.wait.poll_summary": "PollSummary summarize_wait",
        "airflow_provider_asyncapi.core.wait.callback_flow": "wait_with_callbacks",
        "airflow_provider_asyncapi.results.destination": "Owner",
        "airflow_provider_asyncapi.results.fetching": "FetchTask ResultLimits fetch",
        "airflow_provider_asyncapi.tasks.callbacks": "find_result make_callback_url make_reference register_job",
        "airflow_provider_asyncapi.tasks.job_templates": "render_job",
        "airflow_provider_asyncapi.tasks.secrets": "load_secret",
        "airflow_provider_asyncapi.tasks.submissions": "SubmissionState",
        "airflow_provider_asyncapi.tasks.validation": "check_plan check_variables",
        "airflow_provider_asyncapi.tasks.waits": "RescheduleWaitState TimeLimits WaitState delete_xcoms find_start",
        "airflow_provider_asyncapi.tasks.without_worker": "make_start_args why_unsupported_end why_unsupported_start",
        "airflow_provider_asyncapi.triggers.asyncapi": "AsyncApiJobTrigger check_storable",
        "airflow_provider_asyncapi.triggers.cancellation": "reason_to_cancel_on_worker",
        "airflow_provider_asyncapi.triggers.events": "WaitEvent",
    },
)
