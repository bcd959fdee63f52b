"""Send the requests that come before the submit, such as the upload of a file, and keep what they capture."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.step_flow import extract_captures, send_step, warn_missing_captures
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables


def send_prepare_requests(api: Api, plan: SubmitPlan, record: Submission, scope: Variables) -> Flow[Submission]:
    """
    Send the requests that no earlier try has got a response to, and save each response's captures.

    These requests make no job. So one whose response was lost is sent again.

    :param scope: the variables of the submit, except those that these requests capture.
    :return: the submission with the captures.
    :raises AsyncApiError: if a request fails; the job hasn't been submitted then.
    """
    if plan.prepare and record.prepared:
        yield Log(logging.INFO, f"{record.prepared} of {len(plan.prepare)} prepare requests were answered already")
    for step in plan.prepare[record.prepared :]:
        variables = api.merge_variables(scope, record.captured)
        response, _ = yield from send_step(
            api, step, variables, plan.schedule, REPEATABLE, path_variables=plan.variables
        )
        found = extract_captures(step.captures, response, variables)
        # They will be in the job's handle, whose limits hold for them too.
        captured = JobHandle(None).with_variables({**record.captured, **found}, "prepare.capture").variables
        record = dataclasses.replace(record, prepared=record.prepared + 1, captured=captured)
        yield SaveSubmission(record)
        request = Request(step.request.method, response.url)
        yield Log(logging.INFO, f"Prepared the submit: {request} answered {response.status}")
        yield from warn_missing_captures(step.captures, found, request)
    return record


def make_placeholders(api: Api, plan: SubmitPlan) -> dict[str, str]:
    """Return values for all that these requests capture: they differ from try to try, so no fingerprint has them."""
    names = [
        name
        for step in plan.prepare
        for capture, chain in step.captures.items()
        for name in (capture, *(selector.text for selector in chain.selectors))
    ]
    # A variable may be a whole URL, to which the connection's secrets may go.
    return {name: f"{api.settings.base_url.rstrip('/')}/{number}" for number, name in enumerate(names)}
