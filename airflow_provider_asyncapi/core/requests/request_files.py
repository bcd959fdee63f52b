"""Find the files that a request sends, and build the request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, RunBlocking
from airflow_provider_asyncapi.core.errors import ConfigurationError, FileTooLargeError, FileUnavailableError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody, SourceFile, find_algorithms
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.bodies import FileReference
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.templates import Variables

#: The files of a body, by the name of their part.
Files = Mapping[str, SourceFile]
#: The first byte of a body, and the end of it.
_WHOLE = (0, None)


def inspect_files(api: Api, template: RequestTemplate, variables: Variables) -> Flow[Files]:
    """
    Find the files that a request sends; their content isn't read.

    :param variables: the variables that their paths may name: variables of the task, and none of a response.
    :raises FileUnavailableError: if a file isn't there, or can't be read.
    :raises FileTooLargeError: if it is larger than ``max_bytes``.
    :raises ConfigurationError: if a path is invalid, or this process can't send files.
    """
    files: dict[str, SourceFile] = {}
    for name, reference in _references(template).items():
        where = f"{reference.where}.path"
        path = reference.render_path(api.merge_variables(variables))
        if api.inspect_file is None:
            raise ConfigurationError(f"{where}: files can only be sent from a worker, and this is another process")
        try:
            files[name] = file = yield RunBlocking(partial(api.inspect_file, path))
        except (FileUnavailableError, ConfigurationError) as error:
            raise error.with_message(f"{where}: {error}") from None
        if reference.max_bytes is not None and file.size > reference.max_bytes:
            raise FileTooLargeError(
                f"{where}: the file {file} has {file.size} bytes, and max_bytes is {reference.max_bytes}"
            )
    return files


def build_request(
    api: Api,
    template: RequestTemplate,
    variables: Variables,
    files: Files,
    *,
    reference_base: str | None = None,
    span: tuple[int, int | None] = _WHOLE,
) -> Flow[Request]:
    """
    Return a request; if it states or signs digests of files, they are read for that.

    :param variables: the return value of :meth:`~..connection.api.Api.merge_variables`.
    :param files: the files of its body.
    :param reference_base: the URL against which a relative reference from the API is resolved.
    :param span: the first byte of the body that is sent, and the byte before which it ends; None for its end.
    :raises FileUnavailableError: if a file can't be read.
    :raises ConfigurationError: if a value isn't allowed in its place.
    """
    rendered = None
    if files and template.body is not None:
        body, content_type = template.body.render(variables, files)
        algorithms = find_algorithms(template.find_body_variables()) | api.settings.auth.body_algorithms
        if isinstance(body, FileBody) and (algorithms or span != _WHOLE):
            body = dataclasses.replace(body, start=span[0], stop=span[1])
            body = (yield RunBlocking(partial(body.with_digests, algorithms))) if algorithms else body
        rendered = body, content_type
    return api.render_request(template, variables, reference_base=reference_base, body=rendered)


def _references(template: RequestTemplate) -> Mapping[str, FileReference]:
    return {} if template.body is None else template.body.files
