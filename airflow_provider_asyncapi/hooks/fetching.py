"""Fetching on the worker: what comes from the API goes to XCom, or whole to its destination."""

from __future__ import annotations

import contextlib
import json
import logging
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi.core import decoding
from airflow_provider_asyncapi.core.errors import (
    ArchiveError,
    AsyncApiError,
    ConfigurationError,
    PartialResultError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.filenames import collision_key, file_name
from airflow_provider_asyncapi.core.flows.fetch import Fetching, NoDataError
from airflow_provider_asyncapi.core.flows.pages import fetch_pages
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.plans.fetch import FetchPlan, Output
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.values import shorten
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.archives import unpack
from airflow_provider_asyncapi.hooks.storage import Destination, FileSink, Stored

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Flow
    from airflow_provider_asyncapi.core.handle import JobHandle
    from airflow_provider_asyncapi.core.paging import Paging
    from airflow_provider_asyncapi.core.values import JsonValue
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

T = TypeVar("T")
#: A path below the destination, and the file that goes there.
Placed = tuple[tuple[str, ...], Stored]

log = logging.getLogger(__name__)
#: A value of XCom may be selected from an answer that is so many times larger, or that has at least so many bytes.
_SELECTED, _LEAST_LIMIT = 100, 1024 * 1024
#: The largest member of an archive that is read into memory to count what failed.
_LARGEST_REPORT = 64 * 1024 * 1024


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

    max_bytes: int
    max_members: int
    max_ratio: float
    max_xcom_bytes: int
    unpack: bool = True


def fetch(
    hook: AsyncApiHook,
    plan: FetchPlan,
    handle: JobHandle,
    destination: str | None,
    limits: Limits,
    save: Callable[[JsonValue], object] = lambda _: None,
) -> JsonValue:
    """
    Fetch a result, and put it where it belongs; complete, or not at all.

    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param save: makes the value or the manifest safe, before the cleanup request removes the job.
    :return: the value, or a manifest of what was written.
    :raises AirflowException: what went wrong, as Airflow understands it.
    """
    try:
        target = None if destination is None else Destination(destination, limits.max_bytes)
        with contextlib.closing(target) if target else contextlib.nullcontext():
            run = _Run(hook, Fetching(hook.api, plan, handle), target, limits)
            result = run.result()
    except AsyncApiError as error:
        raise to_airflow(error) from error
    if plan.cleanup is not None:
        save(result)
    hook.run(run.fetching.clean_up())
    return result


@dataclass(slots=True)
class _Run:
    """One fetch, with what it counts."""

    hook: AsyncApiHook
    fetching: Fetching
    target: Destination | None
    limits: Limits
    failed: int = 0
    records: int = 0

    def result(self) -> JsonValue:
        """Fetch by the kind of output."""
        self._check()
        plan = self.fetching.plan
        inline = self.fetching.inline_value()
        if inline is None:
            self.fetching = self._ask(self.fetching.locate())
        if plan.paging is not None:
            return self._pages(plan.paging, inline)
        if inline is not None:
            return self._value(inline, [decoding.json_response(inline)])
        if self.target is None:
            return self._selected(max(self.limits.max_xcom_bytes * _SELECTED, _LEAST_LIMIT))
        if plan.output is Output.RESULT and (plan.result_path or plan.partial):
            return self._selected(self.limits.max_bytes)
        if plan.output is Output.ZIP and self.limits.unpack:
            return self._members(self.target)
        return self._files(self.target)

    def _check(self) -> None:
        """Find out before anything is asked of the API what can't end well."""
        plan = self.fetching.plan
        if plan.output not in (Output.ZIP, Output.FILE):
            return
        if self.target is None:
            raise ConfigurationError(
                f"destination: output={str(plan.output)!r} needs one, a folder with a slash at its end"
            )
        if plan.output is Output.ZIP and self.limits.unpack and not self.target.is_folder:
            raise ConfigurationError(
                f"destination: an archive is unpacked into a folder; end {self.target.target!r} with a slash (or set"
                " unpack=False to keep the archive whole)"
            )
        if plan.partial is not None and not self.limits.unpack:
            raise ConfigurationError(
                "failed_records: an archive is looked into only where it is unpacked (unpack=True)"
            )

    def _ask(self, flow: Flow[T]) -> T:
        def skipping() -> Flow[T]:
            try:
                return (yield from flow)
            except NoDataError as error:
                raise AirflowSkipException(str(error)) from error

        return self.hook.run(skipping())

    def _selected(self, limit: int) -> JsonValue:
        return self._value(*self._ask(self.fetching.value(limit)))

    def _value(self, value: JsonValue, responses: list[Response]) -> JsonValue:
        for response in responses:
            self._count(response)
        self._judge_failures()
        text = _json_bytes(value)
        if self.target is None:
            if len(text) > self.limits.max_xcom_bytes:
                raise self._too_large(len(text))
            return value
        sink = self.target.sink()
        sink.write(text)
        return self._committed(self.target, [(("result.json",), sink.finish())], "application/json")

    def _pages(self, paging: Paging, inline: JsonValue) -> JsonValue:
        rows: list[JsonValue] = []
        size = count = 0
        sink = self.target.sink() if self.target else None

        def collect(page: list[JsonValue], response: Response) -> None:
            nonlocal size, count
            self._count(response)
            count += len(page)
            for row in page:
                line = _json_bytes(row) + b"\n"
                size += len(line)
                if sink is not None:
                    sink.write(line)
                elif size > self.limits.max_xcom_bytes:
                    raise self._too_large(size)
                else:
                    rows.append(row)

        if inline is None:
            pages = self._ask(fetch_pages(self.fetching, paging, collect))
        else:
            pages = 1
            collect(decoding.rows_of(inline), decoding.json_response(inline))
        self._judge_failures()
        if sink is None or self.target is None:
            return rows
        files: list[Placed] = [(("pages.ndjson",), sink.finish())]
        return self._committed(self.target, files, "application/x-ndjson", pages=pages, rows=count)

    def _files(self, target: Destination) -> JsonValue:
        downloads, responses = self._download(target)
        identifier = self.fetching.handle.identifier
        taken: set[str] = set()
        files: list[Placed] = []
        for stored, response in zip(downloads, responses, strict=True):
            name = chosen = file_name(response, "" if identifier is None else str(identifier))
            number = 1
            while collision_key((chosen,)) in taken:
                number += 1
                chosen = f"{number}-{name}"
            taken.add(collision_key((chosen,)))
            files.append(((chosen,), stored))
        return self._committed(target, files, _content_type(responses))

    def _members(self, target: Destination) -> JsonValue:
        archives, responses = self._download(target)
        files: list[Placed] = []
        room = self.limits.max_bytes
        for number, (archive, response) in enumerate(zip(archives, responses, strict=True)):
            if not zipfile.is_zipfile(archive.path):
                raise self._no_archive(archive, response)
            folder = target.staging / f"archive-{number}"
            folder.mkdir()
            members = unpack(
                archive,
                folder,
                max_bytes=room,
                max_members=self.limits.max_members - len(files),
                max_ratio=self.limits.max_ratio,
            )
            room -= sum(stored.size for _, stored in members)
            # Of several archives each gets a folder of its own, for members of the same name.
            files += [((str(number), *path) if len(archives) > 1 else path, stored) for path, stored in members]
        self._count_members(files)
        self._judge_failures()
        return self._committed(target, files, _content_type(responses), members=len(files))

    def _no_archive(self, stored: Stored, response: Response) -> ArchiveError:
        with stored.path.open("rb") as file:
            begins = shorten(self.hook.api.redact(file.read(1000).decode(errors="replace")))
        return ArchiveError(
            f"output='zip': {shown_url(response.url)} answered {response.status} with {stored.size} bytes of"
            f" {response.content_type or 'no content type'}, which are no zip archive; the body begins: {begins}"
        )

    def _download(self, target: Destination) -> tuple[list[Stored], list[Response]]:
        sinks: list[FileSink] = []

        def open_sink(_number: int) -> FileSink:
            sinks.append(target.sink())
            return sinks[-1]

        responses = self._ask(self.fetching.files(open_sink))
        return [sink.finish() for sink in sinks], responses

    def _committed(
        self, target: Destination, files: list[Placed], content_type: str, **counts: int
    ) -> dict[str, JsonValue]:
        paths = target.commit(files)
        size = sum(stored.size for _, stored in files)
        log.info("Wrote to %s: %d bytes, number of files: %d", target.target, size, len(files))
        if self.fetching.plan.partial is not None:
            counts["failed_records"] = self.failed
        return {
            "paths": paths,
            "bytes": size,
            "sha256": [stored.sha256 for _, stored in files],
            "content_type": content_type,
            **counts,
        }

    def _count(self, response: Response) -> None:
        plan = self.fetching.plan
        if plan.partial is not None:
            self._add(plan.partial.count(decoding.selectable(response, plan.format), self.fetching.scope))

    def _count_members(self, files: list[Placed]) -> None:
        partial = self.fetching.plan.partial
        if partial is None:
            return
        reports = [stored for path, stored in files if partial.is_in(path)]
        if not reports:
            names = ", ".join("/".join(path) for path, _ in files[:10]) or "no files"
            raise ArchiveError(f"failed_records: the archive has no member {partial.member!r}; it has {names}")
        for stored in reports:
            if stored.size > _LARGEST_REPORT:
                raise ResultTooLargeError(
                    f"failed_records: {partial.member!r} has {stored.size} bytes, too many to count in"
                )
            self._add(partial.count(Response(200, body=stored.path.read_bytes()), self.fetching.scope))

    def _add(self, counted: tuple[int, int]) -> None:
        self.failed += counted[0]
        self.records += counted[1]

    def _judge_failures(self) -> None:
        """Fail, warn or skip where records failed."""
        partial = self.fetching.plan.partial
        if partial is None or not self.failed:
            return
        message = f"{self.failed} of {self.records} records of job {self.fetching.handle.identifier} failed"
        if partial.action == "fail":
            raise PartialResultError(f"{message}; set on_partial to 'warn' or 'skip' to go on without them")
        if partial.action == "skip":
            raise AirflowSkipException(message)
        log.warning("%s", message)

    def _too_large(self, size: int) -> ResultTooLargeError:
        return ResultTooLargeError(
            f"max_xcom_bytes: the result has {size} bytes or more, and {self.limits.max_xcom_bytes} may go to XCom; set"
            " destination to a file or folder, or select less with result_path"
        )


def _json_bytes(value: JsonValue) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a character has no UTF-8; JSON can escape it.
        return json.dumps(value).encode()


def _content_type(responses: list[Response]) -> str:
    return responses[0].content_type if responses else ""
