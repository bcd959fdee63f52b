"""Failed records: counted while a result is fetched; the action comes before anything is moved to a destination."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi.core.errors import ArchiveError, PartialResultError
from airflow_provider_asyncapi.core.fetch import result_value
from airflow_provider_asyncapi.core.fetch.flow import ResultFetcher
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.results.destination import CompleteFile

log = logging.getLogger(__name__)


class FailedRecordsCounter:
    """
    Counts the failed records of a result, if the plan has a rule for them.

    :param fetcher: the fetch, with its plan.
    """

    def __init__(self, fetcher: ResultFetcher) -> None:
        self._fetcher = fetcher
        self._rule = fetcher.plan.failed_records
        self.failed = self._records = 0

    def count(self, response: Response) -> None:
        """Count the records in a response."""
        if self._rule is not None:
            readable = result_value.make_selectable(response, self._fetcher.plan.format)
            failed, records = self._rule.count(readable, self._fetcher.variables)
            self.failed += failed
            self._records += records

    def count_members(self, files: Iterable[tuple[tuple[str, ...], CompleteFile]]) -> None:
        """
        Count the records in a member of an archive.

        :raises ArchiveError: if there is no member of that name.
        :raises ResultTooLargeError: if it is too large to be read.
        """
        if self._rule is None:
            return
        reports = [stored for path, stored in files if self._rule.matches_member(path)]
        if not reports:
            names = ", ".join("/".join(path) for path, _ in list(files)[:10]) or "no files"
            raise ArchiveError(f"failed_records: the archive has no member {self._rule.member!r}; it has {names}")
        for stored in reports:
            content = stored.read(
                f"failed_records: {self._rule.member!r}", "leave failed_records out, and count in a next task"
            )
            self.count(Response(200, body=content, charset=self._fetcher.plan.format.charset))

    def apply_action(self) -> None:
        """
        Fail, warn or skip if records failed.

        :raises PartialResultError: if the action is to fail.
        :raises AirflowSkipException: if the action is to skip.
        """
        if self._rule is None:
            return
        if not self._records:
            log.warning("failed_records: found no records at %s, failed or not", self._rule.condition.selector)
        if not self.failed:
            return
        message = f"{self.failed} of {self._records} records of job {self._fetcher.handle.printable_identifier} failed"
        if self._rule.action == "fail":
            raise PartialResultError(f"{message}; set on_partial to 'warn' or 'skip' to go on without them")
        if self._rule.action == "skip":
            raise AirflowSkipException(message) from PartialResultError(message)
        log.warning("%s", message)
