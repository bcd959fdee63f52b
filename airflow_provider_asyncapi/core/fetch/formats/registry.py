"""The result formats, and the one that a fetch has chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.fetch.formats.json_documents import Json
from airflow_provider_asyncapi.core.fetch.formats.ndjson import Ndjson
from airflow_provider_asyncapi.core.fetch.formats.plain_text import PlainText
from airflow_provider_asyncapi.core.fetch.formats.tables import Csv, Tsv
from airflow_provider_asyncapi.core.fetch.formats.xml_documents import Xml
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.charsets import find_codec
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.registry import Registry
from airflow_provider_asyncapi.core.selectors import elements

JSON = Json()
#: All formats that ``result_format`` can name.
RESULT_FORMATS: Registry[FormatKind] = Registry(
    "result_format", "result_formats", (JSON, Xml(), Ndjson(), Csv(), Tsv(), PlainText())
)
_HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """
    The format of a result, as far as the task names it.

    :param kind: the format; None to go by the content type.
    :param charset: the charset of the text, if the API states a wrong one: what is read is read as this
        (:meth:`~.messages.Response.with_charset`). A byte order mark still comes first.
    :param options: the options of the format.
    """

    kind: FormatKind | None = None
    charset: str | None = None
    options: Any = None

    @classmethod
    def parse(cls, given: Any) -> ResultFormat:
        """
        Parse the ``result_format`` parameter: a name, or a mapping of ``format``, ``charset`` and the format's options.

        :raises ConfigurationError: naming the key or the value that is wrong.
        """
        fields = dict(given) if isinstance(given, Mapping) else {"format": given}
        name, charset = (fields.pop(key, None) for key in ("format", "charset"))
        kind = None if name is None else RESULT_FORMATS.parse(name)
        for key in fields:
            if kind is None or key not in kind.options:
                raise _make_unknown_option_error(key, kind)
        if charset is not None and (not isinstance(charset, str) or find_codec(charset) is None):
            raise ConfigurationError(f"result_format: {charset!r} isn't a charset; it is like 'windows-1252'")
        return cls(kind, charset, None if kind is None else kind.parse_options(fields))

    def parse_options_for(self, kind: FormatKind) -> Any:
        """Return the options for a format, which the content type may have chosen."""
        return self.options if kind is self.kind else kind.parse_options({})

    @property
    def element_reader(self) -> elements.ReadElement:
        """The function that makes values of the XML elements that a path selects."""
        return elements.read_object if self.kind is None else self.kind.element_reader(self.options)

    def choose_kind(self, response: Response) -> FormatKind:
        """
        Return the format of a response: the chosen one, or the one that the content type means.

        :raises ContentError: if the content type means none of them.
        """
        if self.kind is not None:
            return self.kind
        if response.content_type in _HTML:
            # An error or login page far more often than a result.
            raise ContentError("the response is an HTML page; if that is the result, set result_format='text'")
        if (found := _match(response)) is not None:
            return found
        raise ContentError(
            f"the response is {response.content_type}, which isn't text: set result_format to one of"
            f" {', '.join(RESULT_FORMATS)}, or output_type='file' with a destination"
        )

    def choose_row_kind(self, response: Response) -> FormatKind | None:
        """Return the chosen format, or the one with rows that the content type means; None if it means no rows."""
        if self.kind is not None:
            return self.kind
        found = _match(response)
        return found if found is not None and found.has_rows else None


def _match(response: Response) -> FormatKind | None:
    """Return the format that the content type means; formats of other packages are looked up before plain text."""
    found = _first_match(response)
    if found is None or found.name == PlainText.name:
        RESULT_FORMATS.load_installed()
        found = _first_match(response)
    return found


def _first_match(response: Response) -> FormatKind | None:
    """Return the first format that matches; ``text/csv`` is text, too, and some NDJSON is ``+json``."""
    by_specificity = sorted(RESULT_FORMATS.values(), key=lambda kind: (not kind.has_rows, kind.name == PlainText.name))
    return next((kind for kind in by_specificity if kind.matches(response)), None)


def _make_unknown_option_error(key: str, chosen: FormatKind | None) -> ConfigurationError:
    if owners := [repr(kind.name) for kind in RESULT_FORMATS.values() if key in kind.options]:
        return ConfigurationError(f"result_format: {key!r} can be set for {' and '.join(owners)} only")
    known = ("format", "charset", *(chosen.options if chosen else ()))
    return ConfigurationError(f"result_format: {describe_unknown_key(key, known)}; known are {', '.join(known)}")
