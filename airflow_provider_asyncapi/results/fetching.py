"""Fetching on the worker: what comes from the API goes to XCom, or whole to its destination."""

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

from airflow_provider_asyncapi.core.callbacks.calls import CALL
from airflow_provider_asyncapi.core.errors import (
    ArchiveError,
    AsyncApiError,
    ConfigurationError,
    ResponseError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.fetch import decoding
from airflow_provider_asyncapi.core.fetch.flow import Answer, Fetching, NoDataError
from airflow_provider_asyncapi.core.fetch.pages import fetch_pages
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.fetch.progress_meter import Meter
from airflow_provider_asyncapi.core.fetch.streaming import stream_rows
from airflow_provider_asyncapi.core.fetch.write_as import WRITE_AS
from airflow_provider_asyncapi.core.http.compression import gunzipped
from airflow_provider_asyncapi.core.http.filenames import collision_key, file_name
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.redaction import shown_url
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn, end_of
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.core.json_values import as_text, shorten
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.registry import load
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.results import archives
from airflow_provider_asyncapi.results.destination import LARGEST_WHOLE, Account, Destination, DraftFile, Owner, Stored
from airflow_provider_asyncapi.results.failed_records import Failures
from airflow_provider_asyncapi.results.writers.writer import Placed, Writer, json_bytes

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Flow
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner

T = TypeVar("T")

log = logging.getLogger(__name__)
#: A value of XCom may be selected from an answer that is so many times larger, or that has at least so many bytes.
_SELECTED, _LEAST_LIMIT = 100, 1024 * 1024
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much of a result is taken.

    :param max_bytes: of the whole result, unpacked.
    :param max_members: of an archive.
    :param max_ratio: of unpacked to packed bytes.
    :param max_xcom_bytes: of a value's JSON text.
    :param unpack: whether an archive is unpacked.
    """

    max_bytes: int = 100 * 1024**3
    max_members: int = 100_000
    max_ratio: float = 200
    max_xcom_bytes: int = 48 * 1024
    unpack: bool = True


def fetch(
    hook: FlowRunner,
    plan: FetchPlan,
    handle: JobHandle,
    destination: str | None,
    limits: Limits,
    save: Callable[[JsonValue], object] = lambda _: None,
    owner: Owner | None = None,
    called: Response | None = None,
    *,
    is_last_try: bool = False,
) -> JsonValue:
    """
    Fetch a result, and put it where it belongs; complete, or not at all.

    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param save: makes the value or the manifest safe, before the cleanup request removes the job.
    :param owner: the task: one try replaces what another has left.
    :param called: the job's callback, where that holds the result.
    :param is_last_try: whether a failure is the task's last one.
    :return: the value, or a manifest of what was written.
    :raises AirflowException: what went wrong, as Airflow understands it.
    """
    fetching = Fetching(hook.api, plan, handle)
    if handle.outcome is Outcome.NO_DATA:
        hook.run(fetching.clean_up(CleanupOn.NO_DATA))
        raise AirflowSkipException(f"Job {handle.shown_identifier} ended with no data: there is nothing to fetch")
    try:
        target = None if destination is None else Destination(destination, owner)
        with contextlib.closing(target) if target else contextlib.nullcontext():
            run = _Run(hook, fetching, target, limits, Failures(fetching), called)
            result = run.result()
            if plan.cleanup is not None:
                save(result)
            if target is not None:
                target.settle()
    except AsyncApiError as error:
        raised = to_airflow(_about_job(error, fetching))
        _clean_up(hook, fetching, raised, error, is_last_try=is_last_try)
        raise raised from error
    except (AirflowException, AirflowSkipException) as error:
        _clean_up(hook, fetching, error, error.__cause__, is_last_try=is_last_try)
        raise
    hook.run(fetching.clean_up(CleanupOn.SUCCESS))
    return result


def _about_job(error: AsyncApiError, fetching: Fetching) -> AsyncApiError:
    return error.with_job(fetching.handle.identifier, fetching.handle.status)


def _clean_up(
    hook: FlowRunner, fetching: Fetching, raised: BaseException, cause: BaseException | None, *, is_last_try: bool
) -> None:
    """Send the cleanup request after a fetch that has raised something, if its result isn't wanted any more."""
    is_final = is_last_try or isinstance(raised, AirflowFailException)
    end = CleanupOn.NO_DATA if isinstance(cause, NoDataError) else end_of(cause, is_final=is_final)
    if end is not None:
        hook.run(fetching.clean_up(end))


@dataclass(slots=True)
class _Run:
    """One fetch, with what it counts."""

    hook: FlowRunner
    fetching: Fetching
    target: Destination | None
    limits: Limits
    failures: Failures
    called: Response | None = None
    began: float = field(default_factory=time.monotonic)

    def result(self) -> JsonValue:
        """Fetch by the kind of output."""
        self._check()
        if self.target is not None:
            self.target.undo_earlier()
        plan = self.fetching.plan
        if self.called is not None:
            called = self.called.read_as(plan.format.charset)
            answer = Answer(CALL, called, self.fetching.scope)
            if self.target is not None and called.body and not plan.selects_part:
                return self._body(self.target, answer)
            return self.return_value(self.fetching.decoded(decoding.decode, answer), [called])
        inline = self.fetching.inline_value()
        if inline is None:
            self._ask(self.fetching.locate())
        return plan.output.fetch(self, inline)

    @property
    def plan(self) -> FetchPlan:
        """How to fetch."""
        return self.fetching.plan

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

    def _check(self) -> None:
        """Check, before any request, what can't end well."""
        plan = self.fetching.plan
        if self.target is None and plan.write_as is not None:
            raise ConfigurationError("write_as: says how rows are written to a destination, and there is none")
        destination = None if self.target is None else self.target.target
        plan.output.check_destination(destination, unpack=self.limits.unpack)
        if plan.output.makes_files and plan.partial is not None and not self.limits.unpack:
            raise ConfigurationError(
                "failed_records: an archive is looked into only where it is unpacked (unpack=True)"
            )

    def _ask(self, flow: Flow[T]) -> T:
        def skipping() -> Flow[T]:
            try:
                return (yield from flow)
            except NoDataError as error:
                raise AirflowSkipException(str(error)) from error
            except AsyncApiError as error:
                _about_job(error, self.fetching)
                raise

        return self.hook.run(skipping())

    def fetch_value(self) -> JsonValue:
        """Fetch a value into memory, and return it for XCom."""
        limit = max(self.limits.max_xcom_bytes * _SELECTED, _LEAST_LIMIT)
        return self.return_value(*self._ask(self.fetching.value(limit)))

    def return_value(self, value: JsonValue, responses: Sequence[Response]) -> JsonValue:
        """Count failed records in the answers, and return a value for XCom, or write it to the destination."""
        for response in responses:
            self.failures.count(response)
        self.failures.judge()
        if self.target is None:
            value = to_storable(value, "result")
        text = json_bytes(value)
        if self.target is None:
            if len(text) > self.limits.max_xcom_bytes:
                raise self._too_large(len(text))
            return value
        if self.fetching.plan.write_as is not None:
            return self._rows(self.target, decoding.rows_of(value))
        draft = self._draft(self.target)
        draft.write(text)
        return self.commit([(("result.json",), draft.finish())], "application/json")

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
                size += len(json_bytes(row)) + 1
                if size > self.limits.max_xcom_bytes:
                    raise self._too_large(size)
                rows.append(row)

        pages = self._walk(inline, collect)
        self.failures.judge()
        if writer is None or self.target is None:
            return rows
        files = writer.finish("pages")
        return self.commit(files, writer.content_type, pages=pages, rows=count)

    def _walk(self, inline: JsonValue, collect: Callable[[list[JsonValue], Response], None]) -> int:
        """Fetch all pages, and log now and then how many there are."""
        paging = self.plan.paging
        if paging is None:
            raise ConfigurationError(f"output_type={self.plan.output.name!r}: has no pages")
        meter = Meter("pages", time.monotonic)
        count = paging.count(self.fetching.scope)
        done = itertools.count(1)

        def collect_and_log(page: list[JsonValue], response: Response) -> None:
            collect(page, response)
            if line := meter.line(next(done), count):
                log.info("%s", line)

        return self._ask(fetch_pages(self.fetching, paging, collect_and_log, inline=inline))

    def fetch_selected(self) -> JsonValue:
        """Write what is selected of a document, row by row if it has rows, so that it can have any size."""
        plan, target = self.plan, self._destination
        downloads = self._download(target, digest=False)
        streams = None if plan.partial else self._streams(downloads)
        if streams is not None:
            return self._rows(target, itertools.chain.from_iterable(streams))
        values = []
        for stored, response in downloads:
            with self._reading(stored, response):
                response.body = _whole(stored, plan)
                values.append(decoding.decode(response, plan.format, plan.result_path, self.fetching.scope))
        value = values if self.fetching.has_list or len(values) != 1 else values[0]
        rows = itertools.chain.from_iterable(map(decoding.rows_of, values))
        return self.return_value(list(rows) if plan.write_as else value, [response for _, response in downloads])

    def _streams(self, downloads: list[tuple[Stored, Response]]) -> list[Iterator[JsonValue]] | None:
        """Return the rows of each document; None if one has to be read as a whole."""
        plan, streams = self.fetching.plan, []
        if plan.write_as is None and self.fetching.has_list:
            return None
        for stored, response in downloads:
            with self._reading(stored, response):
                rows = stream_rows(
                    partial(_pieces, stored), response, plan.format, plan.result_path, self.fetching.scope
                )
            if rows is None:
                return None
            streams.append(self._read(rows, stored, response))
        return streams

    def _read(self, rows: Iterator[JsonValue], stored: Stored, response: Response) -> Iterator[JsonValue]:
        with self._reading(stored, response):
            yield from rows

    def _rows(self, target: Destination, rows: Iterable[JsonValue]) -> JsonValue:
        self.failures.judge()
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
        account = Account(self.limits.max_bytes)

        def open_draft(*, scratch: bool = False) -> DraftFile:
            return target.draft(Account(math.inf) if scratch else account, partial(DraftFile, digest=not scratch))

        try:
            make: type[Writer] = kind.load()
        except ImportError as error:
            package = kind.package or error.name
            raise ConfigurationError(f"write_as: {kind.name!r} needs {error.name}: install {package}") from None
        return make(open_draft)

    def fetch_files(self, *, gunzip: bool = False) -> JsonValue:
        """
        Fetch each URL into a file at the destination.

        :param gunzip: whether gzip files are decompressed.
        """
        identifier = self.fetching.handle.identifier
        taken: set[str] = set()
        files: list[Placed] = []
        downloads = self._download(self._destination, is_gzip=gunzip)
        for stored, response in downloads:
            name = file_name(response, "" if identifier is None else as_text(identifier))
            name = chosen = (name.removesuffix(".gz") or name) if gunzip else name
            number = 1
            while collision_key((chosen,)) in taken:
                number += 1
                chosen = f"{number}-{name}"
            taken.add(collision_key((chosen,)))
            files.append(((chosen,), stored))
        if self.plan.partial is not None:
            self._count_documents(downloads)
        return self.commit(files, _content_type([response for _, response in downloads]))

    def _count_documents(self, downloads: list[tuple[Stored, Response]]) -> None:
        """Count the records that failed, and leave the files as they came."""
        for stored, response in downloads:
            with self._reading(stored, response):
                self.failures.count(dataclasses.replace(response, body=_whole(stored, self.fetching.plan)))
        self.failures.judge()

    def _body(self, target: Destination, answer: Answer) -> JsonValue:
        """Keep the body of the callback that holds the result as it came."""
        self.fetching.readable(answer, lambda: self.failures.count(answer.response))
        self.failures.judge()
        draft = self._draft(target)
        draft.write(answer.response.body)
        identifier = self.fetching.handle.identifier
        name = file_name(answer.response, "" if identifier is None else as_text(identifier))
        return self.commit([((name,), draft.finish())], answer.response.content_type)

    def fetch_archives(self, reader: str) -> JsonValue:
        """
        Fetch archives, and unpack them into the destination.

        :param reader: the import path of the :class:`~.archives.ArchiveReader`.
        """
        target = self._destination
        downloads = self._download(target, digest=False)
        password = self.fetching.api.settings.variables.get("connection.archive_password")
        archive_reader: archives.ArchiveReader = load(reader)
        files: list[Placed] = []
        room = self.limits.max_bytes
        for number, (archive, response) in enumerate(downloads):
            if not archive_reader.accepts(archive.path):
                raise self._no_archive(archive, response)
            folder = target.staging / f"archive-{number}"
            folder.mkdir()
            members = archives.unpack(
                archive,
                folder,
                archives.Limits(room, self.limits.max_members - len(files), self.limits.max_ratio),
                None if password is None else as_text(password).encode(),
                archive_reader,
            )
            room -= sum(stored.size for _, stored in members)
            # The disk holds no more than it has to.
            archive.path.unlink()
            # Of several archives each gets a folder of its own, for members of the same name.
            files += [((str(number), *path) if len(downloads) > 1 else path, stored) for path, stored in members]
        self.failures.count_members(files)
        self.failures.judge()
        content_type = _content_type([response for _, response in downloads])
        return self.commit(files, content_type, members=len(files))

    def _no_archive(self, stored: Stored, response: Response) -> ArchiveError:
        return ArchiveError(
            f"output_type={self.plan.output.name!r}: {shown_url(response.url)} answered {response.status}"
            f" with {stored.size} bytes of {response.content_type or 'no content type'}, which are no"
            f" {self.plan.output.name} archive; the body begins: {self._beginning(stored)}"
        )

    def _beginning(self, stored: Stored) -> str:
        with stored.path.open("rb") as file:
            return self.hook.api.redact.excerpt(file.read(4000).decode(errors="replace"))

    @contextlib.contextmanager
    def _reading(self, stored: Stored, response: Response) -> Iterator[None]:
        """Say what an answer was where it can't be used."""
        try:
            yield
        except ResponseError as error:
            raise error.with_message(
                f"{shown_url(response.url)} answered {response.status}: {self.hook.api.redact(str(error))}; the body"
                f" begins: {self._beginning(stored)}"
            ) from None

    def download(self) -> list[tuple[Stored, Response]]:
        """Fetch each URL into a file in the staging folder."""
        return self._download(self._destination)

    def _download(
        self, target: Destination, *, digest: bool = True, is_gzip: bool = False
    ) -> list[tuple[Stored, Response]]:
        """Fetch each URL into a file."""
        drafts: dict[int, DraftFile] = {}
        account = Account(self.limits.max_bytes, Meter(None, time.monotonic))
        limits = archives.Limits(self.limits.max_bytes, self.limits.max_members, self.limits.max_ratio)

        def open_draft(number: int) -> DraftFile:
            make = partial(archives.GunzippingDraft, limits=limits) if is_gzip else partial(DraftFile, digest=digest)
            return drafts.setdefault(number, target.draft(account, make))

        if self.plan.output.makes_files:
            target.check_room(self.fetching.count)
        responses = self._ask(self.fetching.files(open_draft))
        return [(drafts[number].finish(), response) for number, response in enumerate(responses)]

    def _draft(self, target: Destination) -> DraftFile:
        return target.draft(Account(self.limits.max_bytes))

    def commit(self, files: Sequence[Placed], content_type: str, **counts: int) -> dict[str, JsonValue]:
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
        if self.fetching.plan.partial is not None:
            counts["failed_records"] = self.failures.failed
        return {
            "paths": paths,
            "bytes": size,
            "sha256": [stored.sha256 for _, stored in files],
            "content_type": content_type,
            "seconds": round(seconds, 3),
            **counts,
        }

    def _too_large(self, size: int) -> ResultTooLargeError:
        return ResultTooLargeError(
            f"max_xcom_bytes: the result has {size} bytes or more, and {self.limits.max_xcom_bytes} may go to XCom; set"
            " destination to a file or folder, or select less with result_path"
        )


def _pieces(stored: Stored) -> Iterator[bytes]:
    with stored.path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _whole(stored: Stored, plan: FetchPlan) -> bytes:
    """Return a document that has to be read as a whole, unpacked if it is a gzip file."""
    return gunzipped(stored.read(*_as_a_whole(plan)), LARGEST_WHOLE)


def _as_a_whole(plan: FetchPlan) -> tuple[str, str]:
    """Say for what a document is read as a whole, and how it needn't be."""
    if plan.partial is not None:
        return "failed_records: the document", "leave failed_records out, and count in a next task"
    instead = (
        "JSON is read row by row where the path leads to an array or to something of each of its items, as in rows[*]"
        " or rows[?(@.ok == true)], and write_as is set; output_type='file' keeps a document as it is"
    )
    return f"result_path: the document in which to look for {plan.result_path}", instead


def _content_type(responses: list[Response]) -> str:
    # A header may hold what no XCom can.
    return shorten(responses[0].content_type) if responses else ""
