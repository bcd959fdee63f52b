"""The servers of the recipes for submitting jobs."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from lxml import etree

from tests.docs.servers.recipe import Call, RefusedError, Reply, State, need, progress, server, unknown, xml


@server("location", [{"id": 1}, {"id": 2}])
def location(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/exports":
            need(call.json == {"table": "orders"}, "which table?")
            return Reply(202, headers={"Location": "/v1/operations/77", "Retry-After": "2"})
        case "GET /v1/operations/77":
            done = progress(state, (False, False, True))
            body = {"status": "succeeded", "resultUrl": "/v1/exports/77/rows"}
            return Reply(200, body if done else {"status": "running", "percent": 40}, {"Retry-After": "2"})
        case "GET /v1/exports/77/rows":
            return Reply(200, [{"id": 1}, {"id": 2}])
    raise unknown(call)


@server("http_202", {"total": 99})
def http_202(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/reports":
            need(call.json == {"year": 2026}, "which year?")
            return Reply(202, headers={"Location": "/v1/queue/5"})
        case "GET /v1/queue/5":
            if progress(state, (False, True)):
                return Reply(303, headers={"Location": "/v1/reports/5"})
            return Reply(202, headers={"Retry-After": "1"})
        case "GET /v1/reports/5":
            return Reply(200, {"total": 99})
    raise unknown(call)


@server("http_202_same_place", {"total": 99})
def http_202_same_place(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v1/reports":
            return Reply(202, headers={"Location": f"{state.url}/v1/reports/5"})
        case "GET /v1/reports/5":
            return Reply(200, {"total": 99}) if progress(state, (False, True)) else Reply(202)
    raise unknown(call)


@server("form", ["a", "b"])
def form(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /cgi/run":
            need(call.form.keys() == {"tool", "db"} and call.form["tool"] == "blast", "which tool?")
            need(call.body.count(b"db=") == 2, "which databases?")
            return Reply(200, {"job": {"id": 42}})
        case "GET /cgi/status":
            need(call.params == {"id": "42"}, "which job?")
            return Reply(200, {"job": {"state": progress(state, ("QUEUED", "RUNNING", "FINISHED"))}})
        case "GET /cgi/result":
            need(call.params == {"id": "42"}, "which job?")
            return Reply(200, {"hits": ["a", "b"]})
    raise unknown(call)


@server("multipart", "what was said")
def multipart(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /v2/transcripts":
            name, kind, content = call.parts["file"]
            need((name, kind) == ("orders.csv", "text/csv"), "which file?")
            need(content == b"id,amount\n1,20", "the file is broken")
            need(call.parts["language"][2] == b"en", "which language?")
            return Reply(201, {"id": "t-1"})
        case "GET /v2/transcripts/t-1":
            return Reply(200, {"status": progress(state, ("processing", "ready"))})
        case "GET /v2/transcripts/t-1/text":
            return Reply(200, "what was said", content_type="text/plain")
    raise unknown(call)


@server("prepare", [{"custom_id": "1", "ok": True}])
def prepare(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /files":
            need(b'name="purpose"' in call.body and b'filename="batch.jsonl"' in call.body, "no file")
            return Reply(200, {"id": "file-1"})
        case "POST /batches":
            need(call.json == {"input_file_id": "file-1"}, "no such file")
            return Reply(200, {"id": "batch-1", "status": "validating"})
        case "GET /batches/batch-1":
            status = progress(state, ("in_progress", "completed"))
            return Reply(200, {"status": status, "output_file_id": "file-2"})
        case "GET /files/file-2/content":
            return Reply(200, b'{"custom_id": "1", "ok": true}\n')
    raise unknown(call)


@server("files", 2, files={"in/2026-01-31/orders.csv": b"id\n1\n2\n"})
def files(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /uploads":
            return Reply(201, {"id": "u-1", "url": "/uploads/u-1/content"})
        case "PUT /uploads/u-1/content":
            need(call.headers["content-type"] == "text/csv", "which type?")
            digest = hashlib.md5(call.body, usedforsecurity=False).digest()
            need(base64.b64decode(call.headers["content-md5"]) == digest, "the file is broken")
            state.seen["rows"] = call.body.count(b"\n") - 1
            return Reply(204)
        case "POST /imports":
            need(call.json == {"upload": "u-1"} and "rows" in state.seen, "no such upload")
            return Reply(202, {"id": 7})
        case "GET /imports/7":
            return Reply(200, {"state": progress(state, ("running", "done")), "rows": state.seen["rows"]})
    raise unknown(call)


@server("tus", 2, files={"in/orders.csv": b"id\n1\n2\n"})
def tus(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /uploads":
            state.seen["size"] = int(call.headers["upload-length"])
            return Reply(201, headers={"Location": "/uploads/u-1"})
        case "HEAD /uploads/u-1":
            # Of an earlier try, as it were.
            state.seen["content"] = b"id"
            return Reply(200, headers={"Upload-Offset": "2"})
        case "PATCH /uploads/u-1":
            need(call.headers["upload-offset"] == "2", "which offset?", 409)
            need(call.headers["content-type"] == "application/offset+octet-stream", "which type?", 415)
            state.seen["content"] += call.body
            return Reply(204, headers={"Upload-Offset": str(len(state.seen["content"]))})
        case "POST /imports":
            need(call.json == {"upload": "/uploads/u-1"}, "no such upload")
            need(len(state.seen["content"]) == state.seen["size"], "the upload isn't complete", 409)
            return Reply(202, {"id": 7})
        case "GET /imports/7":
            rows = state.seen["content"].count(b"\n") - 1
            return Reply(200, {"state": progress(state, ("running", "done")), "rows": rows})
    raise unknown(call)


@server("resumable_upload", 2, files={"in/orders.csv": b"id\n1\n2\n"})
def resumable_upload(state: State, call: Call) -> Reply:
    match str(call), call.headers.get("content-range"):
        case "POST /upload", None:
            need(call.params == {"uploadType": "resumable"} and call.json == {"name": "orders.csv"}, "which file?")
            return Reply(200, headers={"Location": f"{state.url}/upload?session=1"})
        case "PUT /upload", "bytes */7":
            return Reply(308, headers={"Range": "bytes=0-1"})
        case "PUT /upload", "bytes 2-6/7":
            need(call.body == b"\n1\n2\n", "which bytes?")
            return Reply(200, {"id": "f-1"})
        case "POST /imports", None:
            need(call.json == {"file": "f-1"}, "no such file")
            return Reply(202, {"id": 7})
        case "GET /imports/7", None:
            return Reply(200, {"state": progress(state, ("running", "done")), "rows": 2})
    raise unknown(call)


@server("two_step", [1, 2, 3], counted={"start": 1})
def two_step(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs":
            need(call.json == {"name": "nightly"}, "which job?")
            return Reply(201, {"id": 7, "state": "NEW"})
        case "POST /jobs/7/start":
            need(call.json == {"mode": "full"}, "which mode?")
            state.nth("start")
            return Reply(202)
        case "GET /jobs/7":
            need("start" in state.counts, "nobody has started it", 409)
            return Reply(200, {"id": 7, "state": progress(state, ("QUEUED", "RUNNING", "DONE"))})
        case "GET /jobs/7/output":
            return Reply(200, {"rows": [1, 2, 3]})
    raise unknown(call)


@server("jsonrpc", [{"n": 1}])
def jsonrpc(state: State, call: Call) -> Reply:
    need(str(call) == "POST /rpc", "there is only POST /rpc", 404)
    request = call.json
    need(request.keys() == {"jsonrpc", "id", "method", "params"} and request["jsonrpc"] == "2.0", "not JSON-RPC 2.0")
    match request["method"], request["params"]:
        case "report.create", {"year": 2026}:
            result: Any = {"job": 9}
        case "job.get", {"job": 9}:
            result = {"state": progress(state, ("queued", "running", "done"))}
        case "job.result", {"job": 9}:
            result = {"rows": [{"n": 1}]}
        case _:
            raise RefusedError(f"invalid params: {request}")
    return Reply(200, {"jsonrpc": "2.0", "id": request["id"], "result": result})


@server("graphql", [{"id": 1}])
def graphql(state: State, call: Call) -> Reply:
    need(str(call) == "POST /graphql", "there is only POST /graphql", 404)
    query, variables = call.json["query"], call.json["variables"]
    need(query.count("{") == query.count("}"), "syntax error")
    match variables:
        case {"input": {"table": "orders"}}:
            need("startExport(input: $input) { id userErrors { message } }" in query, "syntax error")
            return Reply(200, {"data": {"startExport": {"id": "RXhwb3J0OjE=", "userErrors": []}}})
        case {"id": "RXhwb3J0OjE="} if "{ state }" in query:
            return Reply(200, {"data": {"export": {"state": progress(state, ("QUEUED", "RUNNING", "COMPLETED"))}}})
        case {"id": "RXhwb3J0OjE="} if "{ rows { id } }" in query:
            return Reply(200, {"data": {"export": {"rows": [{"id": 1}]}}})
    raise RefusedError(f"invalid variables {variables}")


@server("soap", "99")
def soap(state: State, call: Call) -> Reply:
    need(str(call) == "POST /soap", "there is only POST /soap", 404)
    need(call.headers.get("content-type") == "text/xml; charset=utf-8", "SOAP 1.1 is text/xml", 415)
    names = {"s": "http://schemas.xmlsoap.org/soap/envelope/", "v": "urn:vendor"}
    (request,) = call.xml.xpath("/s:Envelope/s:Body/*", namespaces=names)
    action = etree.QName(request).localname
    need(call.headers.get("soapaction") == action, "the SOAPAction is wrong")
    match action, "".join(request.itertext()).strip():
        case "CreateReport", "2026":
            inner = "<JobId>R-5</JobId>"
        case "GetStatus", "R-5":
            inner = f"<State>{progress(state, ('Queued', 'Running', 'Finished'))}</State>"
        case "GetReport", "R-5":
            inner = '<Rows><row total="99"/></Rows>'
        case other:
            raise RefusedError(f"no such operation: {other}")
    inner = inner.replace("</", "</@").replace("<", "<v:").replace("<v:/@", "</v:")
    return xml(
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:v="urn:vendor">'
        f"<soapenv:Body><v:{action}Response>{inner}</v:{action}Response></soapenv:Body></soapenv:Envelope>"
    )


@server("uws", [{"name": "Sirius"}, {"name": "Vega"}], counted={"run": 1, "delete": 1})
def uws(state: State, call: Call) -> Reply:
    job = f"{state.url}/tap/async/1"
    match str(call):
        case "POST /tap/async":
            need(call.form == {"QUERY": "SELECT * FROM stars", "LANG": "ADQL", "FORMAT": "csv"}, "which query?")
            return Reply(303, headers={"Location": job})
        case "POST /tap/async/1/phase":
            need(call.form == {"PHASE": "RUN"}, "which phase?")
            state.nth("run")
            return Reply(303, headers={"Location": job})
        case "GET /tap/async/1":
            # The start is redirected here too.
            phase = progress(state, ("QUEUED", "EXECUTING", "EXECUTING", "COMPLETED"))
            return xml(
                '<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
                f"<uws:phase>{phase}</uws:phase><uws:results>"
                f'<uws:result id="result" xlink:href="{job}/results/result"/></uws:results></uws:job>'
            )
        case "GET /tap/async/1/results/result":
            return Reply(200, "name\nSirius\nVega\n", content_type="application/octet-stream")
        case "DELETE /tap/async/1":
            state.nth("delete")
            return Reply(303, headers={"Location": f"{state.url}/tap/async"})
        case "GET /tap/async":
            return xml('<uws:jobs xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0"/>')
    raise unknown(call)


@server("idempotency", "b-1", counted={"submit": 2})
def idempotency(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /payments/batches":
            need(call.json == {"day": "2026-01-31"}, "which day?")
            key = call.headers.get("idempotency-key")
            need(key, "no Idempotency-Key")
            need(state.seen.setdefault("key", key) == key, "that is another key")
            # The first answer is lost in a gateway.
            return Reply(502, "bad gateway") if state.nth("submit") == 1 else Reply(201, {"id": "b-1"})
        case "GET /payments/batches/b-1":
            return Reply(200, {"status": progress(state, ("open", "settled"))})
    raise unknown(call)


@server("lookup", "e-4", counted={"submit": 1})
def lookup(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            state.seen["reference"] = call.json["reference"]
            state.nth("submit")
            # The job is made, and its answer is lost in a gateway.
            return Reply(504, "gateway timeout")
        case "GET /exports":
            need(dict(call.query)["reference"] == state.seen["reference"], "another reference")
            return Reply(200, {"exports": [{"id": "e-4"}] if state.nth("look-up") > 1 else []})
        case "GET /exports/e-4":
            return Reply(200, {"state": progress(state, ("running", "done"))})
    raise unknown(call)


@server("fast", [[1]], counted={"submit": 1})
def fast(state: State, call: Call) -> Reply:
    need(str(call) == "POST /query", "a fast query isn't asked for again", 404)
    state.nth("submit")
    return Reply(200, {"rows": [[1]]})


@server("slow", [[1]])
def slow(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /query":
            return Reply(202, {"ticket": "q-8"})
        case "GET /query/q-8":
            done = progress(state, (False, True))
            return Reply(200, {"state": "FINISHED", "rows": [[1]]} if done else {"state": "RUNNING"})
    raise unknown(call)
