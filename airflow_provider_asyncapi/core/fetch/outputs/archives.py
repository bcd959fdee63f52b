"""Archives: unpacked into the destination, or kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.outputs.base import FetchRun, Output

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


class Archive(Output):
    """
    A file that holds files.

    :cvar reader: the import path of the :class:`~airflow_provider_asyncapi.results.archives.ArchiveReader`.
    """

    makes_files = True
    failed_records_in = "member"
    reader: ClassVar[str]

    def check_destination(self, destination: str | None, *, unpack: bool) -> None:
        """Check that there is a folder to unpack into."""
        super().check_destination(destination, unpack=unpack)
        if destination is not None and unpack and not destination.endswith("/"):
            raise ConfigurationError(
                f"destination: an archive is unpacked into a folder; end {destination!r} with a slash (or set"
                " unpack=False to keep the archive whole)"
            )

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """Return a manifest of the members, or of the archive."""
        return run.fetch_archives(self.reader) if run.unpack else run.fetch_files()


class Zip(Archive):
    """A zip archive."""

    name = "zip"
    summary = "A zip archive, unpacked into the `destination`, or kept whole with `unpack=False`."
    reader = "airflow_provider_asyncapi.results.zip_archives:ZIP"


class Tar(Archive):
    """A tar archive, compressed by gzip or not."""

    name = "tar"
    summary = "A tar archive, compressed by gzip or not; as for `zip`."
    reader = "airflow_provider_asyncapi.results.tar_archives:TAR"
