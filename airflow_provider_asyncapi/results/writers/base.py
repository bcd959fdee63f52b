"""What a writer does, and the JSON of values."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.storable import check_json
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.results.destination import CompleteFile, PartialFile

#: A path below the destination, and the file that goes there.
PlacedFile = tuple[tuple[str, ...], CompleteFile]
#: Opens a file in the staging folder; with ``scratch=True`` one that isn't part of the result.
OpenFile = Callable[..., PartialFile]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Writer(ABC):
    """
    Writes rows.

    :ivar content_type: the content type of the files.
    :param open_file: opens a file in the staging folder.
    """

    content_type: str

    @abstractmethod
    def __init__(self, open_file: OpenFile) -> None: ...

    @abstractmethod
    def write(self, row: JsonValue) -> None:
        """
        Write a row.

        :raises ContentError: if the row has no JSON text.
        """

    def write_page(self, rows: list[JsonValue], response: Response) -> None:
        """
        Write the rows of a page.

        :param response: the response that held them.
        """
        for row in rows:
            self.write(row)

    @abstractmethod
    def finish(self, name: str) -> list[PlacedFile]:
        """
        Complete the files, and return them.

        :param name: the beginning of the name of a file that the destination doesn't name.
        """


def encode_json(value: JsonValue, row: int | None = None) -> bytes:
    """
    Return a value's JSON text.

    :param row: the number of the row that it is, for messages; None for a whole result.
    :raises ContentError: if the value has none that every reader takes, naming the place in it.
    """
    try:
        return _encode(value).encode()
    except ValueError:
        check_json(value, "result" if row is None else f"result: row {row}")
        raise
