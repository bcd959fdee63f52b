"""
A warehouse: upload a file of the worker, and import it.

The file is sent by tus, a protocol of uploads that are resumed: an upload that was interrupted continues from the byte
up to which the API has the file, also in another try of the task. The warehouse breaks the connection once in the
middle; the log of the task `submit` has a line about it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_asyncapi.job import async_api_job

VERSION = {"Tus-Resumable": "1.0.0"}

with DAG("import_file", schedule=None, tags=["asyncapi"], doc_md=__doc__):

    @task
    def export() -> str:
        """Write a file of some megabytes."""
        with tempfile.NamedTemporaryFile("w", prefix="orders-", suffix=".csv", delete=False) as file:
            file.writelines(f"{number},paid\n" for number in range(300_000))
        return file.name

    @task(trigger_rule="all_done")
    def remove(path: Any) -> None:
        """Remove the file."""
        Path(path).unlink()

    path = export()
    job = async_api_job(
        "orders",
        asyncapi_conn_id="warehouse",
        submit={
            "prepare": [
                {
                    "endpoint": "/warehouse/uploads",
                    "method": "POST",
                    "headers": {**VERSION, "Upload-Length": "{file_size}"},
                    "capture": {"upload": "header:Location"},
                },
                {
                    "endpoint": "{upload}",
                    "method": "PATCH",
                    "headers": {**VERSION, "Upload-Offset": "{body_start}"},
                    "body": {
                        "path": path,
                        "content_type": "application/offset+octet-stream",
                        "resume": {"headers": VERSION, "offset": "header:Upload-Offset"},
                    },
                },
            ],
            "endpoint": "/warehouse/imports",
            "json": {"upload": "{upload}"},
            "identifier": "id",
        },
        status={
            "endpoint": "/warehouse/imports/{identifier}",
            "completion_key": "state",
            "completion_value": "done",
            "running_value": "running",
            "progress": "percent",
            "poke_interval": 1,
            "deferrable": True,
        },
        fetch={"endpoint": "/warehouse/imports/{identifier}", "result_path": "result"},
    )
    job >> remove(path)
