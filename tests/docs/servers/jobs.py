"""The servers of the recipes for many jobs, and for jobs that others have submitted."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from http.cookies import SimpleCookie

from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from tests.docs.servers.recipe import Call, Reply, State, need, progress, serve_plain_job, server, unknown

KNOWN_ARN = "arn:aws:states:eu-west-1:123:execution:nightly:5b0c"


def _many(state: State, call: Call) -> Reply:
    jobs = state.seen.setdefault("jobs", [])
    match call.method, call.path.split("/")[1:]:
        case "POST", ["jobs"]:
            jobs.append(call.json["table"])
            return Reply(201, {"id": f"J-{len(jobs)}", "shard": f"s{len(jobs)}"})
        case "GET", ["jobs", job]:
            return Reply(200, {"status": progress(state, ("working", "done"), job)})
        case "GET", ["jobs", "J-1" | "J-2" as job, "rows"]:
            return Reply(200, [jobs[int(job[-1]) - 1]])
        case "GET", ["shards", shard, job, "rows"]:
            need(shard[-1] == job[-1], "no such job there", 404)
            return Reply(200, [jobs[int(job[-1]) - 1]])
    raise unknown(call)


server("mapped", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)
server("mapped_in_one_task", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)
server("mapped_group", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})(_many)


@server("several_jobs", [["orders"], ["customers"]], counted={"J-1": 2, "J-2": 2})
def several_jobs(state: State, call: Call) -> Reply:
    if str(call) == "POST /exports":
        state.seen["jobs"] = call.json["tables"]
        return Reply(202, {"jobs": [{"id": f"J-{number}"} for number in (1, 2)]})
    return _many(state, call)


@server("batch", ["J-1", "J-2"], counted={"J-1": 3, "J-2": 3})
def batch(state: State, call: Call) -> Reply:
    if str(call) == "GET /jobs":
        need(set(call.params) == {"ids"}, "which jobs?")
        status = {job: progress(state, (None, "working", "done"), job) for job in call.params["ids"].split(",")}
        return Reply(200, {"jobs": [{"id": job, "status": mine} for job, mine in status.items() if mine]})
    return _many(state, call)


@server("foreign_job", [1])
def foreign_job(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /jobs/J-1":
            return Reply(200, {"status": progress(state, ("working", "done"))})
        case "GET /jobs/J-1/rows":
            return Reply(200, [1])
    raise unknown(call)


@server("five_minutes", [{"id": 1}])
def five_minutes(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/exports":
            need(call.json == {"table": "orders"}, "which table?")
            return Reply(201, {"export": {"id": "e-7"}})
        case "GET /v1/exports/e-7":
            job = {"id": "e-7", "state": progress(state, ("QUEUED", "RUNNING", "FINISHED")), "percent": 40}
            return Reply(200, {"export": job})
        case "GET /v1/exports/e-7/rows":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


@server("json_in_query", "q-1")
def json_in_query(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /search":
            need(json.loads(call.params["filter"]) == {"state": "open", "size": {"gt": 5}}, "which items?")
            return Reply(202, {"id": "q-1"})
        case "GET /jobs":
            need(json.loads(call.params["where"]) == [{"field": "id", "is": "q-1"}], "which job?")
            return Reply(200, {"jobs": [{"state": progress(state, ("busy", "done"))}]})
    raise unknown(call)


@server("exists_already", "e-3")
def exists_already(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(409, {"message": "there is one already", "existing": {"id": "e-3"}})
        case "GET /exports/e-3":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
    raise unknown(call)


@server("known_key", KNOWN_ARN, counted={"submit": 2})
def known_key(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /executions":
            key = call.json["name"]
            if state.nth("submit") == 1:
                state.seen["key"] = key
                return Reply(504)
            need(key == state.seen["key"], "there would be a second job")
            message = f"Execution Already Exists: '{KNOWN_ARN}'"
            return Reply(400, {"__type": "ExecutionAlreadyExists", "message": message})
        case "POST /status":
            need(call.json == {"executionArn": KNOWN_ARN}, "no such execution")
            return Reply(200, {"status": progress(state, ("RUNNING", "SUCCEEDED"))})
    raise unknown(call)


@server("status_details", [{"id": 1}], counted={"result": 2, "poll": 3})
def status_details(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-1"})
        case "GET /runs/r-1":
            return Reply(200, {"state": progress(state, ("RUNNING", "FINISHED"))})
        case "GET /runs/r-1/result":
            if state.nth("result") == 1:
                return Reply(503)
            return Reply(200, {"ok": True, "file": "/files/f-1"})
        case "GET /files/f-1":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


@server("failure_details", AsyncApiJobFailed, counted={"error": 1, "log": 1})
def failure_details(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /runs":
            return Reply(201, {"id": "r-2"})
        case "GET /runs/r-2":
            return Reply(200, progress(state, ({"state": "RUNNING"}, {"state": "FAILED", "errorId": "e-9"})))
        case "GET /errors/e-9":
            state.nth("error")
            return Reply(200, {"log": "/logs/77.txt"})
        case "GET /logs/77.txt":
            state.nth("log")
            return Reply(200, "Traceback\nKeyError: 'x'", content_type="text/plain")
    raise unknown(call)


@server("graphql_pages", [1, 2, 3], counted={"page": 2})
def graphql_pages(state: State, call: Call) -> Reply:
    if call.path != "/graphql":
        return serve_plain_job(state, call)
    variables = call.json["variables"]
    need(variables in ({"id": 5, "after": None}, {"id": 5, "after": "c2"}), "which page?")
    state.nth("page")
    last = variables["after"] is not None
    info = {"hasNextPage": not last, "endCursor": "c3" if last else "c2"}
    return Reply(200, {"data": {"rows": {"nodes": [3] if last else [1, 2], "pageInfo": info}}})


@server("cookie", 5, connection={})
def cookie(state: State, call: Call) -> Reply:
    if str(call) == "POST /login":
        need(call.form == {"user": "robot", "password": "s3cret-word"}, "who?", 403)
        return Reply(204, headers={"Set-Cookie": "sid=abc123; Path=/; HttpOnly"})
    need(SimpleCookie(call.headers.get("cookie", ""))["sid"].value == "abc123", "who?", 401)
    return serve_plain_job(state, call)


def _call_back(url: str, body: bytes, key: str) -> int:
    """Call back, signed with a key; give the code of the answer."""
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Signature-256": f"sha256={signature}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@server("calls_back", [1, 2, 3], counted={"called": 1}, calls_back=True)
def calls_back(state: State, call: Call) -> Reply:
    need(str(call) == "POST /exports", "a job that calls back isn't asked for")
    need(call.json["table"] == "orders", "which table?")
    body = json.dumps({"id": "e-5", "state": "done", "rows": [1, 2, 3]}).encode()
    # Some jobs are over before the answer to the submit is read.
    need(_call_back(call.json["notify"], body, "another key") == 404, "Airflow takes what somebody else has signed")
    need(_call_back(call.json["notify"], body, "s3cret-key") == 200, "Airflow doesn't take the callback")
    state.nth("called")
    return Reply(202, {"id": "e-5"})


@server("repaired", "R-1", counted={"runs": 1, "repairs": 1})
def repaired(state: State, call: Call) -> Reply:
    match call.method, call.path.split("/")[1:]:
        case "POST", ["runs"]:
            state.nth("runs")
            return Reply(201, {"run_id": "R-1"})
        case "POST", ["runs", "R-1", "repair"]:
            need(call.json == {"rerun_all_failed_tasks": True}, "what should be repaired?")
            state.nth("repairs")
            return Reply(200, {})
        case "GET", ["runs", "R-1"]:
            is_repaired = "repairs" in state.counts
            return Reply(200, {"state": "SUCCESS"} if is_repaired else {"state": "FAILED", "failed_tasks": ["load"]})
    raise unknown(call)


@server("failing_once", "J-2", counted={"J-1": 1, "J-2": 1})
def failing_once(state: State, call: Call) -> Reply:
    keys = state.seen.setdefault("keys", [])
    match call.method, call.path.split("/")[1:]:
        case "POST", ["jobs"]:
            key = call.headers["idempotency-key"]
            need(key not in keys, "that job has failed")
            keys.append(key)
            return Reply(201, {"id": f"J-{len(keys)}"})
        case "GET", ["jobs", job]:
            state.nth(job)
            if job == "J-1":
                return Reply(200, {"status": "failed", "error": {"code": "NODE_LOST"}})
            return Reply(200, {"status": "done"})
    raise unknown(call)
