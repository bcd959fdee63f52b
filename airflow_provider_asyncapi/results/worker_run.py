"""One fetch on the worker, and what it does for each output type."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.callbacks.settings import CALLBACK_REQUEST
from airflow_provider_asyncapi.core.errors import ArchiveError, ConfigurationError
from airflow_provider_asyncapi.core.fetch import result_value
from airflow_provider_asyncapi.core.fetch.flow import FetchedResponse, ResultFetcher
from airflow_provider_asyncapi.core.fetch.page_flow import fetch_pages
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.core.fetch.streaming import stream_rows
from airflow_provider_asyncapi.core.http.filenames import choose_file_name, make_collision_key
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.lazy import load_object
from airflow_provider_asyncapi.results import archives
from airflow_provider_asyncapi.results.destination import CompleteFile, Destination
from airflow_provider_asyncapi.results.failed_records import FailedRecordsCounter
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.source import ResultSource, choose_content_type, read_pieces, read_whole
from airflow_provider_asyncapi.results.target import ResultTarget
from airflow_provider_asyncapi.results.writers.base import PlacedFile, encode_json

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner


log = logging.getLogger(__name__)
#: A response from which a value for XCom is selected may be this many times larger than the value, at least this many
#: bytes.
_MAX_SELECTION_RATIO, _MIN_LIMIT = 100, 1024 * 1024


class WorkerRun:
    """
    One fetch: a :class:`~.base.FetchRun`.

    :param hook: sends the requests.
    :param fetcher: the flows of the fetch.
    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param limits: the limits of the result.
    :param max_body: as for :class:`FetchTask`.
    """

    def __init__(
        self,
        hook: FlowRunner,
        fetcher: ResultFetcher,
        destination: Destination | None,
        limits: ResultLimits,
        max_body: int | None = None,
    ) -> None:
        self._fetcher, self._limits = fetcher, limits
        self._max_body = max_body or max(limits.max_xcom_bytes * _MAX_SELECTION_RATIO, _MIN_LIMIT)
        self._source = ResultSource(hook, fetcher, limits)
        self._target = ResultTarget(fetcher.plan, destination, limits, FailedRecordsCounter(fetcher))

    def fetch(self, callback: Response | None = None) -> JsonValue:
        """
        Fetch the result as the output type does, or from the callback.

        :param callback: the job's callback, if it holds the result.
        """
        self._check_parameters()
        if not self._target.is_xcom:
            self._target.destination.undo_earlier_try()
        plan = self._fetcher.plan
        if callback is not None:
            callback = callback.with_charset(plan.format.charset)
            fetched = FetchedResponse(CALLBACK_REQUEST, callback, self._fetcher.variables)
            if not self._target.is_xcom and callback.body and not plan.selects_part:
                return self._write_callback(fetched)
            return self.return_value(self._fetcher.decode(result_value.decode, fetched), [callback])
        inline = self._fetcher.inline_value()
        if inline is None:
            self._source.run(self._fetcher.locate())
        return plan.output.fetch(self, inline)

    @property
    def plan(self) -> FetchPlan:
        """How to fetch."""
        return self._fetcher.plan

    @property
    def selects_part(self) -> bool:
        """Whether the result is more than its files as they came."""
        return self._fetcher.plan.selects_part

    @property
    def has_destination(self) -> bool:
        """Whether the result goes to a destination, and not to XCom."""
        return not self._target.is_xcom

    @property
    def unpack(self) -> bool:
        """Whether archives are unpacked."""
        return self._limits.unpack

    def _check_parameters(self) -> None:
        """Check, before any request, what can't end well."""
        plan = self._fetcher.plan
        if self._target.is_xcom and plan.write_as is not None:
            raise ConfigurationError("write_as: is for rows at a destination, and there is none")
        destination = None if self._target.is_xcom else self._target.destination.target
        plan.output.check_destination(destination, unpack=self._limits.unpack)
        if plan.output.makes_files and plan.failed_records is not None and not self._limits.unpack:
            raise ConfigurationError("failed_records: an archive is looked into only if it is unpacked (unpack=True)")

    def fetch_value(self) -> JsonValue:
        """Fetch a value into memory, and return it for XCom."""
        return self.return_value(*self._source.run(self._fetcher.fetch_value(self._max_body)))

    def return_value(self, value: JsonValue, responses: Sequence[Response]) -> JsonValue:
        """Count failed records in the responses, and return a value for XCom, or write it to the destination."""
        return self._target.return_value(value, responses)

    def fetch_pages(self, inline: JsonValue) -> JsonValue:
        """Fetch pages, and return or write their rows."""
        rows: list[JsonValue] = []
        size = count = 0
        writer = None if self._target.is_xcom else self._target.open_writer()

        def collect(page: list[JsonValue], response: Response) -> None:
            nonlocal size, count
            self._target.failures.count(response)
            count += len(page)
            if writer is not None:
                writer.write_page(page, response)
                return
            for each in page:
                row = to_storable(each, f"result: row {len(rows) + 1}")
                size += len(encode_json(row)) + 1
                if size > self._limits.max_xcom_bytes:
                    raise self._target.make_xcom_error(size)
                rows.append(row)

        pages = self._fetch_all_pages(inline, collect)
        self._target.failures.apply_action()
        if writer is None:
            return rows
        files = writer.finish("pages")
        return self.commit(files, writer.content_type, pages=pages, rows=count)

    def _fetch_all_pages(self, inline: JsonValue, collect: Callable[[list[JsonValue], Response], None]) -> int:
        """Fetch all pages, and log now and then how many there are."""
        paging = self.plan.paging
        if paging is None:
            raise ConfigurationError(f"output_type={self.plan.output.name!r}: has no pages")
        meter = ProgressMeter("pages", time.monotonic)
        count = paging.count_pages(self._fetcher.variables)
        done = itertools.count(1)

        def collect_and_log(page: list[JsonValue], response: Response) -> None:
            collect(page, response)
            if line := meter.next_line(next(done), count):
                log.info("%s", line)

        return self._source.run(fetch_pages(self._fetcher, paging, collect_and_log, inline=inline))

    def fetch_selected(self) -> JsonValue:
        """Write what is selected of a document, row by row if it has rows, so that it can have any size."""
        plan = self.plan
        downloads = self._source.download(self._target.destination, digest=False)
        streams = None if plan.failed_records else self._stream_documents(downloads)
        if streams is not None:
            return self._target.write_rows(itertools.chain.from_iterable(streams))
        values = []
        for stored, response in downloads:
            with self._source.explain_errors(stored, response):
                response.body = read_whole(stored, plan)
                values.append(result_value.decode(response, plan.format, plan.result_path, self._fetcher.variables))
        value = values if self._fetcher.has_url_list or len(values) != 1 else values[0]
        rows = itertools.chain.from_iterable(map(result_value.to_rows, values))
        return self.return_value(list(rows) if plan.write_as else value, [response for _, response in downloads])

    def _stream_documents(self, downloads: list[tuple[CompleteFile, Response]]) -> list[Iterator[JsonValue]] | None:
        """Return the rows of each document; None if one has to be read as a whole."""
        plan, streams = self._fetcher.plan, []
        if plan.write_as is None and self._fetcher.has_url_list:
            return None
        for stored, response in downloads:
            with self._source.explain_errors(stored, response):
                rows = stream_rows(
                    partial(read_pieces, stored), response, plan.format, plan.result_path, self._fetcher.variables
                )
            if rows is None:
                return None
            streams.append(self._iterate_rows(rows, stored, response))
        return streams

    def _iterate_rows(self, rows: Iterator[JsonValue], stored: CompleteFile, response: Response) -> Iterator[JsonValue]:
        with self._source.explain_errors(stored, response):
            yield from rows

    def fetch_files(self, *, gunzip: bool = False) -> JsonValue:
        """
        Fetch each URL into a file at the destination.

        :param gunzip: whether gzip files are decompressed.
        """
        identifier = self._fetcher.handle.identifier
        taken: set[str] = set()
        files: list[PlacedFile] = []
        downloads = self._source.download(self._target.destination, is_gzip=gunzip)
        for stored, response in downloads:
            name = choose_file_name(response, "" if identifier is None else as_text(identifier))
            name = chosen = (name.removesuffix(".gz") or name) if gunzip else name
            number = 1
            while make_collision_key((chosen,)) in taken:
                number += 1
                chosen = f"{number}-{name}"
            taken.add(make_collision_key((chosen,)))
            files.append(((chosen,), stored))
        if self.plan.failed_records is not None:
            self._count_documents(downloads)
        return self.commit(files, choose_content_type([response for _, response in downloads]))

    def _count_documents(self, downloads: list[tuple[CompleteFile, Response]]) -> None:
        """Count failed records in the files, which stay as they came."""
        for stored, response in downloads:
            with self._source.explain_errors(stored, response):
                self._target.failures.count(dataclasses.replace(response, body=read_whole(stored, self._fetcher.plan)))
        self._target.failures.apply_action()

    def _write_callback(self, fetched: FetchedResponse) -> JsonValue:
        """Write the body of the callback to the destination as it came."""
        self._fetcher.read_with_context(fetched, lambda: self._target.failures.count(fetched.response))
        self._target.failures.apply_action()
        file = self._target.open_file()
        file.write(fetched.response.body)
        identifier = self._fetcher.handle.identifier
        name = choose_file_name(fetched.response, "" if identifier is None else as_text(identifier))
        return self.commit([((name,), file.finish())], fetched.response.content_type)

    def fetch_archives(self, reader: str) -> JsonValue:
        """
        Fetch archives, and unpack them into the destination.

        :param reader: the import path of the :class:`~.archives.ArchiveReader`.
        """
        target = self._target.destination
        downloads = self._source.download(target, digest=False)
        password = self._fetcher.api.settings.variables.get("connection.archive_password")
        archive_reader: archives.ArchiveReader = load_object(reader)
        files: list[PlacedFile] = []
        room = self._limits.max_bytes
        for number, (archive, response) in enumerate(downloads):
            if not archive_reader.accepts(archive.path):
                raise self._make_no_archive_error(archive, response)
            folder = target.staging / f"archive-{number}"
            folder.mkdir()
            members = archives.unpack(
                archive,
                folder,
                archives.ArchiveLimits(room, self._limits.max_members - len(files), self._limits.max_ratio),
                archive_reader,
                None if password is None else as_text(password).encode(),
            )
            room -= sum(stored.size for _, stored in members)
            # The disk holds only one archive beside the unpacked files.
            archive.path.unlink()
            # Each of several archives gets a folder of its own, since members may have the same name.
            files += [((str(number), *path) if len(downloads) > 1 else path, stored) for path, stored in members]
        self._target.failures.count_members(files)
        self._target.failures.apply_action()
        content_type = choose_content_type([response for _, response in downloads])
        return self.commit(files, content_type, members=len(files))

    def _make_no_archive_error(self, stored: CompleteFile, response: Response) -> ArchiveError:
        return ArchiveError(
            f"output_type={self.plan.output.name!r}: {redact_url(response.url)} answered {response.status}"
            f" with {stored.size} bytes of {response.content_type or 'no content type'}, which are no"
            f" {self.plan.output.name} archive; the body begins: {self._source.excerpt(stored)}"
        )

    def download(self) -> list[tuple[CompleteFile, Response]]:
        """Fetch each URL into a file in the staging folder."""
        return self._source.download(self._target.destination)

    def commit(self, files: Sequence[PlacedFile], content_type: str, **counts: int) -> dict[str, JsonValue]:
        """Move files to the destination, and return the manifest."""
        return self._target.commit(files, content_type, **counts)
