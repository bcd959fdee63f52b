"""
Import all modules that tasks use, once in the worker: each task is a fork of the worker, and inherits them.

Airflow imports your module ``airflow_local_settings`` when it starts; add this line to it::

    import airflow_provider_asyncapi.preload
"""

from __future__ import annotations

import tomllib

import cryptography.fernet
import cryptography.hazmat.primitives.serialization
import ijson
import jwt
import lxml.etree
import re2

import airflow_provider_asyncapi.airflow_private.dag_parser
import airflow_provider_asyncapi.connections.clouds.lender
import airflow_provider_asyncapi.connections.profiles
import airflow_provider_asyncapi.connections.reading
import airflow_provider_asyncapi.connections.rotating_tokens
import airflow_provider_asyncapi.connections.source_files
import airflow_provider_asyncapi.connections.tokens
import airflow_provider_asyncapi.core.callbacks.signatures
import airflow_provider_asyncapi.core.callbacks.webhooks
import airflow_provider_asyncapi.core.fetch.lineage
import airflow_provider_asyncapi.core.fetch.plan
import airflow_provider_asyncapi.core.jobs.profile_version
import airflow_provider_asyncapi.core.profiles.merging
import airflow_provider_asyncapi.core.profiles.schema
import airflow_provider_asyncapi.core.requests.request_template
import airflow_provider_asyncapi.core.requests.resumable_upload
import airflow_provider_asyncapi.core.selectors.explanations
import airflow_provider_asyncapi.core.selectors.general_paths
import airflow_provider_asyncapi.core.selectors.patterns
import airflow_provider_asyncapi.core.selectors.suggestions
import airflow_provider_asyncapi.core.selectors.xpath
import airflow_provider_asyncapi.core.selectors.xpath_results
import airflow_provider_asyncapi.core.submit.changed_request
import airflow_provider_asyncapi.core.submit.flow
import airflow_provider_asyncapi.core.submit.lookup_flow
import airflow_provider_asyncapi.core.submit.repair
import airflow_provider_asyncapi.core.wait.batch_flow
import airflow_provider_asyncapi.core.wait.callback_flow
import airflow_provider_asyncapi.core.wait.cancel_flow
import airflow_provider_asyncapi.core.wait.log_flow
import airflow_provider_asyncapi.core.wait.summaries
import airflow_provider_asyncapi.hooks.calls
import airflow_provider_asyncapi.hooks.fetch_result
import airflow_provider_asyncapi.hooks.running
import airflow_provider_asyncapi.operators.asyncapi
import airflow_provider_asyncapi.operators.job
import airflow_provider_asyncapi.results.fetching
import airflow_provider_asyncapi.sensors.asyncapi
import airflow_provider_asyncapi.tasks.callbacks
import airflow_provider_asyncapi.tasks.cancel_request
import airflow_provider_asyncapi.tasks.fetch_result
import airflow_provider_asyncapi.tasks.job_cancel
import airflow_provider_asyncapi.tasks.job_history
import airflow_provider_asyncapi.tasks.job_slots
import airflow_provider_asyncapi.tasks.job_templates
import airflow_provider_asyncapi.tasks.job_wait
import airflow_provider_asyncapi.tasks.next_job
import airflow_provider_asyncapi.tasks.published_wait
import airflow_provider_asyncapi.tasks.rerunning_task
import airflow_provider_asyncapi.tasks.secrets
import airflow_provider_asyncapi.tasks.stages
import airflow_provider_asyncapi.tasks.submission_state
import airflow_provider_asyncapi.tasks.submit_job
import airflow_provider_asyncapi.tasks.validation
import airflow_provider_asyncapi.tasks.wait_options
import airflow_provider_asyncapi.tasks.wait_state
import airflow_provider_asyncapi.tasks.without_worker
import airflow_provider_asyncapi.transports.requests
import airflow_provider_asyncapi.transports.shared_tokens
import airflow_provider_asyncapi.triggers.asyncapi
import airflow_provider_asyncapi.triggers.cancel_reasons
import airflow_provider_asyncapi.triggers.kill_history
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.fetch.outputs.archives import Archive
from airflow_provider_asyncapi.core.fetch.outputs.registry import OUTPUT_TYPES
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS
from airflow_provider_asyncapi.core.lazy import load_object
from airflow_provider_asyncapi.transports.tls import usual_context

for name in AUTH_KINDS:
    AUTH_KINDS.parse(name)
for writer in WRITE_AS.values():
    # A package that most tasks don't need may be missing, or large.
    if not writer.package:
        writer.load()
for output in OUTPUT_TYPES.values():
    if isinstance(output, Archive):
        load_object(output.reader)

# Reading the certificates of all authorities takes about 0.09 s of CPU.
usual_context()
