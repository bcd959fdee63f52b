"""The target of a result: XCom, or files at a destination, with a manifest of them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError
from airflow_provider_asyncapi.core.fetch import result_value
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.results.destination import ByteBudget, Destination, PartialFile
from airflow_provider_asyncapi.results.failed_records import FailedRecordsCounter
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.writers.base import PlacedFile, Writer, encode_json

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


log = logging.getLogger(__name__)


class ResultTarget:
    """
    The target of one fetch.

    :param plan: the plan of the fetch.
    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param limits: the limits of the result.
    :param failures: the counter of failed records, whose action comes before anything is stored.
    """

    def __init__(
        self, plan: FetchPlan, destination: Destination | None, limits: ResultLimits, failures: FailedRecordsCounter
    ) -> None:
        self._plan, self._destination, self._limits = plan, destination, limits
        self.failures = failures
        self._began = time.monotonic()

    @property
    def is_xcom(self) -> bool:
        """Whether the result goes to XCom."""
        return self._destination is None

    @property
    def destination(self) -> Destination:
        """The destination; an error if there is none."""
        if self._destination is None:
            raise ConfigurationError(f"destination: output_type={self._plan.output.name!r} needs one")
        return self._destination

    def return_value(self, value: JsonValue, responses: Sequence[Response]) -> JsonValue:
        """Count failed records in the responses, and return a value for XCom, or write it to the destination."""
        for response in responses:
            self.failures.count(response)
        self.failures.apply_action()
        if self._destination is None:
            value = to_storable(value, "result")
        text = encode_json(value)
        if self._destination is None:
            if len(text) > self._limits.max_xcom_bytes:
                raise self.make_xcom_error(len(text))
            return value
        if self._plan.write_as is not None:
            return self.write_rows(result_value.to_rows(value))
        file = self.open_file()
        file.write(text)
        return self.commit([(("result.json",), file.finish())], "application/json")

    def write_rows(self, rows: Iterable[JsonValue]) -> JsonValue:
        """Write rows to the destination, and return the manifest."""
        self.failures.apply_action()
        writer, count = self.open_writer(), 0
        for row in rows:
            writer.write(row)
            count += 1
        files = writer.finish("result")
        return self.commit(files, writer.content_type, rows=count)

    def open_writer(self) -> Writer:
        """
        Return the writer of the rows.

        :raises ConfigurationError: if a package that it needs isn't installed.
        """
        target = self.destination
        kind = self._plan.write_as or WRITE_AS[self._plan.output.default_writer]
        budget = ByteBudget(self._limits.max_bytes)

        def open_file(*, scratch: bool = False) -> PartialFile:
            return target.open_file(
                ByteBudget(math.inf) if scratch else budget, partial(PartialFile, digest=not scratch)
            )

        with WRITE_AS.explain_missing_package(kind):
            make: type[Writer] = kind.load()
        return make(open_file)

    def open_file(self) -> PartialFile:
        """Open a new file in the staging folder."""
        return self.destination.open_file(ByteBudget(self._limits.max_bytes))

    def commit(self, files: Sequence[PlacedFile], content_type: str, **counts: int) -> dict[str, JsonValue]:
        """
        Move files to the destination.

        :param counts: further counts for the manifest.
        :return: the manifest.
        """
        target = self.destination
        paths = target.commit(files)
        size = sum(stored.size for _, stored in files)
        seconds = time.monotonic() - self._began
        log.info("Wrote to %s: %d bytes, number of files: %d, in %.1f s", target.target, size, len(files), seconds)
        if self._plan.failed_records is not None:
            counts["failed_records"] = self.failures.failed
        return {
            "paths": paths,
            "bytes": size,
            "sha256": [stored.sha256 for _, stored in files],
            "content_type": content_type,
            "seconds": round(seconds, 3),
            **counts,
        }

    def make_xcom_error(self, size: int) -> ResultTooLargeError:
        """Return the error of a value that is too large for XCom."""
        return ResultTooLargeError(
            f"max_xcom_bytes: the result has {size} bytes or more, and {self._limits.max_xcom_bytes} may go to XCom;"
            " set destination to a file or folder, or select less with result_path"
        )
