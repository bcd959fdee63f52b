"""The APIs that both sides read from: what they answer, and what a user has to set."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import Asked, Behaviour, reply

#: The days of one report, which no stream cuts into several.
START, END = "2024-05-01", "2024-05-03"


@dataclass(slots=True)
class Api:
    """
    A vendor of jobs.

    :param answers: what it answers, by method and path; a list is answered in turn, and its last item is repeated.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def serve(self, asked: Asked) -> Behaviour:
        self.requests.append(asked)
        key = f"{asked.method} {urlsplit(asked.target).path}"
        answers = self.answers.get(key)
        if answers is None:
            return reply({"error": f"no such request: {key}"}, 404)
        answers = answers if isinstance(answers, list) else [answers]
        number = self.counts[key] = self.counts.get(key, -1) + 1
        answer = answers[min(number, len(answers) - 1)]
        answer = answer(asked) if callable(answer) else answer
        return reply(answer) if isinstance(answer, bytes) else reply(answer, content_type="application/json")

    def restart(self) -> None:
        """Forget what was asked, so that the other side finds the same API."""
        self.requests.clear()
        self.counts.clear()


@dataclass(frozen=True, slots=True)
class Case:
    """
    A stream of a manifest, and the API that it reads.

    :param stream: its name.
    :param config: the configuration of the connector.
    :param variables: what a DAG sets.
    :param answers: the answers of the API, given its address.
    :param carry_out: what the import has named as not carried over, done to a row.
    :param environment: the environment of the CDK that the manifest was written for.
    :param package: the package whose manifest it is; None for the manifest of this folder.
    :param hosts: the addresses in the manifest that the API stands in for.
    :param rotates: whether the refresh token is replaced each time, in an Airflow Variable, which commands can't use.
    """

    stream: str
    config: Mapping[str, Any]
    variables: Mapping[str, Any]
    answers: Callable[[str], dict[str, Any]]
    carry_out: Callable[[dict[str, Any]], dict[str, Any]] = dict
    environment: str = ".venv-airbyte-7"
    package: str | None = None
    hosts: tuple[str, ...] = ()
    rotates: bool = False


def _answer_sendgrid(url: str) -> dict[str, Any]:
    job = "/v3/marketing/contacts/exports"
    urls = [f"{url}/files/1", f"{url}/files/2"]
    return {
        f"POST {job}": {"id": "e-7"},
        f"GET {job}/e-7": [{"status": "pending"}, {"status": "ready", "urls": urls}],
        "GET /files/1": gzip.compress(
            b'EMAIL,FIRST_NAME,NOTE\nann@example.com,Ann,"a, ""b"""\nben@example.com,Ben,x\n'
        ),
        "GET /files/2": gzip.compress(b"EMAIL,FIRST_NAME,NOTE\ncy@example.com,Cy,y\n"),
    }


def _answer_pinterest(url: str) -> dict[str, Any]:
    reports = "/v5/ad_accounts/a-1/reports"

    def poll(asked: Asked) -> Any:
        assert parse_qs(urlsplit(asked.target).query) == {"token": ["t-7"]}
        return {"report_status": "FINISHED", "url": f"{url}/files/report.json"}

    return {
        "POST /v5/oauth/token": {"access_token": "at", "refresh_token": "rt-2", "expires_in": 3600},
        "GET /v5/ad_accounts": {"items": [{"id": "a-1"}]},
        f"POST {reports}": {"token": "t-7"},
        f"GET {reports}": [{"report_status": "IN_PROGRESS"}, poll],
        "GET /files/report.json": {
            "c-1": [{"DATE": START, "CLICKTHROUGH_1": 3, "SPEND_IN_DOLLAR": 1.5}, {"DATE": END, "CLICKTHROUGH_1": 0}],
            "c-2": [{"DATE": START, "CLICKTHROUGH_1": 7, "SPEND_IN_DOLLAR": 2.0}],
        },
    }


def _answer_bing(url: str) -> dict[str, Any]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        rows = 'AccountName,CampaignName,Impressions,Goal\n"Acme, Inc.",Spring,12,--\nAcme,Autumn,,sale\n'
        packed.writestr("report.csv", rows.encode("utf-8-sig"))
    account = {"Id": 42, "ParentCustomerId": 9, "LastModifiedTime": "2024-01-01T00:00:00"}
    status = {"Status": "Success", "ReportDownloadUrl": f"{url}/files/report.zip"}
    return {
        "POST /t-1/oauth2/v2.0/token": {"access_token": "at", "expires_in": 3600},
        "POST /CustomerManagement/v13/User/Query": {"User": {"Id": 5}},
        "POST /CustomerManagement/v13/Accounts/Search": {"Accounts": [account]},
        "POST /Reporting/v13/GenerateReport/Submit": {"ReportRequestId": "r-7"},
        "POST /Reporting/v13/GenerateReport/Poll": [
            {"ReportRequestStatus": {"Status": "Pending"}},
            {"ReportRequestStatus": status},
        ],
        "GET /files/report.zip": archive.getvalue(),
    }


def _finish_bing_row(row: dict[str, Any]) -> dict[str, Any]:
    """Make values null, and give them the types of the schema."""
    row = {key: None if value in ("", "--") else value for key, value in row.items()}
    return {**row, "Impressions": None if row["Impressions"] is None else int(row["Impressions"])}


def _answer_paged(url: str) -> dict[str, Any]:
    pages = {None: ([1, 2], "p2"), "p2": ([3], "p3"), "p3": ([4, 5], None)}

    def page(asked: Asked) -> Any:
        assert asked.headers["x-session"] == "Session s-1"
        query = parse_qs(urlsplit(asked.target).query)
        rows, after = pages[query["after"][0] if "after" in query else None]
        return {"data": {"rows": [{"order": number, "tags": ["a", None]} for number in rows]}, "next": after}

    return {
        "POST /session": {"data": {"token": "s-1"}},
        "POST /v1/jobs": {"job": {"id": "j-7"}, "shard": 3},
        "GET /v1/jobs/j-7": [{"state": "QUEUED"}, {"state": "DONE", "report": {"key": 12}}],
        "GET /v1/reports/12/parts": {"parts": [f"{url}/files/a", f"{url}/files/b"]},
        "GET /v1/reports/12/rows": page,
        "GET /files/a": b'{"order": 1, "total": 1.50}\n{"order": 2}\n',
        "GET /files/b": b'{"order": 3, "nested": {"a": [1]}}\n',
        "POST /v1/jobs/j-7/delete": {},
    }


_BING = {"client_id": "c", "client_secret": "s", "refresh_token": "rt", "tenant_id": "t-1", "developer_token": "d"}
_OWN = {"user": "ann", "password": "pw-1", "region": "eu"}
CASES = (
    Case(
        stream="contacts",
        config={"api_key": "SG.1", "start_date": f"{START}T00:00:00Z"},
        variables={},
        answers=_answer_sendgrid,
        carry_out=lambda row: {key.lower(): value for key, value in row.items()},
        environment=".venv-airbyte-5",
        package="source_sendgrid",
        hosts=("https://api.sendgrid.com",),
    ),
    Case(
        stream="campaign_analytics_report",
        config={
            "credentials": {"client_id": "c", "client_secret": "s", "refresh_token": "rt"},
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "rt",
            # One interval: a report has at most half a year.
            "start_date": datetime.now(UTC).date().isoformat(),
        },
        variables={"partition_id": "a-1", "start_time": START, "end_time": END},
        answers=_answer_pinterest,
        package="source_pinterest",
        hosts=("https://api.pinterest.com",),
        rotates=True,
    ),
    Case(
        stream="age_gender_audience_report_daily",
        config={**_BING, "reports_start_date": datetime.now(UTC).date().isoformat()},
        variables={"account_id": 42, "parent_customer_id": 9},
        answers=_answer_bing,
        carry_out=_finish_bing_row,
        package="source_bing_ads",
        hosts=(
            "https://reporting.api.bingads.microsoft.com",
            "https://clientcenter.api.bingads.microsoft.com",
            "https://login.microsoftonline.com",
        ),
        rotates=True,
    ),
    Case("orders", _OWN, {"start_time": START, "end_time": END}, _answer_paged, hosts=("https://api.example.com",)),
    Case("parts", _OWN, {}, _answer_paged, hosts=("https://api.example.com",)),
)
