"""Send the requests that come before the submit, such as the upload of a file, and keep what they capture."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, SaveSubmission
from airflow_provider_asyncapi.core.errors import ConfigurationError, JobNotFoundError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import FILE_SIZE
from airflow_provider_asyncapi.core.requests.request_files import inspect_files
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.step_flow import extract_captures, send_step, warn_missing_captures
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables


def send_prepare_requests(api: Api, plan: SubmitPlan, record: Submission, scope: Variables) -> Flow[Submission]:
    """
    Send the requests that no earlier try has got a response to, and save each response's captures.

    These requests make no job. So one whose response was lost is sent again.

    :param scope: the variables of the submit, except the captures of these requests.
    :return: the submission with the captures.
    :raises AsyncApiError: if a request fails; the job hasn't been submitted then.
    """
    if plan.prepare and record.prepared:
        yield Log(logging.INFO, f"{record.prepared} of {len(plan.prepare)} prepare requests were answered already")
    record = yield from _add_file_size(api, plan, record)
    may_restart = True
    while record.prepared < len(plan.prepare):
        step = plan.prepare[record.prepared]
        variables = api.merge_variables(scope, record.captured)
        try:
            response, _ = yield from send_step(
                api, step, variables, plan.schedule, REPEATABLE, path_variables=plan.variables
            )
        except JobNotFoundError as error:
            if step.resume is None or not (record.prepared and may_restart):
                raise
            # APIs delete the upload of an earlier try, perhaps after a day.
            yield Log(logging.WARNING, f"The upload is gone, so all of it begins again: {error}")
            may_restart, record = False, dataclasses.replace(record, prepared=0)
            continue
        found = extract_captures(step.captures, response, variables)
        # They will be in the job's handle, whose limits hold for them too.
        captured = JobHandle(None).with_variables({**record.captured, **found}, "prepare.capture").variables
        record = dataclasses.replace(record, prepared=record.prepared + 1, captured=captured)
        yield SaveSubmission(record)
        request = Request(step.request.method, response.url)
        yield Log(logging.INFO, f"Prepared the submit: {request} answered {response.status}")
        yield from warn_missing_captures(step.captures, found, request)
    return record


def _add_file_size(api: Api, plan: SubmitPlan, record: Submission) -> Flow[Submission]:
    """
    Return the submission with the size of the file that its requests send, if one of them names it.

    :raises FileUnavailableError: if the file isn't there.
    :raises ConfigurationError: if they send several files.
    """
    steps = (plan.submit, *plan.prepare, *plan.start)
    is_named = any(FILE_SIZE in step.request.find_variables() for step in steps)
    if not is_named or FILE_SIZE in {**record.captured, **plan.variables}:
        return record
    files: dict[str, SourceFile] = {}
    for step in steps:
        found = yield from inspect_files(api, step.request, plan.variables)
        files |= {file.path: file for file in found.values()}
    if len(files) != 1:
        raise ConfigurationError(f"{{{FILE_SIZE}}}: is the size of one file, and the requests send {len(files)} files")
    (file,) = files.values()
    return dataclasses.replace(record, captured={**record.captured, FILE_SIZE: file.size})


def make_placeholders(api: Api, plan: SubmitPlan) -> dict[str, str]:
    """Return values for all that these requests capture: they differ from try to try, so no fingerprint has them."""
    names = [
        name
        for step in plan.prepare
        for capture, chain in step.captures.items()
        for name in (capture, *(selector.text for selector in chain.selectors))
    ]
    # A variable may be a whole URL, to which the connection's secrets may go.
    captured = {name: f"{api.settings.base_url.rstrip('/')}/{number}" for number, name in enumerate(names)}
    return {FILE_SIZE: "0", **captured}
