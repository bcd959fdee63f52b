"""
What tasks import, imported once for a worker: each task is a fork of it, and begins with what the worker has.

Airflow imports a module ``airflow_local_settings``, of yours, when it starts; this line there is all it takes::

    import airflow_provider_asyncapi.preload
"""

from __future__ import annotations

try:
    import airflow.dag_processing.dagbag
except ImportError:
    # Airflow 3.1.0 has it here.
    import airflow.models.dagbag

import cryptography.fernet

import airflow_provider_asyncapi.callbacks
import airflow_provider_asyncapi.core.flows.abandon
import airflow_provider_asyncapi.core.flows.callbacks
import airflow_provider_asyncapi.core.flows.submit
import airflow_provider_asyncapi.core.lineage
import airflow_provider_asyncapi.core.plans.fetch
import airflow_provider_asyncapi.core.profiles
import airflow_provider_asyncapi.core.request_templates
import airflow_provider_asyncapi.core.showing
import airflow_provider_asyncapi.handover
import airflow_provider_asyncapi.hooks.calls
import airflow_provider_asyncapi.hooks.fetching
import airflow_provider_asyncapi.hooks.running
import airflow_provider_asyncapi.hooks.tokens
import airflow_provider_asyncapi.job_templates
import airflow_provider_asyncapi.operators.asyncapi
import airflow_provider_asyncapi.sensors.asyncapi
import airflow_provider_asyncapi.submissions
import airflow_provider_asyncapi.task_secrets
import airflow_provider_asyncapi.transports.requests
import airflow_provider_asyncapi.triggers.asyncapi
import airflow_provider_asyncapi.validation
import airflow_provider_asyncapi.waits
from airflow_provider_asyncapi.transports.tls import usual_context

# Reading the certificates of all authorities takes some 0.09 s of CPU.
usual_context()
