"""The bodies of requests: from the parameters to bytes, or to files that are read later, and a content type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.file_bodies import FileBody, RequestBody, SourceFile
from airflow_provider_asyncapi.core.http.messages import parse_media_type, validate_header
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.json_values import as_list, as_text
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import escape_xml

#: The parameters that make a body, as a request may have them.
BODY_PARAMETERS = ("json", "xml", "data", "files")
#: The parameter that makes a body of a file, for the requests that can send files.
FILE_PARAMETER = "body"
#: The requests that can send files, for messages.
WHO_SENDS_FILES = (
    "only the requests of a submit can send files (its own, prepare and start), and requests of the hook on a worker"
)
#: The key of that parameter for an upload that can be resumed.
RESUME = "resume"
#: The keys of that parameter, and of a part of ``files`` that is a file.
_FILE_KEYS = ("path", "content_type", "max_bytes", RESUME)
_PART_KEYS = ("path", "filename", "content_type", "max_bytes")
_TEXT_PART_KEYS = ("content", "filename", "content_type")
_DEFAULT_TYPE = "application/octet-stream"
#: A body with its content type.
RenderedBody = tuple[RequestBody, str]


@dataclass(frozen=True, slots=True)
class FileReference:
    """
    A file that a request sends, as the task names it.

    :param where: the parameter, such as ``body`` or ``files['file']``.
    :param path: the template of its path or URL.
    :param max_bytes: the largest size that is sent; None for no limit.
    """

    where: str
    path: str
    max_bytes: int | None

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str, keys: tuple[str, ...]) -> FileReference:
        """
        Parse the description of a file.

        :param keys: the keys that it may have.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        if unknown := set(given) - {*keys}:
            raise ConfigurationError(
                f"{where} has the {describe_unknown_key(min(map(str, unknown)), keys)}; it may have {', '.join(keys)}"
            )
        path, limit = given["path"], given.get("max_bytes")
        if not isinstance(path, str) and not hasattr(path, "__fspath__") and not hasattr(path, "as_uri"):
            raise ConfigurationError(f"{where}.path: has to be a path or URL, not {path!r}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ConfigurationError(f"{where}.max_bytes: has to be a number of bytes, not {limit!r}")
        return cls(where, str(path), limit)

    def render_path(self, variables: Variables) -> str:
        """
        Return the path.

        :param variables: the variables of the task and the connection. None of a response is among them: an API could
            choose the file that it is sent.
        :raises UnknownVariableError: if the path names another variable.
        :raises UnsafeValueError: if it is empty, or a variable leads to another folder (``..``).
        """
        where = f"{self.where}.path"
        try:
            path = templates.render_text(self.path, variables, where).strip()
        except UnknownVariableError as error:
            raise error.with_message(
                f"{error}; a path can only name the task's own variables and the connection's, since an API must not"
                " choose the file that is sent"
            ) from None
        if not path:
            raise UnsafeValueError(f"{where}: is empty; it is the path or URL of a file")
        if templates.find_variables(self.path) and ".." in path.split("/"):
            raise UnsafeValueError(f"{where}: a variable must not lead to another folder: {path!r} contains '..'")
        return path


@dataclass(frozen=True, slots=True)
class Body:
    """
    The body of a request with its variables still in it.

    :param kind: one of :data:`BODY_PARAMETERS`, or :data:`FILE_PARAMETER`; ``files`` may come with ``data`` for the
        other form fields.
    :param content: the value of the parameter.
    :param fields: the form fields beside the files.
    :param files: the files that are sent, by the name of their part; that of a body that is one file is empty.
    """

    kind: str
    content: Any
    fields: Mapping[str, Any] | None = None
    files: Mapping[str, FileReference] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str, *, sends_files: bool = False) -> Body | None:
        """
        Read the body parameters of a request.

        :param sends_files: whether the request can send files.
        :raises ConfigurationError: if there are two bodies, one has the wrong type, or the request can't send a file.
        """
        body = cls._parse(given, where)
        if body is not None and body.files and not sends_files:
            reference = next(iter(body.files.values()))
            raise ConfigurationError(f"{reference.where}.path: this request can't send a file: {WHO_SENDS_FILES}")
        return body

    @classmethod
    def _parse(cls, given: Mapping[str, Any], where: str) -> Body | None:
        kinds = [name for name in (*BODY_PARAMETERS, FILE_PARAMETER) if given.get(name) is not None]
        if not kinds:
            return None
        if kinds == ["data", "files"]:
            if not isinstance(given["data"], Mapping):
                raise ConfigurationError(f"{where}: data beside files has to be a mapping of form fields")
            return cls("files", _check_files(given["files"], where), given["data"], _find_files(given["files"], where))
        if len(kinds) > 1:
            raise ConfigurationError(f"{where}: only one body is possible, but {' and '.join(kinds)} are given")
        (kind,) = kinds
        content = given[kind]
        if kind == "xml" and not isinstance(content, str):
            raise ConfigurationError(f"{where}: xml has to be a string, not {type(content).__name__}")
        if kind == "data" and not (isinstance(content, str | Mapping) or _is_list_of_pairs(content)):
            raise ConfigurationError(
                f"{where}: data has to be a string (text) or a mapping or list of pairs (a form),"
                f" not {type(content).__name__}"
            )
        if kind == "files":
            return cls(kind, _check_files(content, where), None, _find_files(content, where))
        if kind == FILE_PARAMETER:
            if not isinstance(content, Mapping) or "path" not in content:
                raise ConfigurationError(
                    f"{where}: {kind} has to be a mapping with the path of a file, not {type(content).__name__}; a text"
                    " is sent with data"
                )
            return cls(kind, content, None, {"": FileReference.parse(content, f"{where}: {kind}", _FILE_KEYS)})
        return cls(kind, content)

    def render(self, variables: Variables, files: Mapping[str, SourceFile] | None = None) -> RenderedBody:
        """
        Return the bytes and the content type; of a body that contains files, the body that reads them.

        :param files: the files of :attr:`files`, by the same names.
        :raises ConfigurationError: if the format can't represent a value.
        :raises UnsafeValueError: if a text contains half a character, which has no bytes.
        """
        try:
            return self._render(variables, files or {})
        except UnicodeEncodeError as error:
            raise UnsafeValueError(
                f"{self.kind}: holds half a character ({error.object[error.start]!a}), which can't be sent;"
                " the API that gave it has cut a text in two"
            ) from None

    def _render(self, variables: Variables, files: Mapping[str, SourceFile]) -> RenderedBody:
        if self.kind == "json":
            value = templates.render_json(self.content, variables)
            try:
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise ConfigurationError(f"json: {error}; write it as a string or a number") from None
            return text.encode(), "application/json"
        if self.kind == "xml":
            single = {name: templates.single_value(value) for name, value in variables.items()}
            text = templates.render_body(self.content, single, escape_xml)
            return text.encode(), "application/xml; charset=utf-8"
        if self.kind == "files":
            key = as_text(variables.get(IDEMPOTENCY_KEY, "")) if self.files else ""
            parts = self._render_file_parts(variables, files)
            return _encode_multipart(parts, self._render_form_fields(variables), key)
        if self.kind == FILE_PARAMETER:
            return FileBody((files[""],)), self._render_content_type(self.content, variables, "body")
        if isinstance(self.content, str):
            return templates.render_body(self.content, variables).encode(), "text/plain; charset=utf-8"
        return urlencode(self._render_form_fields(variables)).encode(), "application/x-www-form-urlencoded"

    def _render_form_fields(self, variables: Variables) -> list[tuple[str, str]]:
        given = self.fields if self.kind == "files" else self.content
        pairs = given.items() if isinstance(given, Mapping) else given or ()
        rendered = ((name, templates.render_json(value, variables)) for name, value in pairs)
        return [(str(name), as_text(item)) for name, value in rendered for item in as_list(value)]

    def _render_file_parts(
        self, variables: Variables, files: Mapping[str, SourceFile]
    ) -> list[tuple[str, str, str, str | SourceFile]]:
        """Return field name, file name, content type and content of each file."""
        parts: list[tuple[str, str, str, str | SourceFile]] = []
        for name, given in self.content.items():
            part = {"content": given} if isinstance(given, str) else given
            content_type = self._render_content_type(part, variables, f"files[{name!r}]")
            filename = as_text(templates.render_json(part.get("filename") or "", variables))
            content: str | SourceFile
            if str(name) in self.files:
                content = files[str(name)]
                filename = filename or redact_url(content.path).removesuffix("?…").rpartition("/")[2]
            else:
                content = as_text(templates.render_json(part["content"], variables))
            parts.append((str(name), filename or str(name), content_type, content))
        return parts

    @staticmethod
    def _render_content_type(given: Mapping[str, Any], variables: Variables, where: str) -> str:
        content_type = as_text(templates.render_json(given.get("content_type") or _DEFAULT_TYPE, variables))
        return validate_header("Content-Type", content_type, f"{where}.content_type")[1]


def _is_list_of_pairs(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(item, list | tuple) and len(item) == 2 for item in given)  # noqa: PLR2004 - a pair


def _check_files(files: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(files, Mapping):
        raise ConfigurationError(f"{where}: files has to be a mapping of field names, not {type(files).__name__}")
    for name, part in files.items():
        is_file = isinstance(part, Mapping) and "path" in part
        if isinstance(part, str) or is_file:
            continue
        if not isinstance(part, Mapping) or not isinstance(part.get("content"), str):
            raise ConfigurationError(
                f"{where}: files[{name!r}] has to be the content as a string, or a mapping with content or path,"
                " and optionally filename and content_type"
            )
        if unknown := set(part) - {*_TEXT_PART_KEYS}:
            raise ConfigurationError(
                f"{where}: files[{name!r}] has the {describe_unknown_key(min(map(str, unknown)), _TEXT_PART_KEYS)};"
                " it may have content, filename and content_type"
            )
    return files


def _find_files(files: Mapping[str, Any], where: str) -> dict[str, FileReference]:
    """Return the parts that are files."""
    return {
        str(name): FileReference.parse(part, f"{where}: files[{name!r}]", _PART_KEYS)
        for name, part in files.items()
        if isinstance(part, Mapping) and "path" in part
    }


def _encode_multipart(
    files: list[tuple[str, str, str, str | SourceFile]], fields: list[tuple[str, str]], key: str
) -> RenderedBody:
    """
    Encode ``multipart/form-data`` (RFC 7578).

    :param key: a text that the author of a file doesn't know.
    """
    parts: list[tuple[bytes, bytes | SourceFile]] = [
        (f'form-data; name="{_escape_name(name)}"\r\n\r\n'.encode(), value.encode()) for name, value in fields
    ]
    for name, filename, content_type, content in files:
        disposition = f'form-data; name="{_escape_name(name)}"; filename="{_escape_name(filename)}"'
        head = f"{disposition}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        parts.append((head, content.encode() if isinstance(content, str) else content))
    # A boundary made of the content is as safe as a random one, and gives the same request each time. The content of a
    # file isn't read for it, so it is made of the key, too.
    body = FileBody(tuple(each for pair in parts for each in pair))
    boundary = hashlib.sha256(b"\0".join(filter(None, (body.identity, key.encode())))).hexdigest()[:32]
    encoded: list[bytes | SourceFile] = []
    for head, part in parts:
        encoded += [f"--{boundary}\r\nContent-Disposition: ".encode() + head, part, b"\r\n"]
    encoded.append(f"--{boundary}--\r\n".encode())
    content_type = f"multipart/form-data; boundary={boundary}"
    if all(isinstance(each, bytes) for each in encoded):
        return b"".join(each for each in encoded if isinstance(each, bytes)), content_type
    return FileBody(tuple(encoded)), content_type


def _escape_name(name: str) -> str:
    """Escape a name as browsers do (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def check_multipart(content_type: str, where: str) -> None:
    """
    Raise ConfigurationError if a Content-Type can't be that of a multipart body, whose boundary is added to it.

    :param where: the parameter with the Content-Type.
    """
    if parse_media_type(content_type) != "multipart/form-data":
        raise ConfigurationError(
            f"{where}: {content_type!r} can't be the Content-Type of files, which are sent as multipart/form-data; take"
            " it out"
        )
