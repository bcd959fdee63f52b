"""The API and the commands that `explore` is tested with."""

from __future__ import annotations

from typing import Any

from tests.unit.fake_airflow import reply

SUBMIT = """curl -X POST {url}/v1/exports -H 'Authorization: Bearer t0p-secret-token' \\
  -H 'Content-Type: application/json' -d '{{"table": "orders", "days": 7}}'"""
STATUS = "curl {url}/v1/exports/5e1 -H 'Authorization: Bearer t0p-secret-token'"
ROWS = "curl {url}/v1/exports/5e1/rows -H 'Authorization: Bearer t0p-secret-token'"
RUNNING, FINISHED = reply({"export": {"state": "RUNNING", "percent": 40}}), reply({"export": {"state": "FINISHED"}})


def respond(api: Any, *polls: Any) -> None:
    api.respond_to("POST /v1/exports", reply({"export": {"id": "7f3", "owner_id": "u9"}}, 201))
    api.respond_to("GET /v1/exports/7f3", *polls)
    api.respond_to("GET /v1/exports/7f3/rows", reply({"rows": [{"order": 1}]}))
