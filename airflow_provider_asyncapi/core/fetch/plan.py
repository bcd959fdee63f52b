"""The parameters of a fetch, parsed and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.columns import Columns
from airflow_provider_asyncapi.core.fetch.failed_records import FailedRecordsRule
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat
from airflow_provider_asyncapi.core.fetch.linked_rows import RowsUrl
from airflow_provider_asyncapi.core.fetch.outputs.base import Output
from airflow_provider_asyncapi.core.fetch.outputs.registry import choose_output
from airflow_provider_asyncapi.core.fetch.paging import registry as paging_kinds
from airflow_provider_asyncapi.core.fetch.paging.base import Paging
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS, WriterKind
from airflow_provider_asyncapi.core.jobs.cleanup import CLEANUP_PARAMETERS, Cleanup, CleanupOn
from airflow_provider_asyncapi.core.parameter_values import parse_whole_number
from airflow_provider_asyncapi.core.requests.request_step import STEP_PARAMETERS, RequestStep, read_flag
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.requests.schedule import RETRY_PARAMETERS, PollSchedule
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

_CONCURRENCY = 8


def fetch_parameters(given: Iterable[str] = ()) -> tuple[str, ...]:
    """
    Return the names of all parameters of a fetch.

    :param given: the names that are given. If one of them isn't known, the ways of paging of other packages are loaded.
    """
    known = _known_parameters()
    if not set(known).issuperset(given):
        paging_kinds.PAGING_KINDS.load_installed()
        known = _known_parameters()
    return known


def _known_parameters() -> tuple[str, ...]:
    return (
        *REQUEST_PARAMETERS,
        *paging_kinds.paging_parameters(),
        # Nothing comes after the fetch that could use a capture.
        *(name for name in STEP_PARAMETERS if name != "capture"),
        "output_type",
        "result_format",
        "result_path",
        "columns",
        "rows_url",
        "write_as",
        "checksum",
        "inline",
        "callback",
        "locate",
        "failed_records",
        "on_partial",
        *CLEANUP_PARAMETERS,
        "concurrency",
        *RETRY_PARAMETERS,
    )


class ParameterNames:
    """The parameters of a fetch as a class attribute, computed on access: ways of paging may be registered later."""

    def __get__(self, plan: object, owner: type) -> tuple[str, ...]:
        return fetch_parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """
    The parameters of a fetch.

    :cvar parameters: the names of the parameters.
    :cvar task_parameters: parameters that only a task has, which is tried again, or resumed by a callback.
    :param output: the output type.
    :param step: the request, and the meaning of its responses.
    :param schedule: the number of transient errors to tolerate, and the wait after each.
    :param locate: a request before it that finds the location of the result.
    :param cleanup: a request after it, and the ends that cause it.
    :param paging: the way of paging.
    :param format: the format of the body.
    :param result_path: the part to keep.
    :param columns: how rows without names become objects; None to keep them.
    :param rows_url: where a page states the URL of its rows; None if pages contain their rows.
    :param write_as: the form of rows at a destination; None for the default of the output type.
    :param checksum: a template of the checksum that the file should have, or of a list of them for a list of URLs;
        False to compare no checksum at all, not even one that the response's headers state.
    :param inline: the variable that holds the result, if the job's responses held it already.
    :param callback: whether the job's callback holds the result, if one has ended the wait.
    :param failed_records: the rule that counts failed records.
    :param concurrency: the number of pages that are fetched at a time.
    """

    parameters: ClassVar[ParameterNames] = ParameterNames()
    task_parameters: ClassVar[frozenset[str]] = frozenset({"callback"})

    output: Output
    step: RequestStep
    schedule: PollSchedule
    locate: RequestStep | None = None
    cleanup: Cleanup | None = None
    paging: Paging | None = None
    format: ResultFormat = field(default_factory=ResultFormat)
    result_path: SelectorChain | None = None
    columns: Columns | None = None
    rows_url: RowsUrl | None = None
    write_as: WriterKind | None = None
    checksum: str | Literal[False] | None = None
    inline: str | None = None
    callback: bool = False
    failed_records: FailedRecordsRule | None = None
    concurrency: int = _CONCURRENCY

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> FetchPlan:
        """
        Parse the parameters of the fetch operator.

        :param given: a mapping with keys of :func:`fetch_parameters`.
        :param complete: whether no profile can add anything, so that a missing parameter is an error.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        explicit = {name: value for name, value in given.items() if value is not None}
        output = choose_output(explicit)
        # A connection's profile fits its own request; a task with another request sets the other parameters too.
        whole = complete or "endpoint" in explicit
        request = {name: explicit[name] for name in (*REQUEST_PARAMETERS, *STEP_PARAMETERS) if name in explicit}
        callback = read_flag(explicit, "callback")
        # A result that the job's responses hold already needs no request.
        step = RequestStep.parse(request, "fetch", complete=complete and "inline" not in explicit and not callback)
        plan = cls(
            output=output,
            step=step,
            schedule=PollSchedule.parse_retries(explicit),
            locate=RequestStep.parse_optional(explicit.get("locate"), "locate"),
            cleanup=Cleanup.parse(explicit, default=[CleanupOn.SUCCESS], possible=tuple(CleanupOn), complete=whole),
            paging=_parse_paging(explicit, step.request.find_variables() if whole else None)
            if output.has_pages
            else None,
            format=ResultFormat.parse(explicit.get("result_format")),
            result_path=SelectorChain.parse_optional(explicit.get("result_path"), "result_path"),
            columns=Columns.parse_optional(explicit.get("columns")),
            rows_url=RowsUrl.parse_optional(explicit.get("rows_url")),
            write_as=WRITE_AS.parse(explicit["write_as"]) if "write_as" in explicit else None,
            checksum=_parse_checksum(explicit.get("checksum")),
            inline=_parse_text(explicit.get("inline"), "inline: has to be the name of a variable"),
            callback=callback,
            failed_records=FailedRecordsRule.parse(explicit.get("failed_records"), explicit.get("on_partial")),
            concurrency=parse_whole_number(explicit.get("concurrency"), "concurrency", _CONCURRENCY),
        )
        if whole and plan.failed_records is None and "on_partial" in explicit:
            raise ConfigurationError(
                "on_partial: needs failed_records, the condition that each failed record meets (or the name of the"
                " profile that sets it)"
            )
        if plan.columns is not None and plan.inline is not None:
            raise ConfigurationError("columns: are selected from pages, and the page in inline consists of rows alone")
        # As for the parameters of paging, an output type that is given wins over the columns of a profile.
        if whole and "output_type" not in explicit and not output.has_pages:
            if plan.columns is not None:
                raise ConfigurationError("columns: are for rows of pages; set output_type='pages'")
            if plan.rows_url is not None:
                raise ConfigurationError("rows_url: is for rows of pages; set output_type='pages'")
        if whole or "output_type" in explicit:
            plan._check_output()
        return plan

    @property
    def selects_part(self) -> bool:
        """Whether the result is more than its files as they came: a part of them, or rows in another form."""
        return self.result_path is not None or self.write_as is not None

    def _check_output(self) -> None:
        """
        Check that the parameters go together with the output type.

        :raises ConfigurationError: naming the parameter that doesn't.
        """
        output = self.output
        shown = f"output_type={output.name!r}"
        if output.makes_files and self.inline is not None:
            raise ConfigurationError(f"inline: a variable holds a value, and {shown} makes files")
        if self.callback and not output.takes_callback:
            raise ConfigurationError(f"callback: a callback holds one value, and {shown} isn't one value")
        if self.write_as is not None:
            if output.makes_files:
                raise ConfigurationError(f"write_as: is for values and rows, and {shown} keeps files as they are")
            if self.write_as.needs_pages and not output.has_pages:
                raise ConfigurationError(
                    f"write_as: {self.write_as.name!r} makes a file of each page, so output_type has to be 'pages'"
                )
        if self.checksum and not output.makes_files:
            raise ConfigurationError(f"checksum: is for files, and {shown} is read")
        if self.failed_records is not None:
            _check_failed_records(output, has_member=self.failed_records.member is not None)


def _check_failed_records(output: Output, *, has_member: bool) -> None:
    if output.failed_records_in is None:
        raise ConfigurationError(
            "failed_records: a file is kept as it is; set output_type='result' to read its records"
        )
    if output.failed_records_in == "member" and not has_member:
        raise ConfigurationError("failed_records: needs member, the file in the archive that lists the failed records")
    if output.failed_records_in == "response" and has_member:
        raise ConfigurationError(
            "failed_records: member names a file in an archive, so output_type has to be 'zip' or 'tar'"
        )


def page_variables(given: Mapping[str, Any], *, whole: bool = True) -> frozenset[str]:
    """
    Return the variables that only the requests for pages have.

    :param whole: whether the parameters are complete, so that no profile adds a way of paging.
    """
    if not whole:
        return paging_kinds.all_page_variables()
    return paging_kinds.page_variables(given) if choose_output(given).has_pages else frozenset()


def _parse_checksum(given: Any) -> str | Literal[False] | None:
    return (
        False if given is False else _parse_text(given, "checksum: has to be a template such as '{sha256}', or False")
    )


def _parse_text(given: Any, expected: str) -> str | None:
    if given is not None and not isinstance(given, str):
        raise ConfigurationError(f"{expected}, not {given!r}")
    return given


def _parse_paging(given: Mapping[str, Any], names: set[str] | None) -> Paging:
    return paging_kinds.choose_paging(given).parse(given, names)
