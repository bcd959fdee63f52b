"""A collector for traces: it receives them over HTTP, as OpenTelemetry's exporter sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from airflow_provider_asyncapi.testing.loopback import Answer, LoopbackServer, ReceivedRequest


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span, with its identifiers as hexadecimal texts; the parent's is empty if there is none."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: list[str]
    links: list[str]
    is_error: bool
    seconds: float


class OtlpCollector(LoopbackServer):
    """
    Receives traces.

    :ivar spans: the spans so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[ReceivedSpan] = []

    def answer(self, request: ReceivedRequest) -> Answer:
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += [_read(span) for span in scope.spans]
        content = ExportTraceServiceResponse().SerializeToString()
        return 200, {"Content-Type": "application/x-protobuf"}, content


def _read(span: Any) -> ReceivedSpan:
    kinds = ("string_value", "int_value", "double_value", "bool_value")
    attributes = {
        each.key: next((getattr(each.value, kind) for kind in kinds if each.value.HasField(kind)), None)
        for each in span.attributes
    }
    return ReceivedSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        attributes,
        [event.name for event in span.events],
        [link.span_id.hex() for link in span.links],
        span.status.code == 2,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )
