"""Spans of jobs: who is whose parent, what they tell, and that nothing happens while Airflow's tracing is off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, StatusCode

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.monitoring import spans as spans_module
from airflow_provider_asyncapi.monitoring import tracing
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import STATUS, TI, ApiServer, Store, context_of, reply
from tests.unit.task_tries import run_try

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

RUNNING, DONE, FAILED = (reply({"status": each}) for each in ("running", "done", "failed"))
POLL, ROWS = "GET /jobs/j-1", "GET /jobs/j-1/rows"
SUBMIT: dict[str, Any] = {"endpoint": "/jobs", "identifier": "id"}


class Spans:
    """The spans that were sent, in the order of their ends."""

    def __init__(self, **given: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**given)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [each.name.removeprefix("asyncapi.") for each in self.all]

    def of(self, name: str) -> list[ReadableSpan]:
        return [each for each in self.all if each.name == f"asyncapi.{name}"]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.of(name)
        return span


@pytest.fixture
def trace_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Spans]:
    """Switch tracing on."""

    def switch(**given: Any) -> Spans:
        spans = Spans(**given)
        monkeypatch.setattr(tracing, "is_enabled", lambda: True)
        monkeypatch.setattr(trace, "get_tracer", spans.provider.get_tracer)
        return spans

    return switch


@pytest.fixture
def spans(trace_with: Callable[..., Spans]) -> Spans:
    return trace_with()


@pytest.fixture
def task_span(spans: Spans) -> Iterator[SpanContext]:
    """Be in the span of a task, as Airflow's processes are."""
    with spans.provider.get_tracer("airflow").start_as_current_span("worker.task") as span:
        yield span.get_span_context()


@pytest.fixture
def job_api(api: ApiServer) -> ApiServer:
    """Be an API whose job is done at the third poll."""
    api.respond_to("POST /jobs", reply({"id": "j-1"}, 201))
    api.respond_to(POLL, RUNNING, RUNNING, DONE)
    api.respond_to(ROWS, reply([{"id": 1}]))
    return api


def run(task: Any, ti: TI | None = None, **more: Any) -> Any:
    context = context_of(ti or TI(), **more)
    return run_try(lambda: task, lambda: context)


def make_job(
    *,
    deferrable: bool = False,
    submit: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **given: Any,
) -> AsyncApiJobOperator:
    with DAG("dag", schedule=None):
        return AsyncApiJobOperator(
            task_id="wait",
            deferrable=deferrable,
            submit={**SUBMIT, **(submit or {})},
            status={**STATUS, **(status or {})},
            **given,
        )


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_has_a_span_with_its_stages_as_children(
    job_api: ApiServer, spans: Spans, task_span: SpanContext, deferrable: bool
) -> None:
    assert run(make_job(deferrable=deferrable, fetch={"endpoint": "/jobs/{identifier}/rows"})) == [{"id": 1}]
    waits = ["wait", "wait"] if deferrable else ["wait"]
    assert spans.names == ["submit", *waits, "job", "fetch"]
    job = spans.one("job")
    assert parent_of(job) == task_span.span_id
    assert {parent_of(each) for each in spans.all if each is not job} == {id_of(job)}
    assert {trace_of(each) for each in spans.all} == {task_span.trace_id}
    assert attributes_of(job) == {
        "asyncapi.connection": "asyncapi_default",
        "asyncapi.job.identifier": "j-1",
        "asyncapi.job.outcome": "success",
        "asyncapi.job.status": "done",
    }
    assert sum(attributes_of(each)["asyncapi.polls"] for each in spans.of("wait")) == 3
    assert attributes_of(spans.one("fetch"))["asyncapi.result.bytes"] == len('[{"id": 1}]')
    assert {each.status.status_code for each in spans.all} == {StatusCode.OK}
    assert ["asyncapi.continues" in attributes_of(each) for each in spans.of("wait")] == [True, False][-len(waits) :]


def test_polls_are_events_of_the_wait(job_api: ApiServer, spans: Spans) -> None:
    job_api.respond_to(POLL, RUNNING, reply({"message": "down"}, 503), reply({"status": "done"}))
    run(make_job(status={"retry_delays": {503: 0.1}}))
    events = [(each.name, dict(each.attributes or {})) for each in spans.one("wait").events]
    assert [name for name, _ in events] == ["poll", "poll", "poll"]
    assert events[0][1] == {"asyncapi.outcome": "running", "asyncapi.status": "running"}
    assert "503" in str(events[1][1]["asyncapi.error"])
    assert events[2][1]["asyncapi.outcome"] == "success"


def test_the_number_of_events_is_bounded_and_polls_with_news_come_first(spans: Spans) -> None:
    with tracing.trace_stage("wait", "api") as stage:
        for number in range(5000):
            stage.observe(Polled(JobHandle("j-1"), number, 0, changed=False, at=float(number)))
        for number in range(5000):
            stage.observe(Polled(JobHandle("j-1", status=number), number, 0, changed=True, at=float(number)))
    wait = spans.one("wait")
    assert len(wait.events) == 120
    assert wait.dropped_events == 0
    assert sum("asyncapi.status" in (each.attributes or {}) for each in wait.events) == 88
    assert attributes_of(wait)["asyncapi.polls"] == 10_000


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_spans_of_a_failed_job_say_why(job_api: ApiServer, spans: Spans, deferrable: bool) -> None:
    job_api.respond_to(POLL, RUNNING, FAILED)
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run(make_job(deferrable=deferrable))
    for span in (spans.of("wait")[-1], spans.one("job")):
        assert span.status.status_code is StatusCode.ERROR
        assert "failed" in (span.status.description or "")
    assert attributes_of(spans.one("job"))["asyncapi.job.outcome"] == "failure"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_deadline_ends_the_span_of_the_job(job_api: ApiServer, spans: Spans, deferrable: bool) -> None:
    job_api.respond_to(POLL, RUNNING)
    with pytest.raises(exceptions.AsyncApiTimeout):
        run(make_job(deferrable=deferrable, status={"timeout": 0.05}))
    assert spans.one("job").status.status_code is StatusCode.ERROR


def test_a_submit_that_fails_has_both_spans(api: ApiServer, spans: Spans) -> None:
    api.respond_to("POST /jobs", reply({"message": "no such table"}, 400))
    with pytest.raises(exceptions.AsyncApiRejected):
        run(make_job())
    submit, job = spans.all
    assert (submit.name, job.name) == ("asyncapi.submit", "asyncapi.job")
    assert {each.status.status_code for each in spans.all} == {StatusCode.ERROR}
    (event,) = submit.events
    assert event.name == "exception"
    assert "exception.stacktrace" not in (event.attributes or {})


def test_a_submit_that_is_retried_sends_the_span_of_its_job_once(api: ApiServer, spans: Spans) -> None:
    """A span that is sent twice under one id is an error for those that store traces."""
    api.respond_to("POST /jobs", reply({"message": "slow down"}, 429))
    api.respond_to(POLL, DONE)
    api.respond_to(ROWS, reply([]))
    store, job = Store(), make_job(submit={"max_consecutive_errors": 1})
    first, second = TI(), TI()
    first.max_tries = second.max_tries = 1
    second.try_number = 2
    with pytest.raises(exceptions.AsyncApiException) as caught:
        run(job, first, task_state_store=store)
    assert not isinstance(caught.value, AirflowFailException)
    assert spans.names == ["submit"]
    api.respond_to("POST /jobs", reply({"id": "j-1"}, 201))
    run(job, second, task_state_store=store)
    assert spans.names == ["submit", "submit", "wait", "job"]


def test_each_job_after_a_failed_one_has_a_span_of_its_own(job_api: ApiServer, spans: Spans) -> None:
    job_api.respond_to("POST /jobs", reply({"id": "j-1"}), reply({"id": "j-2"}))
    job_api.respond_to(POLL, FAILED)
    job_api.respond_to("GET /jobs/j-2", DONE)
    run(make_job(resubmit=1), task_state_store=Store())
    first, second = spans.of("job")
    assert id_of(first) != id_of(second)
    assert [attributes_of(each)["asyncapi.job.identifier"] for each in (first, second)] == ["j-1", "j-2"]


def test_a_retry_continues_the_span_of_its_job(job_api: ApiServer, spans: Spans) -> None:
    store = Store()
    job_api.respond_to(POLL, *[reply({}, 503)] * 4)
    with pytest.raises(exceptions.AsyncApiUnavailable):
        run(make_job(status={"max_consecutive_errors": 2, "retry_delays": {503: 0.05}}), task_state_store=store)
    assert spans.of("job") == []
    job_api.respond_to(POLL, DONE)
    run(make_job(), task_state_store=store)
    job = spans.one("job")
    assert {parent_of(each) for each in spans.all if each is not job} == {id_of(job)}
    assert job_api.count("POST /jobs") == 1


def test_tasks_pass_the_span_on_in_the_job_handle(job_api: ApiServer, spans: Spans) -> None:
    with DAG("dag", schedule=None):
        submit = AsyncApiTriggerOperator(task_id="submit", **SUBMIT)
        handle = run_for_handle(submit)
        wait = AsyncApiSensor(task_id="wait", job=handle, deferrable=True, **STATUS)
        handle = run_for_handle(wait)
        fetch = AsyncApiFetchOperator(task_id="fetch", job=handle, endpoint="/jobs/{identifier}/rows")
    run(fetch)
    job = spans.one("job")
    assert spans.names == ["submit", "wait", "wait", "job", "fetch"]
    assert {parent_of(each) for each in spans.all if each is not job} == {id_of(job)}


def run_for_handle(task: Any) -> Any:
    ti = TI()
    run(task, ti)
    return ti.xcoms["job"]


def test_each_of_several_jobs_has_a_span_of_its_own(job_api: ApiServer, spans: Spans) -> None:
    job_api.respond_to("POST /jobs", reply({"jobs": ["j-1", "j-2"]}, 201))
    job_api.respond_to("GET /jobs/j-2", DONE)
    with DAG("dag", schedule=None):
        handles = run(AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifiers="jobs"))
        for number, handle in enumerate(handles):
            run(AsyncApiSensor(task_id=f"wait_{number}", job=handle, **STATUS))
    assert spans.names == ["submit", "job", "wait", "job", "wait", "job"]
    assert len({id_of(each) for each in spans.of("job")}) == 3
    assert [parent_of(each) for each in spans.all if each.name != "asyncapi.job"] == [
        id_of(each) for each in spans.of("job")
    ]


def test_a_job_that_another_tool_submitted_has_a_span_too(job_api: ApiServer, spans: Spans) -> None:
    with DAG("dag", schedule=None):
        run(AsyncApiSensor(task_id="wait", job="j-1", deferrable=True, **STATUS))
    job = spans.one("job")
    assert {parent_of(each) for each in spans.of("wait")} == {id_of(job)}


def test_a_fetch_of_such_a_job_is_a_child_of_the_task(job_api: ApiServer, spans: Spans, task_span: SpanContext) -> None:
    with DAG("dag", schedule=None):
        run(AsyncApiFetchOperator(task_id="fetch", job="j-1", endpoint="/jobs/{identifier}/rows"))
    assert spans.names == ["fetch"]
    assert parent_of(spans.one("fetch")) == task_span.span_id


@pytest.mark.parametrize("is_async", [False, True])
def test_the_hook_traces_what_it_does(job_api: ApiServer, spans: Spans, is_async: bool) -> None:
    hook = AsyncApiHook()

    async def main() -> None:
        async with hook:
            job = await hook.asubmit_job(**SUBMIT)
            job = await hook.await_for_job(job, **STATUS)
            await hook.afetch_result(job, endpoint="/jobs/{identifier}/rows")

    if is_async:
        asyncio.run(main())
    else:
        with hook:
            job = hook.wait_for_job(hook.submit_job(**SUBMIT), **STATUS)
            hook.fetch_result(job, endpoint="/jobs/{identifier}/rows")
    assert spans.names == ["submit", "wait", "job", "fetch"]
    own = spans.one("job")
    assert {parent_of(each) for each in spans.all if each is not own} == {id_of(own)}
    assert len(spans.one("wait").events) == 3


@pytest.mark.parametrize("deferrable", [False, True])
def test_requests_name_the_span_of_their_stage_if_the_connection_says_so(
    job_api: ApiServer, spans: Spans, connect: Callable[..., None], deferrable: bool
) -> None:
    connect(extra={"send_trace_context": True})
    run(make_job(deferrable=deferrable, fetch={"endpoint": "/jobs/{identifier}/rows"}))
    sent = [each.headers["traceparent"].split("-") for each in job_api.requests]
    assert {int(trace_id, 16) for _, trace_id, _, _ in sent} == {trace_of(each) for each in spans.all}
    named = [int(span_id, 16) for _, _, span_id, _ in sent]
    assert named[0] == id_of(spans.one("submit"))
    assert set(named[1:-1]) == {id_of(each) for each in spans.of("wait")}
    assert named[-1] == id_of(spans.one("fetch"))


def test_requests_have_no_header_by_default(job_api: ApiServer, spans: Spans) -> None:
    run(make_job())
    assert not any("traceparent" in each.headers for each in job_api.requests)


def test_nothing_is_sent_of_a_run_that_was_not_sampled(job_api: ApiServer, trace_with: Callable[..., Spans]) -> None:
    spans = trace_with(sampler=ALWAYS_OFF)
    run(make_job(deferrable=True))
    assert spans.all == []


@pytest.mark.parametrize("stored", [{"traceparent": "broken"}, {"traceparent": 7}, {"other": "x"}, {}])
def test_a_trace_that_cannot_be_read_begins_again(spans: Spans, stored: dict[str, Any]) -> None:
    with tracing.trace_stage("wait", "api", stored) as stage:
        assert stage.job_trace.keys() == {"traceparent"}


def test_another_library_that_traces_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "is_enabled", lambda: True)
    monkeypatch.setattr(trace, "get_tracer", lambda *_: trace.NoOpTracer())
    with tracing.trace_stage("wait", "api") as stage:
        assert stage.join(JobHandle("j-1")) == JobHandle("j-1")


def test_a_cancelled_trigger_is_an_interruption_and_no_failure(spans: Spans) -> None:
    async def wait() -> None:
        with tracing.trace_stage("wait", "api"):
            await asyncio.Event().wait()

    async def main() -> None:
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert spans.names == ["wait"]
    assert attributes_of(spans.one("wait"))["asyncapi.interrupted"] is True
    assert spans.one("wait").status.status_code is not StatusCode.ERROR


def test_texts_from_the_api_are_bounded_and_masked(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "redact", lambda text: text.replace("hunter22", "***"))
    with pytest.raises(ValueError, match="hunter22"), tracing.trace_stage("wait", "api"):
        raise ValueError("hunter22" + "x" * 5000)
    text = str(spans.one("wait").status.description)
    assert text.startswith("***x")
    assert len(text) < 530
