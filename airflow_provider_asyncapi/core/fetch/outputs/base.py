"""What an output type declares: what can be combined with it, and how it is fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from airflow_provider_asyncapi.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

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

    :ivar selects_part: whether the result is more than its files as they came: a part of them, or rows in another form.
    :ivar has_destination: whether the result goes to a destination, and not to XCom.
    :ivar unpack: whether archives are unpacked.
    """

    @property
    def selects_part(self) -> bool: ...  # noqa: D102 - see the class

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
