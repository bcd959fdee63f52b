"""The spans of jobs and their stages, sent with OpenTelemetry; imported only if Airflow's tracing is on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred, redact
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Tracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.errors import AsyncApiError, DeadlineExceededError
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.outcome import IDENTIFIERS, Outcome
from airflow_provider_asyncapi.core.requests.trace_context import TRACEPARENT, add_traceparent
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.exceptions import AsyncApiTimeout, to_airflow
from airflow_provider_asyncapi.monitoring.tracing import NO_TRACE, ContinuedElsewhereError

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.effects import Flow, Notification
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.monitoring.tracing import Stage, StageTrace

T = TypeVar("T")
_Attributes: TypeAlias = Mapping[str, str | bool | int | float]

_LIBRARY = "airflow_provider_asyncapi"
#: Key of the span that is the parent of the job's, in what a job handle stores.
_PARENT = "parent"
#: The first polls of a process are all events of its span; later ones only if they have news. OpenTelemetry keeps 128
#: events of a span by default, and drops the first ones.
_FIRST_EVENTS, _MAX_EVENTS = 32, 120
#: Longest text in a span, in characters.
_MAX_TEXT = 500
#: Exceptions by which a process hands the stage over to another one.
_HANDED_OVER = (TaskDeferred, AirflowRescheduleException, ContinuedElsewhereError)
_propagator = TraceContextTextMapPropagator()


@contextmanager
def trace_stage(
    stage: Stage, conn_id: str, job_trace: Mapping[str, JsonValue], *, may_be_retried: bool
) -> Iterator[StageTrace]:
    """Trace a stage of a job, as :func:`~.tracing.trace_stage` describes it."""
    tracer = trace.get_tracer(_LIBRARY, __version__)
    if not isinstance(tracer, Tracer):
        # Before Airflow 3.2, and if OTEL_SDK_DISABLED is set.
        yield NO_TRACE
        return
    job = _JobSpan.parse(job_trace)
    if job is None and stage != "fetch":
        job = _JobSpan.begin(tracer)
    with _StageSpan(tracer, stage, conn_id, job, may_be_retried=may_be_retried).run() as span:
        yield span


@dataclasses.dataclass(frozen=True, slots=True)
class _JobSpan:
    """
    The identity of the span of a job.

    It is sent by the process that notices the end of the job. Each process that works on the job before, and each
    request, names it by its identifier.

    :param context: its identifiers.
    :param parent: those of the span in which the job was submitted; None if there was none.
    """

    context: SpanContext
    parent: SpanContext | None

    @classmethod
    def begin(cls, tracer: Tracer) -> _JobSpan:
        """Return the identity of a new span, a child of the current one; the sampler decides whether it is sent."""
        parent = trace.get_current_span().get_span_context()
        # This span is never ended, and so never sent.
        return cls(tracer.start_span("asyncapi.job").get_span_context(), parent if parent.is_valid else None)

    @classmethod
    def parse(cls, stored: Mapping[str, JsonValue]) -> _JobSpan | None:
        """Return the identity that a job handle stores; None if it has none that can be read."""
        context = _parse_context(stored.get(TRACEPARENT))
        return None if context is None else cls(context, _parse_context(stored.get(_PARENT)))

    def dump(self) -> dict[str, JsonValue]:
        """Return the identity for a job handle."""
        parent = {} if self.parent is None else {_PARENT: _format_context(self.parent)}
        return {TRACEPARENT: _format_context(self.context), **parent}


class _StageSpan:
    """
    The span of a stage in this process: a :class:`~.tracing.StageTrace`.

    :param tracer: creates the span.
    :param stage: its name.
    :param conn_id: the connection.
    :param job: the identity of the job's span, the parent; None for a child of the current span.
    :param may_be_retried: whether another try continues the span of the job after an error that allows it.
    """

    def __init__(
        self, tracer: Tracer, stage: Stage, conn_id: str, job: _JobSpan | None, *, may_be_retried: bool
    ) -> None:
        self._may_be_retried = may_be_retried
        self._tracer, self._stage, self._job = tracer, stage, job
        current = trace.get_current_span().get_span_context()
        is_parent_of_job = job is not None and job.parent is not None and job.parent.span_id == current.span_id
        links = [Link(current)] if job is not None and current.is_valid and not is_parent_of_job else []
        self._connection: _Attributes = {"asyncapi.connection": conn_id}
        self._span = tracer.start_span(
            f"asyncapi.{stage}",
            None if job is None else trace.set_span_in_context(NonRecordingSpan(job.context)),
            kind=SpanKind.CLIENT,
            attributes=self._connection,
            links=links,
        )
        self._began = time.time()
        self._polls = self._events = 0
        self._handle: JobHandle | None = None
        self._ended_at: float | None = None
        self._status = Status(StatusCode.OK)

    @contextmanager
    def run(self) -> Iterator[StageTrace]:
        """Make the span the current one, and end it with the context."""
        with trace.use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            try:
                yield self
            except BaseException as error:
                self._record_end_by(error)
                raise
            finally:
                self._end()

    @property
    def job_trace(self) -> Mapping[str, JsonValue]:
        return {} if self._job is None else self._job.dump()

    def propagate(self, api: Api, flow: Flow[T]) -> Flow[T]:
        return add_traceparent(api, flow, _format_context(self._span.get_span_context()))

    def observe(self, event: Notification) -> None:
        if not isinstance(event, Polled):
            return
        self._handle = event.handle
        self._polls += not event.by_callback
        if event.handle.outcome.is_final:
            self._ended_at = event.at
        has_news = event.changed or event.error is not None or event.by_callback or event.warned
        if self._events < (_MAX_EVENTS if has_news else _FIRST_EVENTS):
            self._events += 1
            self._add_poll(event)

    def join(self, handle: JobHandle) -> JobHandle:
        self._handle = handle
        # Of several jobs, each has a span of its own, from the beginning of its wait.
        if handle.outcome.is_final or IDENTIFIERS in handle.variables:
            self._ended_at = time.time()
        return handle if handle.trace == self.job_trace else dataclasses.replace(handle, trace=self.job_trace)

    def set_result_size(self, size: int) -> None:
        self._span.set_attribute("asyncapi.result.bytes", size)

    def _add_poll(self, event: Polled) -> None:
        attributes: dict[str, str | bool | int | float] = {"asyncapi.outcome": str(event.handle.outcome)}
        if event.handle.status is not None:
            attributes["asyncapi.status"] = _to_text(event.handle.status)
        if event.handle.progress is not None:
            attributes["asyncapi.progress"] = event.handle.progress
        if event.error is not None:
            attributes["asyncapi.error"] = _to_text(event.error)
        if event.delay is not None:
            attributes["asyncapi.delay"] = event.delay.seconds
        name = "callback" if event.by_callback else "poll"
        self._span.add_event(name, attributes, timestamp=_to_nanoseconds(event.at))

    def _record_end_by(self, error: BaseException) -> None:
        if isinstance(error, _HANDED_OVER):
            self._span.set_attributes({"asyncapi.continues": True})
        elif not isinstance(error, Exception):
            # The process ends, or the trigger is cancelled: another process may continue.
            self._span.set_attributes({"asyncapi.interrupted": True})
        elif not isinstance(error, AirflowSkipException):
            message = _to_text(str(error))
            self._status = Status(StatusCode.ERROR, message)
            # Without the stack trace, which may contain secrets.
            self._span.add_event("exception", {"exception.type": type(error).__name__, "exception.message": message})
            is_last_submit = self._stage == "submit" and not (self._may_be_retried and _allows_retry(error))
            if is_last_submit or isinstance(error, DeadlineExceededError | AsyncApiTimeout):
                self._ended_at = time.time()

    def _end(self) -> None:
        attributes = self._describe_job()
        self._span.set_attributes({"asyncapi.polls": self._polls} if self._stage == "wait" else {})
        self._span.set_attributes(attributes)
        self._span.set_status(self._status)
        self._span.end()
        if self._job is not None and self._ended_at is not None and self._stage != "fetch":
            self._send_job(self._job, self._ended_at, attributes)

    def _describe_job(self) -> _Attributes:
        handle = self._handle
        if handle is None:
            return {}
        identifier = {} if handle.identifier is None else {"asyncapi.job.identifier": _to_text(handle.identifier)}
        status = {} if handle.status is None else {"asyncapi.job.status": _to_text(handle.status)}
        return {"asyncapi.job.outcome": str(handle.outcome), **identifier, **status}

    def _send_job(self, job: _JobSpan, ended_at: float, attributes: _Attributes) -> None:
        handle, status = self._handle, self._status
        if handle is not None and handle.outcome is Outcome.FAILURE and status.is_ok:
            status = Status(StatusCode.ERROR, "the job has failed")
        submitted_at = None if handle is None else handle.submitted_at
        self._tracer.span_processor.on_end(
            ReadableSpan(
                "asyncapi.job",
                job.context,
                job.parent,
                self._tracer.resource,
                {**self._connection, **attributes},
                kind=SpanKind.INTERNAL,
                status=status,
                start_time=_to_nanoseconds(min(submitted_at or self._began, ended_at)),
                end_time=_to_nanoseconds(ended_at),
                instrumentation_scope=InstrumentationScope(_LIBRARY, __version__),
            )
        )


def _allows_retry(error: Exception) -> bool:
    shown = to_airflow(error) if isinstance(error, AsyncApiError) else error
    return not isinstance(shown, AirflowFailException)


def _format_context(context: SpanContext) -> str:
    """Return the header ``traceparent`` of a span."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(NonRecordingSpan(context)))
    return carrier.get(TRACEPARENT, "")


def _parse_context(stored: JsonValue) -> SpanContext | None:
    """Return the span of a header ``traceparent``; None if there is none."""
    if not isinstance(stored, str):
        return None
    context = trace.get_current_span(_propagator.extract({TRACEPARENT: stored})).get_span_context()
    return context if context.is_valid else None


def _to_text(value: JsonValue) -> str:
    return shorten(str(redact(as_text(value))), _MAX_TEXT)


def _to_nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
