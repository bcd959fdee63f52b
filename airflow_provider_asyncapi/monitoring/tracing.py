"""
Spans of jobs, if Airflow's tracing is on; without it, nothing of OpenTelemetry is imported.

A job has a span, from its submit to its end, whose children are spans of its stages: ``submit``, ``wait`` and
``fetch``. Each process that works on a stage sends a span of its own, so a wait has one on the worker that polls first,
and one in the triggerer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.effects import Flow, Notification
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.monitoring import spans
else:
    spans = LazyModule("airflow_provider_asyncapi.monitoring.spans")

T = TypeVar("T")
Stage: TypeAlias = Literal["submit", "wait", "fetch"]


class StageTrace(Protocol):
    """The trace of a stage of a job in this process."""

    @property
    def job_trace(self) -> Mapping[str, JsonValue]:
        """The identity of the job's span, as a job handle stores it; empty while tracing is off."""

    def propagate(self, api: Api, flow: Flow[T]) -> Flow[T]:
        """Return the flow, with the trace context in its requests if the connection sends it."""

    def observe(self, event: Notification) -> None:
        """Record a poll."""

    def join(self, handle: JobHandle) -> JobHandle:
        """Return the handle of the job with the identity of the job's span, and describe the job in the spans."""

    def set_result_size(self, size: int) -> None:
        """
        Record the size of the result.

        :param size: its bytes.
        """


class _NoTrace:
    """The trace of a stage while tracing is off."""

    __slots__ = ()
    job_trace: Mapping[str, JsonValue] = {}

    def propagate(self, _api: Api, flow: Flow[T]) -> Flow[T]:
        return flow

    def observe(self, event: Notification) -> None:
        pass

    def join(self, handle: JobHandle) -> JobHandle:
        return handle

    def set_result_size(self, size: int) -> None:
        pass


NO_TRACE: StageTrace = _NoTrace()


class ContinuedElsewhereError(Exception):
    """Another process continues the stage, so this end of it isn't a failure."""


def trace_stage(
    stage: Stage, conn_id: str, job_trace: Mapping[str, JsonValue] | None = None, *, may_be_retried: bool = False
) -> AbstractContextManager[StageTrace]:
    """
    Trace a stage of a job; at the end of the context its span ends, and with the job's end that of the job.

    :param job_trace: the identity of the job's span, from the job handle; empty or None for a job without one.
    :param may_be_retried: whether another try submits the same job after an error that allows it.
    """
    if not is_enabled():
        return nullcontext(NO_TRACE)
    return spans.trace_stage(stage, conn_id, job_trace or {}, may_be_retried=may_be_retried)


@cache
def is_enabled() -> bool:
    """Return whether Airflow's tracing is on; before Airflow 3.2, processes of tasks have no tracer all the same."""
    return bool(conf.getboolean("traces", "otel_on", fallback=False))
