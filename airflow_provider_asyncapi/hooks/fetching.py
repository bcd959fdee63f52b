"""Fetching on the worker: what comes from the API goes to XCom, or whole to its destination."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    PartialResultError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.filenames import file_name
from airflow_provider_asyncapi.core.flows.fetch import Fetching, FetchPlan, NoDataError, Output
from airflow_provider_asyncapi.core.messages import Headers, Response
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.archives import unpack
from airflow_provider_asyncapi.hooks.storage import Destination, FileSink, Stored

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.handle import JobHandle
    from airflow_provider_asyncapi.core.values import JsonValue
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

log = logging.getLogger(__name__)


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
    hook: AsyncApiHook, plan: FetchPlan, handle: JobHandle, destination: str | None, limits: Limits
) -> JsonValue:
    """
    Fetch a result, and put it where it belongs; complete, or not at all.

    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :return: the value, or a manifest of what was written.
    :raises AirflowException: what went wrong, as Airflow understands it.
    """
    try:
        target = None if destination is None else Destination(destination, limits.max_bytes)
        fetching = hook.run(Fetching(hook.api, plan, handle).locate())
        try:
            result = _Run(hook, fetching, target, limits).result()
        finally:
            if target is not None:
                target.close()
    except NoDataError as error:
        raise AirflowSkipException(str(error)) from error
    except AsyncApiError as error:
        raise to_airflow(error) from error
    hook.run(fetching.clean_up())
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
        plan = self.fetching.plan
        inline = self.fetching.inline_value()
        if plan.output is Output.PAGES and inline is None:
            return self._pages()
        if plan.output is Output.RESULT and (self.target is None or plan.result_path or inline is not None):
            return self._value(inline)
        if self.target is None:
            raise ConfigurationError(f"destination: output={str(plan.output)!r} needs one, a folder with a slash at its end")
        return self._zip(self.target) if plan.output is Output.ZIP else self._files(self.target)

    def _value(self, inline: JsonValue) -> JsonValue:
        if inline is None:
            limit = self.limits.max_bytes if self.target else max(self.limits.max_xcom_bytes * 100, 1024 * 1024)
            value, responses = self.hook.run(self.fetching.value(limit))
        else:
            value, responses = inline, [_json_response(inline)]
        for response in responses:
            self._count(response)
        self._judge_failures()
        text = json.dumps(value, ensure_ascii=False).encode()
        if self.target is None:
            if len(text) > self.limits.max_xcom_bytes:
                raise self._too_large(len(text))
            return value
        sink = self.target.sink()
        sink.write(text)
        return self._committed(self.target, [(("result.json",), sink.finish())], "application/json")

    def _pages(self) -> JsonValue:
        rows: list[JsonValue] = []
        size = 0
        count = 0
        sink = self.target.sink() if self.target else None

        def collect(_index: int, page: list[JsonValue], response: Response) -> None:
            nonlocal size, count
            self._count(response)
            count += len(page)
            for row in page:
                line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
                size += len(line)
                if sink is not None:
                    sink.write(line)
                elif size > self.limits.max_xcom_bytes:
                    raise self._too_large(size)
                else:
                    rows.append(row)

        pages = self.hook.run(self.fetching.pages(collect))
        self._judge_failures()
        if sink is None or self.target is None:
            return rows
        files = [(("pages.ndjson",), sink.finish())]
        return self._committed(self.target, files, "application/x-ndjson", pages=pages, rows=count)

    def _files(self, target: Destination) -> JsonValue:
        sinks, responses = self._download(target)
        taken: set[str] = set()
        files = []
        for number, (stored, response) in enumerate(zip(sinks, responses, strict=True)):
            name = file_name(response, str(self.fetching.handle.identifier))
            if name.casefold() in taken:
                name = f"{number}-{name}"
            taken.add(name.casefold())
            files.append(((name,), stored))
        return self._committed(target, files, responses[0].content_type if responses else "")

    def _zip(self, target: Destination) -> JsonValue:
        if not self.limits.unpack:
            return self._files(target)
        if not target.is_folder:
            raise ConfigurationError(
                f"destination: an archive is unpacked into a folder; end {target.target!r} with a slash (or set"
                " unpack=False to keep the archive whole)"
            )
        archives, responses = self._download(target)
        files: list[tuple[tuple[str, ...], Stored]] = []
        for number, archive in enumerate(archives):
            folder = target.staging / f"archive-{number}"
            folder.mkdir()
            members = unpack(
                archive,
                folder,
                max_bytes=self.limits.max_bytes,
                max_members=self.limits.max_members,
                max_ratio=self.limits.max_ratio,
            )
            # Of several archives each gets a folder of its own, for members of the same name.
            files += [((str(number), *path) if len(archives) > 1 else path, stored) for path, stored in members]
        self._count_members(files)
        self._judge_failures()
        return self._committed(target, files, responses[0].content_type if responses else "", members=len(files))

    def _download(self, target: Destination) -> tuple[list[Stored], list[Response]]:
        sinks: list[FileSink] = []

        def open_sink(_number: int) -> FileSink:
            sinks.append(target.sink())
            return sinks[-1]

        responses = self.hook.run(self.fetching.files(open_sink))
        return [sink.finish() for sink in sinks], responses

    def _committed(
        self, target: Destination, files: list[tuple[tuple[str, ...], Stored]], content_type: str, **counts: int
    ) -> dict[str, JsonValue]:
        paths = target.commit(files)
        size = sum(stored.size for _, stored in files)
        log.info("Wrote %d files, %d bytes to %s", len(files), size, target.target)
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
        partial = self.fetching.plan.partial
        if partial is not None and partial.member is None:
            self._add(partial.count(response, self.fetching.scope))

    def _count_members(self, files: list[tuple[tuple[str, ...], Stored]]) -> None:
        partial = self.fetching.plan.partial
        if partial is None or partial.member is None:
            return
        for path, stored in files:
            if "/".join(path).endswith(partial.member):
                self._add(partial.count(_json_response(json.loads(stored.path.read_bytes())), self.fetching.scope))

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


def _json_response(value: JsonValue) -> Response:
    """Give a value as the answer that would have held it, for the rules to look at."""
    return Response(200, Headers([("content-type", "application/json")]), json.dumps(value).encode())
