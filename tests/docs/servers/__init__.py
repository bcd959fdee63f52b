"""
One small API for each recipe of the documentation, on loopback, as strict as the strictest vendor.

A module of this package has the servers of one part of the documentation; importing it registers them.
"""

from __future__ import annotations

from tests.docs.servers import connection, fetch, jobs, signing, submit, wait
from tests.docs.servers.recipe import SERVERS, RunningServer

__all__ = ["SERVERS", "RunningServer", "connection", "fetch", "jobs", "signing", "submit", "wait"]
