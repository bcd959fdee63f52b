"""AssemblyAI: transcripts, of audio at a URL and of uploaded files."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.vendors.vendor import Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

URL = "https://example.com/call.mp3"
AUDIO = "ID3 some music"
#: A transcript of many hours, which is longer than a poll may be.
WORDS = [{"text": "word", "start": 1000 * each, "end": 1000 * each + 900, "confidence": 0.99} for each in range(20_000)]
OPTIONS = ("speech_models", "language_code", "language_detection", "speaker_labels", "webhook_url")


def upload(server: VendorServer, call: Call) -> Any:
    if call.headers.get("content-type") != "application/octet-stream":
        raise RefusedError(415, "Content-Type has to be application/octet-stream")
    server.files["upload"] = call.body
    return {"upload_url": f"{server.url}/upload/1"}


def create(server: VendorServer, call: Call) -> Any:
    url = call.json["audio_url"]
    if url.startswith(server.url) and server.files["upload"] != AUDIO.encode():
        raise RefusedError(400, "Uploaded file is empty")
    if not url.startswith("http"):
        raise RefusedError(400, "audio_url should start with http")
    return describe(server, server.new_job("5551722-{}"))


def describe(server: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"id": job.id, "status": job.state, "audio_url": URL, "text": None, "words": None}
    if job.state == "completed":
        described["text"] = "Hello."
        described["words"] = WORDS if server.files else [{"text": "Hello.", "start": 250, "end": 650}]
    if job.state == "error":
        described["error"] = "File does not appear to contain audio"
    return described


def list_newest(server: VendorServer, call: Call) -> Any:
    if not 1 <= int(call.query["limit"]) <= 200:
        raise RefusedError(400, "limit should be between 1 and 200")
    items = []
    for job in [] if server.scenario == "old" else server.jobs.values():
        described = describe(server, job)
        job.poll()
        items.append({name: described.get(name) for name in ("id", "status", "audio_url", "error")})
    return {"page_details": {"limit": 200, "result_count": len(items)}, "transcripts": items}


TRANSCRIPT = {
    "id": "5551722-1",
    "status": "completed",
    "audio_url": URL,
    "text": "Hello.",
    "words": [{"text": "Hello.", "start": 250, "end": 650}],
}


def make(profile: str, **given: Any) -> Vendor:
    return Vendor(
        profile=profile,
        page="assemblyai",
        check_auth=key_in("authorization", "key-example", message="Authentication error, API token missing/invalid"),
        error=lambda _, message: {"error": message},
        routes=(
            Route("POST /v2/upload", upload, body="bytes"),
            Route("POST /v2/transcript", create, required=("audio_url",), optional=OPTIONS),
            Route("GET /v2/transcript", list_newest, query=("limit", "status", "before_id", "after_id")),
            Route("GET /v2/transcript/{id}", on_poll(describe)),
        ),
        states={
            "success": ("queued", "processing", "completed"),
            "old": ("processing", "completed"),
            "error": ("processing", "error"),
        },
        failures={"error": "File does not appear to contain audio"},
        rate_limit=({"retry-after": "30"}, 30),
        **given,
    )


VENDORS = (
    make(
        "assemblyai/transcripts",
        submit={"json": {"audio_url": URL}},
        expected=TRANSCRIPT,
        results={"old": TRANSCRIPT},
        rejected=({"json": {"audio_url": URL, "format_txt": True}}, "format_txt"),
    ),
    make(
        "assemblyai/file_transcripts",
        submit={"variables": {"audio": "s3://my-bucket/call.mp3"}},
        files={"call.mp3": AUDIO},
        expected={"5551722-1": json.dumps({**TRANSCRIPT, "words": WORDS})},
        is_written=True,
    ),
)
