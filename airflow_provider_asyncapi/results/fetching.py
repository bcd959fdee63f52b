"""Fetch a result on the worker: a value for XCom, or complete files at a destination."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_asyncapi.core.callbacks.calls import CALLBACK_REQUEST
from airflow_provider_asyncapi.core.errors import (
    ArchiveError,
    AsyncApiError,
    ConfigurationError,
    ResponseError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.fetch import decoding
from airflow_provider_asyncapi.core.fetch.flow import FetchedResponse, NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.pages import fetch_pages
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.core.fetch.streaming import stream_rows
from airflow_provider_asyncapi.core.fetch.write_as import WRITE_AS
from airflow_provider_asyncapi.core.http.compression import gunzip
from airflow_provider_asyncapi.core.http.filenames import choose_file_name, make_collision_key
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn, classify_end
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.core.json_values import as_text, shorten
from airflow_provider_asyncapi.core.lazy import load_object
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.results import archives
from airflow_provider_asyncapi.results.destination import (
    MAX_IN_MEMORY,
    ByteBudget,
    CompleteFile,
    Destination,
    Owner,
    PartialFile,
)
from airflow_provider_asyncapi.results.failed_records import FailedRecordsCounter
from airflow_provider_asyncapi.results.writers.base import PlacedFile, Writer, encode_json

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Flow
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner

T = TypeVar("T")

log = logging.getLogger(__name__)
#: An answer from which a value for XCom is selected may be this many times larger than the value, at least this many
#: bytes.
_MAX_SELECTION_RATIO, _MIN_LIMIT = 100, 1024 * 1024
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class ResultLimits:
    """
    The limits of a result.

    :param max_bytes: bytes of the whole result, unpacked.
    :param max_members: members of an archive.
    :param max_ratio: unpacked bytes for each packed one.
    :param max_xcom_bytes: bytes of a value's JSON text in XCom.
    :param unpack: whether an archive is unpacked.
    """

    max_bytes: int = 100 * 1024**3
    max_members: int = 100_000
    max_ratio: float = 200
    max_xcom_bytes: int = 48 * 1024
    unpack: bool = True


@dataclass(frozen=True, slots=True)
class FetchTask:
    """
    What a task fetches.

    :param plan: how to fetch.
    :param handle: the job.
    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param limits: the limits of the result.
    :param owner: the task as the owner of files at the destination: one try undoes what another has left.
    :param callback: the job's callback, if it holds the result.
    :param is_last_try: whether a failure is the task's last one.
    :param max_body: bytes of a response that is read into memory for XCom; by default a hundred times
        ``max_xcom_bytes``.
    """

    plan: FetchPlan
    handle: JobHandle
    destination: str | None = None
    limits: ResultLimits = field(default_factory=ResultLimits)
    owner: Owner | None = None
    callback: Response | None = None
    is_last_try: bool = False
    max_body: int | None = None


def fetch(hook: FlowRunner, task: FetchTask, save: Callable[[JsonValue], object] = lambda _: None) -> JsonValue:
    """
    Fetch a result for XCom or to its destination, completely or not at all.

    :param hook: sends the requests.
    :param save: stores the value or the manifest before the cleanup request removes the job.
    :return: the value, or a manifest of the files.
    :raises AirflowException: the failure, as Airflow understands it.
    """
    plan, handle = task.plan, task.handle
    fetcher = ResultFetcher(hook.api, plan, handle)
    if handle.outcome is Outcome.NO_DATA:
        hook.run(fetcher.clean_up(CleanupOn.NO_DATA))
        raise AirflowSkipException(f"Job {handle.printable_identifier} ended with no data: there is nothing to fetch")
    try:
        target = None if task.destination is None else Destination(task.destination, task.owner)
        with contextlib.closing(target) if target else contextlib.nullcontext():
            failures = FailedRecordsCounter(fetcher)
            run = _WorkerRun(hook, fetcher, target, task.limits, failures, task.callback, task.max_body)
            result = run.fetch()
            if plan.cleanup is not None:
                save(result)
            if target is not None:
                target.finalize()
    except AsyncApiError as error:
        raised = to_airflow(_add_job(error, fetcher))
        _clean_up(hook, fetcher, raised, error, is_last_try=task.is_last_try)
        raise raised from error
    except (AirflowException, AirflowSkipException) as error:
        _clean_up(hook, fetcher, error, error.__cause__, is_last_try=task.is_last_try)
        raise
    hook.run(fetcher.clean_up(CleanupOn.SUCCESS))
    return result


def _add_job(error: AsyncApiError, fetcher: ResultFetcher) -> AsyncApiError:
    return error.with_job(fetcher.handle.identifier, fetcher.handle.status)


def _clean_up(
    hook: FlowRunner, fetcher: ResultFetcher, raised: BaseException, cause: BaseException | None, *, is_last_try: bool
) -> None:
    """Send the cleanup request after a failed fetch, if no later try needs the job."""
    is_final = is_last_try or isinstance(raised, AirflowFailException)
    end = CleanupOn.NO_DATA if isinstance(cause, NoDataError) else classify_end(cause, is_final=is_final)
    if end is not None:
        hook.run(fetcher.clean_up(end))


@dataclass(slots=True)
class _WorkerRun:
    """One fetch, with its counts: a :class:`~.base.FetchRun`."""

    hook: FlowRunner
    fetcher: ResultFetcher
    target: Destination | None
    limits: ResultLimits
    failures: FailedRecordsCounter
    callback: Response | None = None
    max_body: int | None = None
    began: float = field(default_factory=time.monotonic)

    def fetch(self) -> JsonValue:
        """Fetch the result from the callback, or as the output type does."""
        self._check_parameters()
        if self.target is not None:
            self.target.undo_earlier_try()
        plan = self.fetcher.plan
        if self.callback is not None:
            callback = self.callback.with_charset(plan.format.charset)
            answer = FetchedResponse(CALLBACK_REQUEST, callback, self.fetcher.variables)
            if self.target is not None and callback.body and not plan.selects_part:
                return self._write_callback(self.target, answer)
            return self.return_value(self.fetcher.decode(decoding.decode, answer), [callback])
        inline = self.fetcher.inline_value()
        if inline is None:
            self._run(self.fetcher.locate())
        return plan.output.fetch(self, inline)

    @property
    def plan(self) -> FetchPlan:
        """How to fetch."""
        return self.fetcher.plan

    @property
    def has_destination(self) -> bool:
        """Whether the result goes to a destination, and not to XCom."""
        return self.target is not None

    @property
    def unpack(self) -> bool:
        """Whether archives are unpacked."""
        return self.limits.unpack

    @property
    def _destination(self) -> Destination:
        if self.target is None:
            raise ConfigurationError(f"destination: output_type={self.plan.output.name!r} needs one")
        return self.target

    def _check_parameters(self) -> None:
        """Check, before any request, what can't end well."""
        plan = self.fetcher.plan
        if self.target is None and plan.write_as is not None:
            raise ConfigurationError("write_as: is for rows at a destination, and there is none")
        destination = None if self.target is None else self.target.target
        plan.output.check_destination(destination, unpack=self.limits.unpack)
        if plan.output.makes_files and plan.failed_records is not None and not self.limits.unpack:
            raise ConfigurationError("failed_records: an archive is looked into only if it is unpacked (unpack=True)")

    def _run(self, flow: Flow[T]) -> T:
        def skip_if_no_data() -> Flow[T]:
            try:
                return (yield from flow)
            except NoDataError as error:
                raise AirflowSkipException(str(error)) from error
            except AsyncApiError as error:
                _add_job(error, self.fetcher)
                raise

        return self.hook.run(skip_if_no_data())

    def fetch_value(self) -> JsonValue:
        """Fetch a value into memory, and return it for XCom."""
        limit = self.max_body or max(self.limits.max_xcom_bytes * _MAX_SELECTION_RATIO, _MIN_LIMIT)
        return self.return_value(*self._run(self.fetcher.fetch_value(limit)))

    def return_value(self, value: JsonValue, responses: Sequence[Response]) -> JsonValue:
        """Count failed records in the answers, and return a value for XCom, or write it to the destination."""
        for response in responses:
            self.failures.count(response)
        self.failures.apply_action()
        if self.target is None:
            value = to_storable(value, "result")
        text = encode_json(value)
        if self.target is None:
            if len(text) > self.limits.max_xcom_bytes:
                raise self._make_xcom_error(len(text))
            return value
        if self.fetcher.plan.write_as is not None:
            return self._write_rows(self.target, decoding.to_rows(value))
        file = self._open_file(self.target)
        file.write(text)
        return self.commit([(("result.json",), file.finish())], "application/json")

    def fetch_pages(self, inline: JsonValue) -> JsonValue:
        """Fetch pages, and return or write their rows."""
        rows: list[JsonValue] = []
        size = count = 0
        writer = None if self.target is None else self._open_writer(self.target)

        def collect(page: list[JsonValue], response: Response) -> None:
            nonlocal size, count
            self.failures.count(response)
            count += len(page)
            if writer is not None:
                writer.write_page(page, response)
                return
            for each in page:
                row = to_storable(each, f"result: row {len(rows) + 1}")
                size += len(encode_json(row)) + 1
                if size > self.limits.max_xcom_bytes:
                    raise self._make_xcom_error(size)
                rows.append(row)

        pages = self._fetch_all_pages(inline, collect)
        self.failures.apply_action()
        if writer is None or self.target is None:
            return rows
        files = writer.finish("pages")
        return self.commit(files, writer.content_type, pages=pages, rows=count)

    def _fetch_all_pages(self, inline: JsonValue, collect: Callable[[list[JsonValue], Response], None]) -> int:
        """Fetch all pages, and log now and then how many there are."""
        paging = self.plan.paging
        if paging is None:
            raise ConfigurationError(f"output_type={self.plan.output.name!r}: has no pages")
        meter = ProgressMeter("pages", time.monotonic)
        count = paging.count_pages(self.fetcher.variables)
        done = itertools.count(1)

        def collect_and_log(page: list[JsonValue], response: Response) -> None:
            collect(page, response)
            if line := meter.next_line(next(done), count):
                log.info("%s", line)

        return self._run(fetch_pages(self.fetcher, paging, collect_and_log, inline=inline))

    def fetch_selected(self) -> JsonValue:
        """Write what is selected of a document, row by row if it has rows, so that it can have any size."""
        plan, target = self.plan, self._destination
        downloads = self._download(target, digest=False)
        streams = None if plan.failed_records else self._stream_documents(downloads)
        if streams is not None:
            return self._write_rows(target, itertools.chain.from_iterable(streams))
        values = []
        for stored, response in downloads:
            with self._explain_errors(stored, response):
                response.body = _read_whole(stored, plan)
                values.append(decoding.decode(response, plan.format, plan.result_path, self.fetcher.variables))
        value = values if self.fetcher.has_url_list or len(values) != 1 else values[0]
        rows = itertools.chain.from_iterable(map(decoding.to_rows, values))
        return self.return_value(list(rows) if plan.write_as else value, [response for _, response in downloads])

    def _stream_documents(self, downloads: list[tuple[CompleteFile, Response]]) -> list[Iterator[JsonValue]] | None:
        """Return the rows of each document; None if one has to be read as a whole."""
        plan, streams = self.fetcher.plan, []
        if plan.write_as is None and self.fetcher.has_url_list:
            return None
        for stored, response in downloads:
            with self._explain_errors(stored, response):
                rows = stream_rows(
                    partial(_read_pieces, stored), response, plan.format, plan.result_path, self.fetcher.variables
                )
            if rows is None:
                return None
            streams.append(self._iterate_rows(rows, stored, response))
        return streams

    def _iterate_rows(self, rows: Iterator[JsonValue], stored: CompleteFile, response: Response) -> Iterator[JsonValue]:
        with self._explain_errors(stored, response):
            yield from rows

    def _write_rows(self, target: Destination, rows: Iterable[JsonValue]) -> JsonValue:
        self.failures.apply_action()
        writer, count = self._open_writer(target), 0
        for row in rows:
            writer.write(row)
            count += 1
        files = writer.finish("result")
        return self.commit(files, writer.content_type, rows=count)

    def _open_writer(self, target: Destination) -> Writer:
        """
        Open what writes the rows.

        :raises ConfigurationError: if a package that it needs isn't installed.
        """
        kind = self.plan.write_as or WRITE_AS[self.plan.output.default_writer]
        budget = ByteBudget(self.limits.max_bytes)

        def open_file(*, scratch: bool = False) -> PartialFile:
            return target.open_file(
                ByteBudget(math.inf) if scratch else budget, partial(PartialFile, digest=not scratch)
            )

        try:
            make: type[Writer] = kind.load()
        except ImportError as error:
            package = kind.package or error.name
            raise ConfigurationError(f"write_as: {kind.name!r} needs {error.name}: install {package}") from None
        return make(open_file)

    def fetch_files(self, *, gunzip: bool = False) -> JsonValue:
        """
        Fetch each URL into a file at the destination.

        :param gunzip: whether gzip files are decompressed.
        """
        identifier = self.fetcher.handle.identifier
        taken: set[str] = set()
        files: list[PlacedFile] = []
        downloads = self._download(self._destination, is_gzip=gunzip)
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
        return self.commit(files, _choose_content_type([response for _, response in downloads]))

    def _count_documents(self, downloads: list[tuple[CompleteFile, Response]]) -> None:
        """Count failed records in the files, which stay as they came."""
        for stored, response in downloads:
            with self._explain_errors(stored, response):
                self.failures.count(dataclasses.replace(response, body=_read_whole(stored, self.fetcher.plan)))
        self.failures.apply_action()

    def _write_callback(self, target: Destination, answer: FetchedResponse) -> JsonValue:
        """Write the body of the callback to the destination as it came."""
        self.fetcher.read_with_context(answer, lambda: self.failures.count(answer.response))
        self.failures.apply_action()
        file = self._open_file(target)
        file.write(answer.response.body)
        identifier = self.fetcher.handle.identifier
        name = choose_file_name(answer.response, "" if identifier is None else as_text(identifier))
        return self.commit([((name,), file.finish())], answer.response.content_type)

    def fetch_archives(self, reader: str) -> JsonValue:
        """
        Fetch archives, and unpack them into the destination.

        :param reader: the import path of the :class:`~.archives.ArchiveReader`.
        """
        target = self._destination
        downloads = self._download(target, digest=False)
        password = self.fetcher.api.settings.variables.get("connection.archive_password")
        archive_reader: archives.ArchiveReader = load_object(reader)
        files: list[PlacedFile] = []
        room = self.limits.max_bytes
        for number, (archive, response) in enumerate(downloads):
            if not archive_reader.accepts(archive.path):
                raise self._make_no_archive_error(archive, response)
            folder = target.staging / f"archive-{number}"
            folder.mkdir()
            members = archives.unpack(
                archive,
                folder,
                archives.ArchiveLimits(room, self.limits.max_members - len(files), self.limits.max_ratio),
                None if password is None else as_text(password).encode(),
                archive_reader,
            )
            room -= sum(stored.size for _, stored in members)
            # The disk holds only one archive beside the unpacked files.
            archive.path.unlink()
            # Each of several archives gets a folder of its own, since members may have the same name.
            files += [((str(number), *path) if len(downloads) > 1 else path, stored) for path, stored in members]
        self.failures.count_members(files)
        self.failures.apply_action()
        content_type = _choose_content_type([response for _, response in downloads])
        return self.commit(files, content_type, members=len(files))

    def _make_no_archive_error(self, stored: CompleteFile, response: Response) -> ArchiveError:
        return ArchiveError(
            f"output_type={self.plan.output.name!r}: {redact_url(response.url)} answered {response.status}"
            f" with {stored.size} bytes of {response.content_type or 'no content type'}, which are no"
            f" {self.plan.output.name} archive; the body begins: {self._excerpt(stored)}"
        )

    def _excerpt(self, stored: CompleteFile) -> str:
        with stored.path.open("rb") as file:
            return self.hook.api.redact.excerpt(file.read(4000).decode(errors="replace"))

    @contextlib.contextmanager
    def _explain_errors(self, stored: CompleteFile, response: Response) -> Iterator[None]:
        """Add to a failure to read a body what the answer was."""
        try:
            yield
        except ResponseError as error:
            raise error.with_message(
                f"{redact_url(response.url)} answered {response.status}: {self.hook.api.redact(str(error))}; the body"
                f" begins: {self._excerpt(stored)}"
            ) from None

    def download(self) -> list[tuple[CompleteFile, Response]]:
        """Fetch each URL into a file in the staging folder."""
        return self._download(self._destination)

    def _download(
        self, target: Destination, *, digest: bool = True, is_gzip: bool = False
    ) -> list[tuple[CompleteFile, Response]]:
        """Fetch each URL into a file."""
        files: dict[int, PartialFile] = {}
        budget = ByteBudget(self.limits.max_bytes, ProgressMeter(None, time.monotonic))
        limits = archives.ArchiveLimits(self.limits.max_bytes, self.limits.max_members, self.limits.max_ratio)

        def open_file(number: int) -> PartialFile:
            make = (
                partial(archives.GunzippingPartialFile, limits=limits)
                if is_gzip
                else partial(PartialFile, digest=digest)
            )
            return files.setdefault(number, target.open_file(budget, make))

        if self.plan.output.makes_files:
            target.check_file_count(self.fetcher.url_count)
        responses = self._run(self.fetcher.fetch_files(open_file))
        return [(files[number].finish(), response) for number, response in enumerate(responses)]

    def _open_file(self, target: Destination) -> PartialFile:
        return target.open_file(ByteBudget(self.limits.max_bytes))

    def commit(self, files: Sequence[PlacedFile], content_type: str, **counts: int) -> dict[str, JsonValue]:
        """
        Move files to the destination.

        :param counts: what the manifest counts beside bytes.
        :return: the manifest.
        """
        target = self._destination
        paths = target.commit(files)
        size = sum(stored.size for _, stored in files)
        seconds = time.monotonic() - self.began
        log.info("Wrote to %s: %d bytes, number of files: %d, in %.1f s", target.target, size, len(files), seconds)
        if self.fetcher.plan.failed_records is not None:
            counts["failed_records"] = self.failures.failed
        return {
            "paths": paths,
            "bytes": size,
            "sha256": [stored.sha256 for _, stored in files],
            "content_type": content_type,
            "seconds": round(seconds, 3),
            **counts,
        }

    def _make_xcom_error(self, size: int) -> ResultTooLargeError:
        return ResultTooLargeError(
            f"max_xcom_bytes: the result has {size} bytes or more, and {self.limits.max_xcom_bytes} may go to XCom; set"
            " destination to a file or folder, or select less with result_path"
        )


def _read_pieces(stored: CompleteFile) -> Iterator[bytes]:
    with stored.path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _read_whole(stored: CompleteFile, plan: FetchPlan) -> bytes:
    """Return a document that has to be read as a whole, unpacked if it is a gzip file."""
    return gunzip(stored.read(*_describe_whole_read(plan)), MAX_IN_MEMORY)


def _describe_whole_read(plan: FetchPlan) -> tuple[str, str]:
    """Return why a document is read as a whole, and how to avoid that, for a message."""
    if plan.failed_records is not None:
        return "failed_records: the document", "leave failed_records out, and count in a next task"
    instead = (
        "JSON is read row by row where the path leads to an array or to something of each of its items, as in rows[*]"
        " or rows[?(@.ok == true)], and write_as is set; output_type='file' keeps a document as it is"
    )
    return f"result_path: the document in which to look for {plan.result_path}", instead


def _choose_content_type(responses: list[Response]) -> str:
    # A header may hold characters that no XCom can.
    return shorten(responses[0].content_type) if responses else ""
