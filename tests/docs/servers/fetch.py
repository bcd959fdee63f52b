"""The servers of the recipes for fetching results."""

from __future__ import annotations

import gzip
import hashlib

from tests.docs.servers.recipe import (
    Call,
    Reply,
    State,
    need,
    progress,
    serve_plain_job,
    server,
    tarred,
    unknown,
    xml,
    zipped,
)


@server("presigned", {"exports/2026-01-31.csv": "id,amount\n1,20\n"})
def presigned(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
        case "GET /exports/5/link":
            return Reply(200, {"url": f"{state.seen['storage']}/5.csv?X-Amz-Signature=abc%2Fd%3D"})
        case "GET /storage/5.csv":
            need("authorization" not in call.headers, "only one auth mechanism allowed")
            need(call.params == {"X-Amz-Signature": "abc/d="}, "the signature doesn't match", 403)
            return Reply(200, "id,amount\n1,20\n", content_type="text/csv")
    raise unknown(call)


@server("url_list", {"exports/2026-01-31/part-0.csv": "0\n", "exports/2026-01-31/part-1.csv": "1\n"})
def url_list(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            files = [f"{state.seen['storage']}/part-{number}.csv" for number in range(2)]
            return Reply(200, {"status": "READY", "files": files} if state.nth("poll") > 1 else {"status": "BUSY"})
        case "GET /storage/part-0.csv":
            return Reply(200, "0\n", content_type="text/csv")
        case "GET /storage/part-1.csv":
            return Reply(200, "1\n", content_type="text/csv")
    raise unknown(call)


@server("linked_result", [{"id": 1}])
def linked_result(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            links = [{"rel": "self", "href": "/exports/5"}, {"rel": "result", "href": "/exports/5/rows"}]
            return Reply(200, {"status": progress(state, ("BUSY", "READY")), "links": links})
        case "GET /exports/5/rows":
            return Reply(200, [{"id": 1}])
    raise unknown(call)


@server("numbered_pages", [{"id": number} for number in range(5)])
def numbered_pages(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        page = int(call.params["page"])
        need(1 <= page <= 3, "no such page")
        return Reply(200, {"rows": [{"id": number} for number in range(5)[2 * page - 2 : 2 * page]]})
    return serve_plain_job(state, call, pages=3)


@server("next_link", [1, 2, 3])
def next_link(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows" and "after" in call.params:
        need(call.params == {"size": "2", "after": "2"}, "which page?")
        return Reply(200, [3], {"Link": '</jobs/5/rows?size=2>; rel="first"'})
    if call.path == "/jobs/5/rows":
        need(call.params == {"size": "2"}, "which size?")
        return Reply(200, [1, 2], {"Link": '</jobs/5/rows?size=2&after=2>; rel="next"'})
    return serve_plain_job(state, call)


@server("cursor", {"rows/2026-01-31.ndjson": "1\n2\n3\n"})
def cursor(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        need(call.params in ({}, {"cursor": "c2"}), "which cursor?")
        return Reply(200, {"rows": [3], "next": None} if call.params else {"rows": [1, 2], "next": "c2"})
    return serve_plain_job(state, call)


@server("odata", [{"id": 1}, {"id": 2}, {"id": 3}])
def odata(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        if call.params == {"$skiptoken": "2"}:
            return Reply(200, {"value": [{"id": 3}]})
        need(call.params == {"$count": "true"}, "which count?")
        first = {"@odata.count": 3, "value": [{"id": 1}, {"id": 2}]}
        return Reply(200, {**first, "@odata.nextLink": f"{state.url}/jobs/5/rows?$skiptoken=2"})
    return serve_plain_job(state, call)


@server("null_cursor", [{"Id": "1"}, {"Id": "2"}])
def null_cursor(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /jobs/query":
            return Reply(200, {"id": 5, "state": "UploadComplete"})
        case "GET /jobs/query/5":
            return Reply(200, {"state": progress(state, ("InProgress", "JobComplete"))})
        case "GET /jobs/query/5/results":
            is_last = call.params == {"locator": "MTAwMDAw", "maxRecords": "50000"}
            need(is_last or call.params == {"maxRecords": "50000"}, "which page?")
            locator = "null" if is_last else "MTAwMDAw"
            return Reply(200, f'"Id"\n"{2 if is_last else 1}"\n', {"Sforce-Locator": locator}, content_type="text/csv")
    raise unknown(call)


@server("offset", [1, 2, 3])
def offset(state: State, call: Call) -> Reply:
    if call.path == "/jobs/5/rows":
        need(call.params in ({"offset": "0", "limit": "2"}, {"offset": "2", "limit": "2"}), "which rows?")
        return Reply(200, [3] if call.params["offset"] == "2" else [1, 2])
    return serve_plain_job(state, call)


def _export(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /exports":
            return Reply(201, {"id": 5})
        case "GET /exports/5":
            return Reply(200, {"status": progress(state, ("BUSY", "READY"))})
    raise unknown(call)


@server("csv", [{"id": "1", "name": "a,b"}, {"id": "2", "name": "c"}])
def csv(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        need(call.headers.get("accept") == "text/csv", "not acceptable", 406)
        return Reply(200, 'id,name\r\n1,"a,b"\r\n2,c\r\n', content_type="text/csv; charset=utf-8")
    return _export(state, call)


@server("xml_rows", [{"@id": "1", "customer": "Ann", "item": ["pen", "ink"]}])
def xml_rows(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return xml(
            '<orders>\n<order id="1"><customer>Ann</customer><item>pen</item><item>ink</item></order>\n</orders>'
        )
    return _export(state, call)


@server("ndjson", [1, 2])
def ndjson(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return Reply(200, '{"id": 1}\n{"id": 2}\n', content_type="application/x-ndjson")
    return _export(state, call)


@server("large_json", {"exports/2026-01-31/result.ndjson": '{"id": 1, "deleted": false}\n'})
def large_json(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows":
        return Reply(200, {"meta": {}, "rows": [{"id": 1, "deleted": False}, {"id": 2, "deleted": True}]})
    return _export(state, call)


@server("tar", {"exports/2026-01-31/a.csv": "1\n", "exports/2026-01-31/sub/b.csv": "2\n"})
def tar(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.tar.gz":
        return Reply(200, tarred({"a.csv": "1\n", "sub/b.csv": "2\n"}), content_type="application/gzip")
    return _export(state, call)


@server("gzip", {"exports/2026-01-31/rows.csv": "1\n"})
def gzip_(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.csv.gz":
        return Reply(200, gzip.compress(b"1\n"), content_type="application/gzip")
    return _export(state, call)


@server("checksum", {"exports/2026-01-31.csv": "a,b\n"})
def checksum(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /files/5.csv":
            # A proxy on the way spoils the first answer.
            return Reply(200, b"a,b\n" if state.nth("file") > 1 else b"a;b\n", content_type="text/csv")
        case "GET /exports/5":
            stated = {"url": "/files/5.csv", "sha256": hashlib.sha256(b"a,b\n").hexdigest()}
            return Reply(200, {"status": progress(state, ("BUSY", "READY")), "file": stated})
    return _export(state, call)


@server("zip", {"exports/2026-01-31/a.csv": "1\n", "exports/2026-01-31/sub/b.csv": "2\n"})
def zip_(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/archive":
        need(call.headers.get("accept") == "application/zip", "not acceptable", 406)
        return Reply(200, zipped({"a.csv": "1\n", "sub/b.csv": "2\n"}), content_type="application/zip")
    return _export(state, call)


@server("file", {"exports/orders of today.parquet": "PAR1"})
def file(state: State, call: Call) -> Reply:
    if str(call) == "GET /exports/5/rows.parquet":
        named = {"Content-Disposition": 'attachment; filename="orders of today.parquet"'}
        return Reply(200, b"PAR1", named, content_type="application/vnd.apache.parquet")
    return _export(state, call)


@server("partial", [{"line": 1, "result": "ok"}, {"line": 2, "result": "rejected"}])
def partial(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /imports":
            return Reply(201, {"id": 5})
        case "GET /imports/5":
            return Reply(200, {"status": progress(state, ("busy", "done"))})
        case "GET /imports/5/report":
            return Reply(200, {"rows": [{"line": 1, "result": "ok"}, {"line": 2, "result": "rejected"}]})
    raise unknown(call)


@server("cleanup", [1], counted={"delete": 1})
def cleanup(state: State, call: Call) -> Reply:
    match str(call):
        case "GET /exports/5/rows":
            return Reply(200, [1])
        case "DELETE /exports/5":
            state.nth("delete")
            return Reply(204)
    return _export(state, call)
