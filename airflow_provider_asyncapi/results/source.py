"""The source of a result: the requests that fetch it, and the files that it is received into."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi.core.errors import AsyncApiError, ResponseError
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.core.http.compression import gunzip
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.results.archives import ArchiveLimits
from airflow_provider_asyncapi.results.destination import (
    MAX_IN_MEMORY,
    ByteBudget,
    CompleteFile,
    Destination,
    PartialFile,
)
from airflow_provider_asyncapi.results.gunzip import GunzippingPartialFile
from airflow_provider_asyncapi.results.limits import ResultLimits

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Flow
    from airflow_provider_asyncapi.hooks.running import FlowRunner


T = TypeVar("T")
_PIECE = 256 * 1024


class ResultSource:
    """
    The requests of one fetch.

    :param hook: sends the requests.
    :param fetcher: the flows of the fetch.
    :param limits: the limits of the result.
    """

    def __init__(self, hook: FlowRunner, fetcher: ResultFetcher, limits: ResultLimits) -> None:
        self._hook, self._fetcher, self._limits = hook, fetcher, limits

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of the fetch; skip the task if the API says that there is no data."""

        def skip_if_no_data() -> Flow[T]:
            try:
                return (yield from flow)
            except NoDataError as error:
                raise AirflowSkipException(str(error)) from error
            except AsyncApiError as error:
                error.set_job(self._fetcher.handle.identifier, self._fetcher.handle.status)
                raise

        return self._hook.run(skip_if_no_data())

    def download(
        self, target: Destination, *, digest: bool = True, is_gzip: bool = False
    ) -> list[tuple[CompleteFile, Response]]:
        """
        Fetch each URL into a file in the staging folder.

        :param digest: whether the checksum of each file is needed.
        :param is_gzip: whether gzip files are decompressed.
        """
        files: dict[int, PartialFile] = {}
        budget = ByteBudget(self._limits.max_bytes, ProgressMeter(None, time.monotonic))
        limits = ArchiveLimits(self._limits.max_bytes, self._limits.max_members, self._limits.max_ratio)

        def open_file(number: int) -> PartialFile:
            make = partial(GunzippingPartialFile, limits=limits) if is_gzip else partial(PartialFile, digest=digest)
            return files.setdefault(number, target.open_file(budget, make))

        if self._fetcher.plan.output.makes_files:
            target.check_file_count(self._fetcher.url_count)
        responses = self.run(self._fetcher.fetch_files(open_file))
        return [(files[number].finish(), response) for number, response in enumerate(responses)]

    @contextlib.contextmanager
    def explain_errors(self, stored: CompleteFile, response: Response) -> Iterator[None]:
        """Add the response, and the beginning of its body, to an error of reading the body."""
        try:
            yield
        except ResponseError as error:
            raise error.with_message(
                f"{redact_url(response.url)} answered {response.status}: {self._hook.api.redact(str(error))}; the body"
                f" begins: {self.excerpt(stored)}"
            ) from None

    def excerpt(self, stored: CompleteFile) -> str:
        """Return the beginning of a file, for messages."""
        with stored.path.open("rb") as file:
            return self._hook.api.redact.excerpt(file.read(4000).decode(errors="replace"))


def read_pieces(stored: CompleteFile) -> Iterator[bytes]:
    """Read a file piece by piece."""
    with stored.path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def read_whole(stored: CompleteFile, plan: FetchPlan) -> bytes:
    """Return a document that has to be read as a whole, unpacked if it is a gzip file."""
    return gunzip(stored.read(*_describe_whole_read(plan)), MAX_IN_MEMORY)


def _describe_whole_read(plan: FetchPlan) -> tuple[str, str]:
    """Return why a document is read as a whole, and how to avoid that, for a message."""
    if plan.failed_records is not None:
        return "failed_records: the document", "leave failed_records out, and count in a next task"
    instead = (
        "JSON is read row by row if the path leads to an array or to a part of each of its items, as in rows[*] or"
        " rows[?(@.ok == true)], and write_as is set; output_type='file' keeps a document as it is"
    )
    return f"result_path: the document in which to look for {plan.result_path}", instead


def choose_content_type(responses: list[Response]) -> str:
    """Return the content type of the manifest, which is that of the first response."""
    # A header may hold characters that no XCom can.
    return shorten(responses[0].content_type) if responses else ""
