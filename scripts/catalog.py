"""
Write docs/profiles/README.md, the catalogue of profiles, from the profiles: ``python -m scripts.catalog``.

With ``--check`` it only compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi.connections.profiles import find_profile_files, load_profile
from scripts.generated_page import ROOT, write_page

TARGET = ROOT / "docs" / "profiles" / "README.md"
HEAD = """\
# Catalogue of profiles

Generated from the profiles by `scripts/catalog.py`; to change this page, edit the profiles.

Set `profile="…"` on a task or in `async_api_job`; the page of a vendor has a connection and a DAG to copy. The
[guide](../guides/profiles.md) explains what a profile is, and how to change one or write your own.

| column | meaning |
| --- | --- |
| signs in by | the `auth` of the connection |
| result | what is fetched: a `value` or `rows` (a list); a `file` or an `archive`, which needs a destination |
| cancel | whether a task that is killed or times out cancels the job |
| once | how a job is found whose submission was interrupted: by an idempotency key, or by a lookup request |
| progress | whether polls show the progress of the job |
| waits | the seconds between polls, and the hours until the timeout, if the profile sets them |
| checked | the day on which the profile was compared with its sources |

In the profiles, `D` marks what the vendor documents, `C` what was seen in public client code, and `A` what is assumed.

## A DAG file

What a page shows as its DAG goes into the `with` block of such a file:

<!-- vendor: dbt/job_runs -->
```python
from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("models_daily", schedule="@daily", default_args={"deferrable": True}):
    async_api_job(
        "models",
        asyncapi_conn_id="vendor",
        profile="dbt/job_runs",
        submit={"variables": {"account": 123, "job": 567}},
        fetch={"destination": "s3://my-bucket/dbt/{{ ds }}.json"},
    )
```

`vendor` is the id of the connection; another one works as well. If you save the JSON of the page as `vendor.json`,
`airflow connections add vendor --conn-json "$(cat vendor.json)"` stores it. A variable that the page names goes to the
`variables` of `submit`; all three tasks know it. `airflow asyncapi profiles show dbt/job_runs` prints the whole
profile, with its variables and their defaults. Parameters of the wait, such as `timeout`, go to
`status`: `status={"timeout": 3 * 3600}`.

Without `fetch`, nothing is fetched. With `fetch={}` the result is the return value of the task, in XCom, which takes
48 KiB (`max_xcom_bytes`); a larger result needs a destination. A destination may also be a local path such as
`/data/dbt/run.json` or [another object store](../guides/fetching.md#xcom-or-a-destination); for `s3://`,
[install](../guides/installing.md) the Amazon provider with `s3fs`. In a run without a logical date, `{{ ds }}` isn't
defined: use `{{ dag_run.run_after | ds }}`.

As [one task](../guides/one_task.md), the same job is as follows; `variables` is a parameter of its own there:

<!-- vendor: dbt/job_runs -->
```python
from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

with DAG("models_daily", schedule="@daily"):
    AsyncApiJobOperator(
        task_id="models",
        asyncapi_conn_id="vendor",
        profile="dbt/job_runs",
        variables={"account": 123, "job": 567},
        fetch={"destination": "s3://my-bucket/dbt/{{ ds }}.json"},
        deferrable=True,
    )
```

A task that comes after the job is chained to it: `models = async_api_job(…)`, then `models >> done()`. It reads what
the job has returned from `models.output`, the return value of the last of its tasks.
"""
#: Categories in the order of the page; profiles without one come last.
CATEGORIES = (
    "AI",
    "Data platforms",
    "Data integration",
    "Business applications",
    "Advertising",
    "Web data",
    "Standards",
)
_OTHERS = "Others"
#: What the fetch returns, by the output type.
_RESULTS = {"pages": "rows", "file": "file", "gzip": "file", "zip": "archive", "tar": "archive"}
_FORMATS_OF_ROWS = ("csv", "ndjson")
_HEADER = (
    "| profile | API | signs in by | result | cancel | once | progress | waits | checked |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def render() -> str:
    """Return the text of the catalogue."""
    profiles = {name: load_profile(name) for name in find_profile_files()}
    parts = [HEAD]
    for category in (*CATEGORIES, _OTHERS):
        rows = [
            _make_row(name, profile)
            for name, profile in profiles.items()
            if profile["about"].get("category", _OTHERS) == category
        ]
        if rows:
            parts.append(f"## {category}\n\n{_HEADER}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _make_row(name: str, profile: Mapping[str, Mapping[str, Any]]) -> str:
    about = profile["about"]
    shown = f"[`{name}`]({about['page']}.md)" if "page" in about else f"`{name}`"
    title = f"[{about['title']}]({about['documentation']})" if "documentation" in about else about["title"]
    cells = (
        shown,
        title,
        profile["connection"].get("auth", ""),
        _describe_result(profile["fetch"]),
        "yes" if profile["cancel"] or profile["status"].get("cancel") else "",
        _describe_once(profile["submit"]),
        "yes" if "progress" in profile["status"] else "",
        ", ".join(_describe_waits(profile["status"])),
        str(about.get("checked", "")),
    )
    return f"| {' | '.join(cells)} |"


def _describe_result(fetch: Mapping[str, Any]) -> str:
    if fetch.get("output_type") in _RESULTS:
        return _RESULTS[fetch["output_type"]]
    if fetch.get("result_format") in _FORMATS_OF_ROWS:
        return "rows"
    return "value" if "endpoint" in fetch else ""


def _describe_once(submit: Mapping[str, Any]) -> str:
    if "lookup" in submit:
        return "lookup"
    return "key" if "{idempotency_key}" in str(submit) else ""


def _describe_waits(status: Mapping[str, Any]) -> Iterator[str]:
    if "poke_interval" in status:
        yield f"{status['poke_interval']} s"
    if "timeout" in status:
        yield f"{status['timeout'] / 3600:g} h"


if __name__ == "__main__":
    sys.exit(write_page(TARGET, render(), "scripts.catalog"))
