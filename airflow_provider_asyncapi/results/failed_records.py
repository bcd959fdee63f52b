"""Failed records: counted while a result is fetched, and judged before it is put anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi.core.errors import ArchiveError, PartialResultError
from airflow_provider_asyncapi.core.fetch import decoding
from airflow_provider_asyncapi.core.fetch.flow import Fetching
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.results.destination import Stored

log = logging.getLogger(__name__)


class Failures:
    """
    Counts the records of a result that failed, where the plan says how to tell them.

    :param fetching: the fetch, with its plan.
    """

    def __init__(self, fetching: Fetching) -> None:
        self._fetching = fetching
        self._partial = fetching.plan.partial
        self.failed = self._records = 0

    def count(self, response: Response) -> None:
        """Count the records that an answer tells of."""
        if self._partial is not None:
            readable = decoding.selectable(response, self._fetching.plan.format)
            failed, records = self._partial.count(readable, self._fetching.scope)
            self.failed += failed
            self._records += records

    def count_members(self, files: Iterable[tuple[tuple[str, ...], Stored]]) -> None:
        """
        Count the records that a member of an archive tells of.

        :raises ArchiveError: where there is no such member.
        :raises ResultTooLargeError: where it is too large to be looked into.
        """
        if self._partial is None:
            return
        reports = [stored for path, stored in files if self._partial.is_in(path)]
        if not reports:
            names = ", ".join("/".join(path) for path, _ in list(files)[:10]) or "no files"
            raise ArchiveError(f"failed_records: the archive has no member {self._partial.member!r}; it has {names}")
        for stored in reports:
            content = stored.read(
                f"failed_records: {self._partial.member!r}", "leave failed_records out, and count in a next task"
            )
            self.count(Response(200, body=content, charset=self._fetching.plan.format.charset))

    def judge(self) -> None:
        """
        Fail, warn or skip where records failed.

        :raises PartialResultError: where that fails the task.
        :raises AirflowSkipException: where it skips the task.
        """
        if self._partial is None:
            return
        if not self._records:
            log.warning("failed_records: found no records at %s, failed or not", self._partial.condition.selection)
        if not self.failed:
            return
        message = f"{self.failed} of {self._records} records of job {self._fetching.handle.shown_identifier} failed"
        if self._partial.action == "fail":
            raise PartialResultError(f"{message}; set on_partial to 'warn' or 'skip' to go on without them")
        if self._partial.action == "skip":
            raise AirflowSkipException(message) from PartialResultError(message)
        log.warning("%s", message)
