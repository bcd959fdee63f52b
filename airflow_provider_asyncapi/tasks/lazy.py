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
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    from airflow_provider_asyncapi.connections.profiles import find_profile_version, load_profile
    from airflow_provider_asyncapi.core.fetch.flow import clean_up_job
    from airflow_provider_asyncapi.core.fetch.outputs.registry import choose_output
    from airflow_provider_asyncapi.core.fetch.paging.registry import (
        assumed_page_variables,
        explain_page_variable,
        text_parameters,
    )
    from airflow_provider_asyncapi.core.fetch.plan import page_variables
    from airflow_provider_asyncapi.core.jobs.handle import MAP_ADVICE
    from airflow_provider_asyncapi.core.jobs.profile_version import explain_change, run_under_changed_profile
    from airflow_provider_asyncapi.core.jobs.rerun_rules import Repair, RerunRules
    from airflow_provider_asyncapi.core.profiles.variables import describe_profile_variables
    from airflow_provider_asyncapi.core.submit.repair import repair_or_submit
    from airflow_provider_asyncapi.core.submit.resubmit_plan import ResubmitPlan
    from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
    from airflow_provider_asyncapi.core.wait.deferral import run_until_sleep
    from airflow_provider_asyncapi.core.wait.flow import wait
    from airflow_provider_asyncapi.core.wait.plan import parse_cleanup, parse_timeout
    from airflow_provider_asyncapi.core.wait.summaries import PollSummary, summarize_wait
    from airflow_provider_asyncapi.monitoring.tracing import trace_stage
    from airflow_provider_asyncapi.tasks.callbacks import (
        await_callback,
        make_callback_url,
        make_reference,
        read_callbacks,
        register_job,
        to_response,
    )
    from airflow_provider_asyncapi.tasks.cancel_request import read_cancel_request
    from airflow_provider_asyncapi.tasks.fetch_result import fetch_result, make_lineage
    from airflow_provider_asyncapi.tasks.job_cancel import cancel_for_user, cancel_killed_job
    from airflow_provider_asyncapi.tasks.job_history import record_timeout
    from airflow_provider_asyncapi.tasks.job_slots import get_slot, return_slot
    from airflow_provider_asyncapi.tasks.job_templates import render_job
    from airflow_provider_asyncapi.tasks.job_wait import JobWait
    from airflow_provider_asyncapi.tasks.next_job import find_next_job, resubmit_job, submit_in_next_try, wait_until_due
    from airflow_provider_asyncapi.tasks.published_wait import delete_xcoms, publish_summary
    from airflow_provider_asyncapi.tasks.submission_state import lasts_between_tries
    from airflow_provider_asyncapi.tasks.submit_job import submit_first_job, submit_job
    from airflow_provider_asyncapi.tasks.validation import (
        check_destination,
        check_plan,
        check_profile_body,
        check_variables,
        check_warning_callback,
    )
    from airflow_provider_asyncapi.tasks.wait_options import WaitOptions
    from airflow_provider_asyncapi.tasks.wait_state import (
        RescheduleWaitState,
        TimeLimits,
        WaitState,
        find_start,
    )
    from airflow_provider_asyncapi.tasks.without_worker import (
        make_start_args,
        why_unsupported_end,
        why_unsupported_fetch,
        why_unsupported_start,
    )
    from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
    from airflow_provider_asyncapi.triggers.events import WaitEvent
    from airflow_provider_asyncapi.triggers.storable_parameters import check_storable

__all__ = [
    "MAP_ADVICE",
    "AsyncApiJobTrigger",
    "DateTimeTrigger",
    "JobWait",
    "PollSummary",
    "Repair",
    "RerunRules",
    "RescheduleWaitState",
    "ResubmitPlan",
    "TimeLimits",
    "WaitEvent",
    "WaitOptions",
    "WaitState",
    "assumed_page_variables",
    "await_callback",
    "cancel_for_user",
    "cancel_killed_job",
    "check_destination",
    "check_plan",
    "check_profile_body",
    "check_storable",
    "check_variables",
    "check_warning_callback",
    "choose_output",
    "clean_up_job",
    "delete_xcoms",
    "describe_profile_variables",
    "explain_change",
    "explain_page_variable",
    "fetch_result",
    "find_next_job",
    "find_profile_version",
    "find_start",
    "get_slot",
    "lasts_between_tries",
    "load_profile",
    "make_callback_url",
    "make_lineage",
    "make_reference",
    "make_start_args",
    "page_variables",
    "parse_cleanup",
    "parse_timeout",
    "publish_summary",
    "read_callbacks",
    "read_cancel_request",
    "record_timeout",
    "register_job",
    "render_job",
    "repair_or_submit",
    "resubmit_job",
    "return_slot",
    "run_under_changed_profile",
    "run_until_sleep",
    "submit_first_job",
    "submit_in_next_try",
    "submit_job",
    "summarize_wait",
    "text_parameters",
    "to_response",
    "trace_stage",
    "wait",
    "wait_until_due",
    "wait_with_callbacks",
    "why_unsupported_end",
    "why_unsupported_fetch",
    "why_unsupported_start",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.connections.profiles": "find_profile_version load_profile",
        "airflow.providers.standard.triggers.temporal": "DateTimeTrigger",
        "airflow_provider_asyncapi.core.fetch.flow": "clean_up_job",
        "airflow_provider_asyncapi.core.fetch.outputs.registry": "choose_output",
        "airflow_provider_asyncapi.core.fetch.paging.registry": (
            "assumed_page_variables explain_page_variable text_parameters"
        ),
        "airflow_provider_asyncapi.core.fetch.plan": "page_variables",
        "airflow_provider_asyncapi.core.jobs.handle": "MAP_ADVICE",
        "airflow_provider_asyncapi.core.jobs.rerun_rules": "Repair RerunRules",
        "airflow_provider_asyncapi.core.profiles.variables": "describe_profile_variables",
        "airflow_provider_asyncapi.core.jobs.profile_version": "explain_change run_under_changed_profile",
        "airflow_provider_asyncapi.core.submit.repair": "repair_or_submit",
        "airflow_provider_asyncapi.core.submit.resubmit_plan": "ResubmitPlan",
        "airflow_provider_asyncapi.core.wait.callback_flow": "wait_with_callbacks",
        "airflow_provider_asyncapi.core.wait.deferral": "run_until_sleep",
        "airflow_provider_asyncapi.core.wait.flow": "wait",
        "airflow_provider_asyncapi.core.wait.plan": "parse_cleanup parse_timeout",
        "airflow_provider_asyncapi.core.wait.summaries": "PollSummary summarize_wait",
        "airflow_provider_asyncapi.monitoring.tracing": "trace_stage",
        "airflow_provider_asyncapi.tasks.callbacks": (
            "await_callback make_callback_url make_reference read_callbacks register_job to_response"
        ),
        "airflow_provider_asyncapi.tasks.cancel_request": "read_cancel_request",
        "airflow_provider_asyncapi.tasks.fetch_result": "fetch_result make_lineage",
        "airflow_provider_asyncapi.tasks.job_cancel": "cancel_for_user cancel_killed_job",
        "airflow_provider_asyncapi.tasks.job_history": "record_timeout",
        "airflow_provider_asyncapi.tasks.job_slots": "get_slot return_slot",
        "airflow_provider_asyncapi.tasks.job_templates": "render_job",
        "airflow_provider_asyncapi.tasks.next_job": "find_next_job resubmit_job submit_in_next_try wait_until_due",
        "airflow_provider_asyncapi.tasks.published_wait": "delete_xcoms publish_summary",
        "airflow_provider_asyncapi.tasks.submission_state": "lasts_between_tries",
        "airflow_provider_asyncapi.tasks.submit_job": "submit_first_job submit_job",
        "airflow_provider_asyncapi.tasks.validation": (
            "check_destination check_plan check_profile_body check_variables check_warning_callback"
        ),
        "airflow_provider_asyncapi.tasks.job_wait": "JobWait",
        "airflow_provider_asyncapi.tasks.wait_options": "WaitOptions",
        "airflow_provider_asyncapi.tasks.wait_state": ("RescheduleWaitState TimeLimits WaitState find_start"),
        "airflow_provider_asyncapi.tasks.without_worker": (
            "make_start_args why_unsupported_end why_unsupported_fetch why_unsupported_start"
        ),
        "airflow_provider_asyncapi.triggers.asyncapi": "AsyncApiJobTrigger",
        "airflow_provider_asyncapi.triggers.events": "WaitEvent",
        "airflow_provider_asyncapi.triggers.storable_parameters": "check_storable",
    },
)
