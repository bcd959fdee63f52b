"""The servers of the recipes for waiting."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_asyncapi.exceptions import AsyncApiTimeout
from tests.docs.servers.recipe import Call, Reply, State, need, progress, server, unknown


@server("status_list", "all went well\n")
def status_list(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            need(call.json == {"kind": "sync"}, "which kind?")
            return Reply(201, {"id": 7})
        case "GET /jobs":
            mine = progress(state, (None, "active", "ok"))
            jobs = [{"id": 6, "state": "error"}] + ([{"id": 7, "state": mine}] if mine else [])
            return Reply(200, {"jobs": jobs})
        case "GET /jobs/7/log":
            return Reply(200, "all went well\n", content_type="application/octet-stream")
    raise unknown(call)


@server("several_lists", "7")
def several_lists(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /queue":
            return Reply(201, {"id": "7"})
        case "GET /queue":
            where = progress(state, ("waiting", "active", "finished"))
            lists: dict[str, list[Any]] = {"waiting": [], "active": [], "finished": [{"id": "6", "exit": 1}]}
            lists[where].append({"id": "7", "exit": 0} if where == "finished" else "7")
            return Reply(200, lists)
    raise unknown(call)


@server("post_status", "a1")
def post_status(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /api/submit":
            return Reply(200, {"id": "a1"})
        case "POST /api/status":
            need(call.json == {"ids": ["a1"]}, "which jobs?")
            return Reply(200, {"statuses": [{"id": "a1", "value": progress(state, ("WAIT", "OK"))}]})
    raise unknown(call)


@server("status_header", 9)
def status_header(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /files":
            return Reply(201, {"id": 9})
        case "HEAD /files/9":
            return Reply(200, headers={"X-Job-State": progress(state, ("converting", "ready"))})
    raise unknown(call)


@server("http_status_only", {"picture": "…"})
def http_status_only(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /render":
            return Reply(202, {"id": "9"})
        case "GET /results/9":
            status = progress(state, (404, 404, 200))
            return Reply(status, {"picture": "…"} if status == 200 else "not here", content_type="application/json")
    raise unknown(call)


@server("json_in_string", "a,b\n")
def json_in_string(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /executions":
            return Reply(201, {"id": 3})
        case "GET /executions/3":
            phase = progress(state, ("working", "done"))
            return Reply(200, {"output": json.dumps({"phase": phase, "file": "a.csv"})})
        case "GET /files/a.csv":
            return Reply(200, "a,b\n", content_type="text/csv")
    raise unknown(call)


@server("bool_status", {"rows": 3})
def bool_status(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /load":
            return Reply(200, {"name": "operations/4"})
        case "GET /operations/4":
            done = progress(state, (False, True))
            return Reply(200, {"done": True, "response": {"rows": 3}} if done else {"done": False})
    raise unknown(call)


@server("refresh", "c-1")
def refresh(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /connectors/orders/sync":
            return Reply(200, {"id": "c-1", "succeeded_at": "2026-01-30T02:00:00Z"})
        case "GET /connectors/c-1":
            return Reply(200, {"succeeded_at": progress(state, ("2026-01-30T02:00:00Z", "2026-01-31T02:00:00Z"))})
    raise unknown(call)


@server("parts", 2)
def parts(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /batches":
            return Reply(201, {"id": 2})
        case "GET /batches/2":
            states = ["DONE", progress(state, ("RUNNING", "DONE"))]
            summary = {"done": states.count("DONE"), "total": 2}
            return Reply(200, {"parts": [{"state": each} for each in states], "summary": summary})
    raise unknown(call)


@server("errors_200", "t-3", counted={"submit": 2})
def errors_200(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /orders/export":
            full = state.nth("submit") == 1
            return Reply(200, {"ok": False, "code": "QUEUE_FULL"} if full else {"ok": True, "task": "t-3"})
        case "GET /tasks/t-3":
            return Reply(200, {"ok": True, "status": progress(state, ("working", "completed")), "failedRows": 0})
    raise unknown(call)


@server("visible_after", "r-1")
def visible_after(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-1"})
        case "GET /runs/r-1":
            found = progress(state, (None, None, "busy", "ok"))
            return Reply(404, {"message": "no such run"}) if found is None else Reply(200, {"state": found})
    raise unknown(call)


@server("no_data", 5, states={"export.fetch": "skipped"})
def no_data(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "EMPTY"))})
    raise unknown(call)


@server("cancel", AsyncApiTimeout, counted={"cancel": 1, "poll": 3})
def cancel(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            return Reply(201, {"id": 1})
        case "GET /jobs/1":
            if "cancel" in state.counts:
                return Reply(200, {"state": "cancelled"})
            return Reply(200, {"state": progress(state, ("running",))})
        case "DELETE /jobs/1":
            state.nth("cancel")
            return Reply(202)
    raise unknown(call)
