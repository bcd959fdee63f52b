"""What an output type declares: what can be combined with it, and how it is fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from airflow_provider_asyncapi.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.json_values import JsonValue


class FetchedFile(Protocol):
    """
    A complete file in the staging folder.

    :ivar path: its path.
    :ivar size: in bytes.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102 - see the class

    @property
    def size(self) -> int: ...  # noqa: D102 - see the class


class FetchRun(Protocol):
    """
    What an output type can do: requests on the worker, and files in the staging folder.

    :ivar plan: how to fetch.
    :ivar has_destination: whether the result goes to a destination, and not to XCom.
    :ivar unpack: whether archives are unpacked.
    """

    @property
    def plan(self) -> FetchPlan: ...  # noqa: D102 - see the class

    @property
    def has_destination(self) -> bool: ...  # noqa: D102 - see the class

    @property
    def unpack(self) -> bool: ...  # noqa: D102 - see the class

    def return_value(self, value: JsonValue, responses: Sequence[Response]) -> JsonValue:
        """Count failed records in the responses, and return a value for XCom, or write it to the destination."""

    def fetch_value(self) -> JsonValue:
        """Fetch a value into memory, and return it for XCom."""

    def fetch_selected(self) -> JsonValue:
        """Fetch a document into a file, and write what is selected of it to the destination."""

    def fetch_pages(self, inline: JsonValue) -> JsonValue:
        """Fetch pages, and return or write their rows."""

    def fetch_files(self, *, gunzip: bool = False) -> JsonValue:
        """Fetch each URL into a file at the destination."""

    def fetch_archives(self, reader: str) -> JsonValue:
        """
        Fetch archives, and unpack them into the destination.

        :param reader: the import path of the :class:`~airflow_provider_asyncapi.results.archives.ArchiveReader`.
        """

    def download(self) -> Sequence[tuple[FetchedFile, Response]]:
        """Fetch each URL into a file in the staging folder."""

    def commit(self, files: Sequence[tuple[tuple[str, ...], Any]], content_type: str, **counts: int) -> JsonValue:
        """
        Move files to the destination, and return the manifest.

        :param files: (path below the destination, file that :meth:`download` has returned) pairs.
        :param counts: further counts for the manifest.
        """


class Output(ABC):
    """
    An output type.

    :cvar name: the value of ``output_type`` that chooses it.
    :cvar summary: its line in the reference, in Markdown.
    :cvar makes_files: whether it makes files that aren't read: it needs a destination and may have a checksum, and
        nothing can be selected.
    :cvar has_pages: whether it has parameters of paging.
    :cvar takes_callback: whether the job's callback can hold it.
    :cvar failed_records_in: what ``failed_records`` looks into: the response, a member of an archive, or nothing.
    :cvar default_writer: the ``write_as`` of its rows if the task sets none.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    makes_files: ClassVar[bool] = False
    has_pages: ClassVar[bool] = False
    takes_callback: ClassVar[bool] = False
    failed_records_in: ClassVar[Literal["response", "member"] | None] = None
    default_writer: ClassVar[str] = "json"

    @abstractmethod
    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """
        Fetch the result, and return the value for XCom: the result itself, or a manifest of its files.

        :param inline: the result, if the job's responses held it already, else None.
        """

    def check_destination(self, destination: str | None, *, unpack: bool) -> None:
        """
        Check that the destination can hold the result.

        :param unpack: whether archives are unpacked.
        :raises ConfigurationError: if it can't.
        """
        if self.makes_files and destination is None:
            raise ConfigurationError(
                f"destination: output_type={self.name!r} needs one, a file or a folder with a slash at its end"
            )

    def check(self, plan: FetchPlan) -> None:
        """
        Check that the parameters go together with this output type.

        :raises ConfigurationError: naming the parameter that doesn't.
        """
        shown = f"output_type={self.name!r}"
        if self.makes_files and plan.inline is not None:
            raise ConfigurationError(f"inline: a variable holds a value, and {shown} makes files")
        if plan.callback and not self.takes_callback:
            raise ConfigurationError(f"callback: a callback holds one value, and {shown} isn't one value")
        if plan.write_as is not None:
            if self.makes_files:
                raise ConfigurationError(f"write_as: is for values and rows, and {shown} keeps files as they are")
            if plan.write_as.needs_pages and not self.has_pages:
                raise ConfigurationError(
                    f"write_as: {plan.write_as.name!r} makes a file of each page, so output_type has to be 'pages'"
                )
        if plan.checksum and not self.makes_files:
            raise ConfigurationError(f"checksum: is for files, and {shown} is read")
        if plan.failed_records is not None:
            self._check_failed_records(has_member=plan.failed_records.member is not None)

    def _check_failed_records(self, *, has_member: bool) -> None:
        if self.failed_records_in is None:
            raise ConfigurationError(
                "failed_records: a file is kept as it is; set output_type='result' to read its records"
            )
        if self.failed_records_in == "member" and not has_member:
            raise ConfigurationError(
                "failed_records: needs member, the file in the archive that lists the failed records"
            )
        if self.failed_records_in == "response" and has_member:
            raise ConfigurationError(
                "failed_records: member names a file in an archive, so output_type has to be 'zip' or 'tar'"
            )
