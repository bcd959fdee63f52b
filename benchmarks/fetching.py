"""Measure what a fetch or an upload costs, next to the simplest code that does the same."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.measure import table

MB, GIB = 1_000_000, 1 << 30
ROUNDS = 3
#: One process, so that server and client have a processor each. It generates its responses while it sends them.
_SERVER = """
import asyncio, json, os, sys
from aiohttp import web

CHUNK = os.urandom(1 << 20)
PAGE = json.dumps({"rows": [{"n": number, "text": "x" * 960} for number in range(100)]}).encode()

async def file(request):
    size = int(request.match_info["size"])
    response = web.StreamResponse(headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"})
    await response.prepare(request)
    while size:
        await response.write(CHUNK[:size])
        size -= min(size, len(CHUNK))
    return response

async def archive(request):
    return web.FileResponse(sys.argv[1])

async def page(request):
    await asyncio.sleep(0.02)
    return web.Response(body=PAGE, content_type="application/json")

async def document(request):
    size = int(request.match_info["size"])
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    row = json.dumps({"id": 1, "ok": True, "text": "x" * 960})
    block = (row + ",").encode() * 1000
    await response.write(b'{"rows": [')
    while size > 0:
        await response.write(block)
        size -= len(block)
    await response.write(row.encode() + b"]}")
    return response

async def upload(request):
    async for _ in request.content.iter_chunked(1 << 20):
        pass
    return web.Response(status=204)

app = web.Application()
app.add_routes([web.get("/file/{size}", file), web.get("/zip", archive), web.get("/page", page)])
app.add_routes([web.get("/document/{size}", document), web.put("/upload", upload)])

async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
#: Prints wall seconds, CPU seconds and the additional megabytes of the process, all without its imports.
_MEASURED = """
import os, sys, time
url, folder, size = sys.argv[1:]
{setup}
def memory(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1000 for line in status if line.startswith(what))
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # the peak begins anew, so that what imports took for a while doesn't hide what follows
idle, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
{work}
print(time.perf_counter() - wall, time.process_time() - cpu, memory("VmHWM") - idle)
"""
_OURS = """
import json, logging
logging.disable(logging.WARNING)
os.environ["AIRFLOW_CONN_API"] = json.dumps({"conn_type": "asyncapi", "host": url})
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
import ijson, jsonpath_ng.ext.filter
hook = AsyncApiHook("api")
hook.get_conn()
def fetched(name, **given):
    limits = ResultLimits(10**11, 10**5, 200, 10**5)
    fetch(hook, FetchTask(FetchPlan.parse(given), JobHandle("7"), f"{folder}/{name}", limits))
"""
_REQUESTS = "import hashlib, requests, subprocess\nsession = requests.Session()"
_STREAMED = """
digest = hashlib.sha256()
with session.get(f"{url}%s", stream=True) as answer, open(f"{folder}/plain", "wb") as file:
    for chunk in answer.iter_content(1 << 20):
        file.write(chunk)
        digest.update(chunk)
"""
_PAGES = (
    'output_type="pages", endpoint="/page", query_params={"page": "{page}"}, result_path="rows",'
    " pages=int(size), concurrency=%d"
)
_AIOHTTP = """
async def main():
    slots = asyncio.Semaphore(%d)
    async with aiohttp.ClientSession() as session:
        async def one(number):
            async with slots, session.get(f"{url}/page", params={"page": number}) as answer:
                return (await answer.json())["rows"]
        pages = await asyncio.gather(*(one(number) for number in range(1, int(size) + 1)))
    with open(f"{folder}/plain", "w") as file:
        for rows in pages:
            for row in rows:
                file.write(json.dumps(row) + "\\n")
asyncio.run(main())
"""
#: The file that is sent, beside the folder of the process.
_UPLOADED = 'os.path.join(os.path.dirname(folder), "upload")'
_UPLOAD = f'"PUT", "/upload", body={{"path": {_UPLOADED}}}'
_WAYS = {
    "file": (_OURS, 'fetched("ours", output_type="file", endpoint=f"/file/{size}")'),
    "requests": (_REQUESTS, _STREAMED % "/file/{size}"),
    "zip": (_OURS, 'fetched("ours/", output_type="zip", endpoint="/zip")'),
    "unzip": (
        _REQUESTS,
        (_STREAMED % "/zip").replace("        digest.update(chunk)\n", "")
        + 'subprocess.run(["unzip", "-q", "-o", f"{folder}/plain", "-d", f"{folder}/plain.d"], check=True)',
    ),
    "pages": (_OURS, f'fetched("ours", {_PAGES % 8})'),
    "pages, 16 at a time": (_OURS, f'fetched("ours", {_PAGES % 16})'),
    "one by one": (
        _REQUESTS,
        """
with open(f"{folder}/plain", "w") as file:
    for number in range(1, int(size) + 1):
        for row in session.get(f"{url}/page", params={"page": number}).json()["rows"]:
            file.write(json.dumps(row) + "\\n")
""",
    ),
    "aiohttp": ("import aiohttp, asyncio", _AIOHTTP % 8),
    "aiohttp, 16 at a time": ("import aiohttp, asyncio", _AIOHTTP % 16),
    "upload": (_OURS, f"hook.request({_UPLOAD})"),
    "upload on a loop": (_OURS, f"import asyncio\nasyncio.run(hook.arequest({_UPLOAD}))"),
    "upload with requests": (
        _REQUESTS,
        f'with open({_UPLOADED}, "rb") as file:\n    session.put(f"{{url}}/upload", data=file).raise_for_status()',
    ),
    "document": (
        _OURS,
        'fetched("ours", endpoint=f"/document/{size}", result_path="rows[?(@.ok == true)]", write_as="ndjson")',
    ),
}


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fetching", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all sizes, such as 0.01 for a short run")
    scale = parser.parse_args(given or []).scale
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        archive = Path(folder, "archive.zip")
        _make_archive(archive, round(1000 * scale))
        server = subprocess.Popen([sys.executable, "-c", _SERVER, str(archive)], stdout=subprocess.PIPE, text=True)
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            for measure in (_files, _archive, _pages, _documents, _uploads):
                measure(f"http://127.0.0.1:{port}", folder, scale)
        finally:
            server.kill()
            server.wait()


def _files(url: str, folder: str, scale: float) -> None:
    whole = round(GIB * scale)
    both = _measured(url, folder, {"file": whole, "requests": whole})
    rows = [(f"{scale:g} GiB to disk, SHA-256", "CPU s", "of requests'", "wall s", "MB above idle")]
    for name, (wall, cpu, memory) in both.items():
        rows.append((name, f"{cpu:.2f}", f"{cpu / both['requests'][1]:.2f}", f"{wall:.2f}", f"{memory:.0f}"))
    for size in (round(100 * MB * scale), round(4000 * MB * scale)):
        wall, cpu, memory = _measured(url, folder, {"file": size}, rounds=1)["file"]
        rows.append((f"file of {size // MB} MB", f"{cpu:.2f}", "", f"{wall:.2f}", f"{memory:.0f}"))
    table("A file", rows)


def _archive(url: str, folder: str, scale: float) -> None:
    # The server sends the archive whatever the size.
    both = _measured(url, folder, {"zip": 0, "unzip": 0})
    rows = [
        (f"{scale:g} GiB in {round(1000 * scale):,} members", "wall s", "speed of unzip's", "CPU s", "MB above idle")
    ]
    for name, (wall, cpu, memory) in both.items():
        rows.append((name, f"{wall:.2f}", f"{both['unzip'][0] / wall:.2f}", f"{cpu:.2f}", f"{memory:.0f}"))
    table("An archive", rows)


def _pages(url: str, folder: str, scale: float) -> None:
    names = ("one by one", "pages", "aiohttp", "pages, 16 at a time", "aiohttp, 16 at a time")
    ways = _measured(url, folder, dict.fromkeys(names, round(200 * scale)))
    rows = [(f"{round(200 * scale)} pages of 100 kB, 20 ms away", "wall s", "speed of one by one", "MB above idle")]
    rows += [
        (name, f"{wall:.2f}", f"{ways['one by one'][0] / wall:.1f}", f"{memory:.0f}")
        for name, (wall, _, memory) in ways.items()
    ]
    wall, _, memory = _measured(url, folder, {"pages": round(2000 * scale)}, rounds=1)["pages"]
    rows.append((f"{round(2000 * scale):,} pages", f"{wall:.2f}", "", f"{memory:.0f}"))
    table("Pages", rows)


def _documents(url: str, folder: str, scale: float) -> None:
    rows = [("filtered rows of one JSON document", "wall s", "MB above idle")]
    for size in (round(100 * MB * scale), round(1000 * MB * scale)):
        wall, _, memory = _measured(url, folder, {"document": size}, rounds=1)["document"]
        rows.append((f"{size // MB} MB", f"{wall:.1f}", f"{memory:.0f}"))
    table("A document", rows)


def _uploads(url: str, folder: str, scale: float) -> None:
    with Path(folder, "upload").open("wb") as file:
        file.truncate(round(GIB * scale))
    ways = _measured(url, folder, dict.fromkeys(("upload", "upload on a loop", "upload with requests"), 0))
    rows = [(f"{scale:g} GiB sent as a body", "CPU s", "of requests'", "wall s", "MB above idle")]
    for name, (wall, cpu, memory) in ways.items():
        ratio = cpu / ways["upload with requests"][1]
        rows.append((name, f"{cpu:.2f}", f"{ratio:.2f}", f"{wall:.2f}", f"{memory:.0f}"))
    table("A file as a body", rows)


def _measured(
    url: str, folder: str, sizes: dict[str, int], rounds: int = ROUNDS
) -> dict[str, tuple[float, float, float]]:
    """Return the medians of wall seconds, CPU seconds and megabytes; the ways take turns."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in sizes}
    for _ in range(rounds):
        for name, size in sizes.items():
            setup, work = _WAYS[name]
            source = _MEASURED.format(setup=f"import json\n{setup}", work=work)
            with tempfile.TemporaryDirectory(dir=folder) as own:
                environment = {**os.environ, "AIRFLOW_HOME": own, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
                ran = subprocess.run(
                    [sys.executable, "-c", source, url, own, str(size)],
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            found[name].append(tuple(map(float, ran.stdout.split()[-3:])))
    return {
        name: tuple(statistics.median(values) for values in zip(*measured, strict=True))
        for name, measured in found.items()
    }


def _make_archive(path: Path, members: int) -> None:
    """Create a zip archive of members of 1 MiB, which are compressed to about a half."""
    dice = random.Random(1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for number in range(members):
            opened.writestr(f"{number:04}.csv", dice.randbytes(1 << 19).hex())


if __name__ == "__main__":
    main(sys.argv[1:])
