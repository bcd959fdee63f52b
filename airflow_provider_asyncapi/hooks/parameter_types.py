"""
The parameters of the hook's methods, for type checkers and editors. They mean the same as for the operators.

At run time :mod:`.parameter_check` checks the names, and the plans check the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypedDict

from airflow_provider_asyncapi.core.json_values import SelectorParam


class RequestParameters(TypedDict, total=False):
    """A request, without its method and endpoint."""

    query_params: dict[str, Any]
    headers: dict[str, Any]
    json: Any
    xml: str
    data: dict[str, Any] | str


class ResponseParameters(RequestParameters, total=False):
    """A request, without its method and endpoint, and the meaning of its response."""

    rules: list[dict[str, Any]]
    error_message: SelectorParam


class SendParameters(ResponseParameters, total=False):
    """A request of the hook, with files and the retries after errors."""

    files: dict[str, Any]
    body: dict[str, Any]
    max_consecutive_errors: int
    retry_delays: dict[int, float]
    retry_after: SelectorParam


class StepParameters(ResponseParameters, total=False):
    """A whole request, and the meaning of its response."""

    endpoint: str
    method: str
    files: dict[str, Any]
    capture: Mapping[str, SelectorParam]


class SubmitParameters(StepParameters, total=False):
    """The parameters of a submission, as for ``AsyncApiTriggerOperator``."""

    body: dict[str, Any]
    identifier: SelectorParam
    variables: dict[str, Any]
    prepare: dict[str, Any] | list[dict[str, Any]]
    start: dict[str, Any] | list[dict[str, Any]]
    lookup: dict[str, Any] | Literal[False]
    max_consecutive_errors: int
    retry_delays: dict[int, float]
    retry_after: SelectorParam


class WaitParameters(ResponseParameters, total=False):
    """The parameters of a wait, as for ``AsyncApiSensor``."""

    endpoint: str
    method: str
    capture: Mapping[str, SelectorParam]
    completion_key: SelectorParam
    completion_value: Any
    failure_value: Any
    running_value: Any
    no_data_value: Any
    ignore_case: bool
    result_identifier: SelectorParam
    progress: str | Mapping[str, Any]
    visible_after: float | timedelta
    batch: dict[str, Any] | Literal[False]
    status_details: dict[str, Any] | Literal[False]
    poke_interval: float | timedelta
    initial_delay: float | timedelta
    backoff: float
    max_interval: float | timedelta
    jitter: float
    max_iterations: int
    max_consecutive_errors: int
    retry_delays: dict[int, float]
    retry_after: SelectorParam
    failure_details: dict[str, Any] | list[dict[str, Any]] | Literal[False]
    stall_timeout: float | timedelta
    warn_after: float | timedelta
    logs: SelectorParam | dict[str, Any] | Literal[False]
    cancel: dict[str, Any] | Literal[False]
    cleanup: dict[str, Any] | Literal[False]
    cleanup_on: str | list[str]


class PagedParameters(ResponseParameters, total=False):
    """The parameters of a request whose response may have several pages."""

    endpoint: str
    method: str
    files: dict[str, Any]
    result_format: str | dict[str, Any]
    first_page: int
    page_step: int
    pages: int | str
    last_page: int | str
    next_page: SelectorParam
    cursor: SelectorParam
    page_size: int
    max_pages: int
    total_rows: SelectorParam
    max_consecutive_errors: int
    retry_delays: dict[int, float]


class FetchParameters(PagedParameters, total=False):
    """The parameters of a fetch, as for ``AsyncApiFetchOperator``."""

    output_type: str
    result_path: SelectorParam
    columns: SelectorParam | dict[str, Any]
    rows_url: SelectorParam | dict[str, Any]
    write_as: str
    checksum: str | bool
    inline: str
    concurrency: int
    locate: dict[str, Any]
    cleanup: dict[str, Any] | Literal[False]
    cleanup_on: str | list[str]
    failed_records: dict[str, Any]
    on_partial: str
    retry_after: SelectorParam
    destination: str
    unpack: bool
    max_bytes: int
    max_members: int
    max_ratio: float
    max_xcom_bytes: int


class EventParameters(PagedParameters, total=False):
    """The parameters of ``AsyncApiEventTrigger``."""

    items: SelectorParam
    item_id: SelectorParam
    changed: SelectorParam
    watermark: SelectorParam
    when: dict[str, Any]
    capture: Mapping[str, SelectorParam]
    start_from: str | float
    poke_interval: float | timedelta
