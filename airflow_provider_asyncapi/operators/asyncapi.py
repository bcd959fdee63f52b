"""Submit a remote job, and fetch its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_asyncapi.core.json_values import SelectorParam
from airflow_provider_asyncapi.core.parameter_names import RESULT_LIMITS
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.fetching_task import FetchingTask
from airflow_provider_asyncapi.tasks.job_argument import parse_job
from airflow_provider_asyncapi.tasks.submitting_task import SubmittingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AsyncApiTriggerOperator(SubmittingTask, BaseOperator):
    """
    Submit a job to an asynchronous HTTP API.

    Returns the job's identifier as the API returned it, and pushes the job handle as XCom ``job`` (:attr:`handle`).

    :param endpoint: a path below the connection's host, or an absolute URL. (templated)
    :param identifier: the selector of the job's identifier in the response, or a list of selectors.
    :param identifiers: instead of ``identifier``, if the response contains several jobs: the selector of their
        identifiers. The task returns a list of job handles (:attr:`handles`), to map the next tasks over.
    :param variables: values that this and all later requests may name ``{like_this}``; stored in the job handle.
        (templated)
    :param method: the HTTP method; POST by default.
    :param query_params: the query parameters; a list repeats a parameter. (templated; Airflow uses the name ``params``
        for the params of a DAG)
    :param headers: the header fields; secrets belong in the connection. (templated)
    :param json: a JSON body. (templated)
    :param xml: an XML body, as text. (templated)
    :param data: a form body as a mapping, or a text body as a string. (templated)
    :param files: multipart parts: field name to content, or to a mapping of ``content``, ``filename`` and
        ``content_type``; ``data`` may hold the other fields. With ``path`` in place of ``content``, the part is a file,
        as for ``body``. (templated)
    :param body: a file as body, which is read while it is sent: a mapping of ``path`` (a path of the worker, or any URL
        that ``ObjectStoragePath`` accepts), ``content_type``, ``max_bytes`` and ``resume`` (the
        request that asks how much of an interrupted upload the API has). (templated)
    :param rules: a list of rules that decide what a response means, if its status code doesn't.
    :param prepare: the request that comes before the submit, such as the upload of a file, or a list of requests:
        mappings with the keys of a request, ``rules`` and ``capture``. The submit and all later requests may name what
        they capture. A retry sends those that have no response yet. (templated)
    :param start: the request that starts or enqueues the job, for APIs that only create it first, or a list of
        requests: mappings with the keys of a request, ``rules`` and ``capture``. (templated)
    :param lookup: the request that finds the job if the response to its submission was lost: a mapping with the keys
        of a request, which names ``{idempotency_key}`` or another value that identifies the job, ``identifier`` (by
        default the same selector) and ``capture``. (templated)
    :param callback: whether the API calls back when the job has ended: then the request may name ``{callback_url}``,
        an unguessable URL of Airflow's API server.
    :param on_changed_request: the action of a retry if a template has rendered another request than that of the earlier
        try, which has submitted a job: ``fail`` (default), ``resume`` (continue with that job), or ``cancel`` (cancel
        that job, and submit another).
    :param cancel: the request that cancels the job, for ``on_changed_request="cancel"``: a mapping with the keys of a
        request. (templated)
    :param capture: variables for later requests: name to selector. A selector that may find several values captures a
        list; ``{"selector": …, "first": True}`` captures the first.
    :param error_message: the selector of the message in a response that reports a failure.
    :param max_consecutive_errors: the number of transient errors in a row after which the task fails; 5 by default.
    :param retry_delays: seconds to wait after an error, by status code, if the response has no ``Retry-After``:
        ``{429: 60}``.
    :param retry_after: the selector of another hint than ``Retry-After``, or a list of selectors: of seconds, of an
        HTTP date or ISO time, or of seconds or milliseconds since the epoch. A field of a rate limit
        (``header:X-RateLimit-Reset``) counts only if the response isn't 2xx.
    :param job_url: the job's page at the vendor, for the link in the UI; may name variables. (templated)
    :param profile: the profile that sets the parameters which the DAG leaves out; by default the connection's.
    :param asyncapi_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "asyncapi_conn_id",
        "endpoint",
        "query_params",
        "headers",
        "json",
        "xml",
        "data",
        "files",
        "body",
        "variables",
        "prepare",
        "start",
        "lookup",
        "cancel",
        "job_url",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query_params": "json",
        "headers": "json",
        "json": "json",
        "prepare": "json",
        "start": "json",
        "lookup": "json",
        "cancel": "json",
    }
    ui_color = "#d7ebf5"

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        identifier: SelectorParam | None = None,
        identifiers: SelectorParam | None = None,
        variables: dict[str, Any] | None = None,
        method: str | None = None,
        query_params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        json: Any = None,
        xml: str | None = None,
        data: dict[str, Any] | str | None = None,
        files: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        rules: list[dict[str, Any]] | None = None,
        prepare: dict[str, Any] | list[dict[str, Any]] | None = None,
        start: dict[str, Any] | list[dict[str, Any]] | None = None,
        lookup: dict[str, Any] | Literal[False] | None = None,
        callback: bool | None = None,
        on_changed_request: str | None = None,
        cancel: dict[str, Any] | Literal[False] | None = None,
        capture: Mapping[str, SelectorParam] | None = None,
        error_message: SelectorParam | None = None,
        max_consecutive_errors: int | None = None,
        retry_delays: dict[int, float] | None = None,
        retry_after: SelectorParam | None = None,
        job_url: str | None = None,
        profile: str | None = None,
        asyncapi_conn_id: str = AsyncApiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.identifier = identifier
        self.identifiers = identifiers
        self.variables = variables
        self.method = method
        self.query_params = query_params
        self.headers = headers
        self.json = json
        self.xml = xml
        self.data = data
        self.files = files
        self.body = body
        self.rules = rules
        self.prepare = prepare
        self.start = start
        self.lookup = lookup
        self.callback = callback
        self.on_changed_request = on_changed_request
        self.cancel = cancel
        self.capture = capture
        self.error_message = error_message
        self.max_consecutive_errors = max_consecutive_errors
        self.retry_delays = retry_delays
        self.retry_after = retry_after
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self.validate()

    def execute(self, context: Context) -> str | int | list[dict[str, Any]] | None:
        """Submit the job, or the jobs."""
        with closing(self.hook):
            handle = lazy.submit_first_job(self, context)
            if self.has_several_jobs():
                return [each.dump() for each in handle.split()]
            return handle.identifier


class AsyncApiFetchOperator(FetchingTask, BaseOperator):
    """
    Fetch the result of a remote job.

    Returns the value, or with a ``destination`` a manifest: a dict of ``paths``, ``bytes`` and ``sha256`` (of each
    path), ``content_type``, ``seconds``, and if they apply ``pages``, ``rows``, ``members``, ``failed_records``.
    The events of the task's ``outlets`` carry the manifest too.

    :param job: the job handle of the submit operator or the sensor, or a bare identifier. After a wait, pass the
        sensor's (``job=wait.handle``): it holds the job's outcome and the captures of the wait. (templated)
    :param output_type: one of the output types in the reference; by default ``pages`` if a parameter of
        paging is set, else ``result``.
    :param endpoint: a path below the connection's host, or a URL; a variable that holds a list of URLs fetches each of
        them. (templated)
    :param destination: the target of the result: a file, or a folder with a slash at its end; any URL that
        ``ObjectStoragePath`` accepts. Without a destination the value goes to XCom. (templated)
    :param method: the HTTP method; GET by default, POST with a body.
    :param query_params: the query parameters. (templated)
    :param headers: the header fields. (templated)
    :param json: a JSON body; GraphQL is ``{"query": "…", "variables": {…}}``. (templated)
    :param xml: an XML body, as text. (templated)
    :param data: a form body as a mapping, or a text body as a string. (templated)
    :param files: multipart parts. (templated)
    :param result_path: the selector of the value to keep; of each page's rows if the output type is ``pages``.
    :param result_format: one of the result formats in the reference; by default the format of the response's content
        type. Or a mapping: ``format``, ``charset`` and the options of the format.
    :param columns: the selector of the names of the columns in a page whose rows are arrays of values: each row becomes
        an object. A page without names has those of the page before. Or a mapping: ``names``, and ``values``, the
        JSONPath of the values in a row that isn't an array itself.
    :param rows_url: the selector of the URL of the rows, if a page links to its rows instead of containing them. The
        rows are then fetched from this URL, without credentials if it is on another host. Or a mapping: ``url``, and
        ``headers``, the selector of an object of headers for this URL.
    :param write_as: the format of rows at a ``destination``, one of the formats of rows in the reference.
    :param checksum: the expected digest of a file, such as ``"{sha256}"`` for a captured variable: ``sha256:…``,
        ``md5=…``, hexadecimal or base64. Digests in the response's headers are always compared, unless this is False.
    :param inline: the name of a variable that holds the result already if the job was fast; no request is sent then.
        Of pages it is the first page, if further pages are known.
    :param callback: whether the callback that ended the wait holds the result; no request is sent then. If a poll
        ended the wait, the result is fetched from ``endpoint``.
    :param first_page: the number of the first page; 1 by default.
    :param page_step: the difference between page numbers; 1 by default.
    :param pages: the number of pages: a number, or a variable such as ``"{pages}"``.
    :param last_page: the number of the last page: a number, or a variable such as ``"{last}"``.
    :param next_page: the selector of the next page's link, or ``header:Link``.
    :param cursor: the selector of the next page's cursor; the request names it ``{cursor}``.
    :param page_size: rows per page, for requests that name ``{offset}`` and ``{limit}``.
    :param max_pages: the maximum number of pages; 10,000 by default.
    :param total_rows: the selector of the total number of rows in each page: all pages have to state the same number,
        and the number of rows has to equal it.
    :param concurrency: the number of numbered pages, or files, that are fetched at the same time; 8 by default.
    :param unpack: whether a ``zip``, ``tar`` or ``gzip`` is unpacked (the default), or kept as it is.
    :param max_bytes: the maximum size of the result, in bytes, unpacked; 100 GiB by default.
    :param max_members: the maximum number of files in an archive; 100,000 by default.
    :param max_ratio: the maximum ratio of an archive's unpacked size to its packed size; 200 by default.
    :param max_xcom_bytes: the maximum size of a value for XCom, in bytes of JSON; 48 KiB by default.
    :param locate: a request before the fetch that finds the location of the result: a mapping with the keys of a
        request, and ``capture``. Its captures are used at once, and not stored. (templated)
    :param cleanup: a request that is sent after the task has ended in one of the ways in ``cleanup_on``; DELETE by
        default. (templated)
    :param cleanup_on: the ends after which ``cleanup`` is sent, one or a list: ``success`` (the default: the result is
        stored), ``no_data`` (according to a rule), ``partial`` (``failed_records`` have failed or skipped the task) and
        ``failure`` (the task has failed without retries left, and not because of a mistake in the DAG).
    :param rules: a list of rules that decide what a response means, if its status code doesn't.
    :param failed_records: the condition that each failed record meets
        (``{"selector": "rows[*].status", "in": "failed"}``); with ``member`` for the archive's member to look into.
    :param on_partial: the action if there are failed records: ``fail`` (default), ``warn`` or ``skip``.
    :param error_message: the selector of the message in a response that reports a failure.
    :param max_consecutive_errors: the number of transient errors in a row after which the task fails; 5 by default.
    :param retry_delays: seconds to wait after an error, by status code: ``{429: 60}``.
    :param retry_after: the selector of another hint than ``Retry-After``, or a list of selectors: of seconds, of an
        HTTP date or ISO time, or of seconds or milliseconds since the epoch. A field of a rate limit
        (``header:X-RateLimit-Reset``) counts only if the response isn't 2xx.
    :param job_url: the job's page at the vendor, for the link in the UI. (templated)
    :param profile: the profile that sets the parameters which the DAG leaves out; by default the connection's.
    :param asyncapi_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "asyncapi_conn_id",
        "job",
        "endpoint",
        "destination",
        "query_params",
        "headers",
        "json",
        "xml",
        "data",
        "files",
        "locate",
        "cleanup",
        "job_url",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "query_params": "json",
        "headers": "json",
        "json": "json",
        "locate": "json",
        "cleanup": "json",
    }
    ui_color = "#e3f3e1"

    def __init__(
        self,
        *,
        job: Any,
        output_type: str | None = None,
        endpoint: str | None = None,
        destination: str | None = None,
        method: str | None = None,
        query_params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        json: Any = None,
        xml: str | None = None,
        data: dict[str, Any] | str | None = None,
        files: dict[str, Any] | None = None,
        result_path: SelectorParam | None = None,
        result_format: str | dict[str, Any] | None = None,
        columns: SelectorParam | dict[str, Any] | None = None,
        rows_url: SelectorParam | dict[str, Any] | None = None,
        write_as: str | None = None,
        checksum: str | bool | None = None,
        inline: str | None = None,
        callback: bool | None = None,
        first_page: int | None = None,
        page_step: int | None = None,
        pages: int | str | None = None,
        last_page: int | str | None = None,
        next_page: SelectorParam | None = None,
        cursor: SelectorParam | None = None,
        page_size: int | None = None,
        max_pages: int | None = None,
        total_rows: SelectorParam | None = None,
        concurrency: int | None = None,
        unpack: bool | None = None,
        max_bytes: int | None = None,
        max_members: int | None = None,
        max_ratio: float | None = None,
        max_xcom_bytes: int | None = None,
        locate: dict[str, Any] | None = None,
        cleanup: dict[str, Any] | Literal[False] | None = None,
        cleanup_on: str | list[str] | None = None,
        rules: list[dict[str, Any]] | None = None,
        failed_records: dict[str, Any] | None = None,
        on_partial: str | None = None,
        error_message: SelectorParam | None = None,
        max_consecutive_errors: int | None = None,
        retry_delays: dict[int, float] | None = None,
        retry_after: SelectorParam | None = None,
        job_url: str | None = None,
        profile: str | None = None,
        asyncapi_conn_id: str = AsyncApiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.output_type = output_type
        self.endpoint = endpoint
        self.destination = destination
        self.method = method
        self.query_params = query_params
        self.headers = headers
        self.json = json
        self.xml = xml
        self.data = data
        self.files = files
        self.result_path = result_path
        self.result_format = result_format
        self.columns = columns
        self.rows_url = rows_url
        self.write_as = write_as
        self.checksum = checksum
        self.inline = inline
        self.callback = callback
        self.first_page = first_page
        self.page_step = page_step
        self.pages = pages
        self.last_page = last_page
        self.next_page = next_page
        self.cursor = cursor
        self.page_size = page_size
        self.max_pages = max_pages
        self.total_rows = total_rows
        self.concurrency = concurrency
        self.unpack = unpack
        self.max_bytes = max_bytes
        self.max_members = max_members
        self.max_ratio = max_ratio
        self.max_xcom_bytes = max_xcom_bytes
        self.locate = locate
        self.cleanup = cleanup
        self.cleanup_on = cleanup_on
        self.rules = rules
        self.failed_records = failed_records
        self.on_partial = on_partial
        self.error_message = error_message
        self.max_consecutive_errors = max_consecutive_errors
        self.retry_delays = retry_delays
        self.retry_after = retry_after
        self.job_url = job_url
        self.profile = profile
        self.asyncapi_conn_id = asyncapi_conn_id
        self.validate()

    def execute(self, context: Context) -> Any:
        """Fetch the result."""
        handle = parse_job(self.job)
        self.warn_about_missed_wait(handle)
        self.push_link(context, handle)
        limits = {name: value for name in RESULT_LIMITS if (value := getattr(self, name)) is not None}
        with closing(self.hook):
            return lazy.fetch_result(self, context, handle, self.destination, limits)
