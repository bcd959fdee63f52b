"""A job at a pretended vendor, stage by stage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.vendors.catalog import BUCKET, make_connection, write_files
from tests.unit.vendors.vendor import Vendor, VendorServer

#: Calls a method of the hook, or its asynchronous twin.
Caller = Callable[..., Any]


@contextmanager
def serving(vendor: Vendor, connect: Callable[..., None], scenario: str | None = None) -> Iterator[VendorServer]:
    """Serve a vendor, and store the connection on its page."""
    with VendorServer(vendor, scenario) as server:
        given = make_connection(vendor, server)
        given.pop("conn_type")
        connect("vendor", **given)
        yield server


def submit(call: Caller, vendor: Vendor, **more: Any) -> Any:
    # A folder of the test, which the connection has set.
    bucket = Path(tempfile.gettempdir()) / "bucket"
    write_files(vendor, bucket)
    given = json.loads(json.dumps({**vendor.submit, **more}).replace(BUCKET, f"{bucket}/"))
    return call("submit_job", **given)


def wait(call: Caller, vendor: Vendor, job: Any) -> Any:
    return call("wait_for_job", json.loads(json.dumps(job.dump())), **vendor.status)


def fetch(call: Caller, vendor: Vendor, job: Any, folder: Path) -> Any:
    if vendor.fetch is None:
        return None
    if not vendor.is_written:
        return call("fetch_result", job, **vendor.fetch)
    manifest = call("fetch_result", job, **vendor.fetch, destination=f"{folder}/result/")
    return {Path(path).name: Path(path).read_text() for path in manifest["paths"]}
