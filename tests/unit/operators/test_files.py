"""Tasks that send files: what is refused when the DAG is parsed, and what is sent when the task runs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, task

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

FILE: dict[str, Any] = {"path": "/in/{day}.csv"}
UPLOAD: dict[str, Any] = {"endpoint": "/up", "files": {"f": FILE}, "headers": {"X-Size": "{body_size}"}}


def make_submit(**given: Any) -> AsyncApiTriggerOperator:
    fields = {"endpoint": "/jobs", "identifier": "id", "variables": {"day": "d1"}, **given}
    return AsyncApiTriggerOperator(task_id="submit", **fields)


@pytest.mark.parametrize(
    "given",
    [
        {"body": FILE},
        {"body": {"path": "{{ ds }}.csv", "content_type": "{{ params.type }}", "max_bytes": 5}},
        {"body": {"path": PurePosixPath("/in/a.csv")}},
        {"body": "{{ params.body }}"},
        {"files": {"f": FILE, "note": "{day}"}, "data": {"a": "{day}"}},
        {"body": FILE, "headers": {"Content-MD5": "{body_md5}"}, "query_params": {"size": "{body_size}"}},
        {"json": {}, "headers": {"X-Size": "{body_size}"}},
        {"prepare": UPLOAD, "start": [UPLOAD]},
        {"body": {"path": "{connection.folder}/a"}},
    ],
)
def test_a_submit_and_its_requests_may_send_files(given: dict[str, Any]) -> None:
    make_submit(**given)


RESUME = {"headers": {"Upload-Length": "{file_size}"}, "offset": "header:Upload-Offset"}
PIECES = {"endpoint": "/up", "headers": {"Upload-Offset": "{body_start}"}, "body": {**FILE, "resume": RESUME}}


def test_an_upload_may_be_resumed_and_requests_before_it_name_the_size_of_its_file() -> None:
    make_submit(prepare=[{"endpoint": "/new", "headers": {"X-Size": "{file_size}"}}, PIECES])
    make_submit(**PIECES)
    make_submit(headers={"X-Size": "{file_size}"}, body="{{ params.body }}")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"headers": {"X-Size": "{file_size}"}}, UnknownVariableError, r"headers: .*\{file_size\}"),
        (
            {"prepare": {**PIECES, "body": {**FILE, "resume": {**RESUME, "endpoint": "/up/{id}"}}}},
            UnknownVariableError,
            r"prepare\.body\.resume\.endpoint: .*\{id\}",
        ),
        (
            {"prepare": {**PIECES, "body": {**FILE, "resume": {"offst": "a"}}}},
            ConfigurationError,
            r"prepare: body\.resume: unknown key 'offst'",
        ),
        ({"prepare": {**PIECES, "headers": {}}}, ConfigurationError, r"the upload has to name \{body_start\}"),
        (
            {"files": {"f": {**FILE, "resume": RESUME}}},
            ConfigurationError,
            r"files\['f'\] has the unknown key 'resume'",
        ),
    ],
)
def test_a_mistake_about_an_upload_is_refused_when_the_dag_is_parsed(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_submit(**given)


def test_a_path_may_come_from_another_task() -> None:
    with DAG("dag", schedule=None):

        @task
        def export() -> str:
            return "/in/a.csv"

        make_submit(body={"path": export()})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"body": {"path": "/in/{dya}.csv"}}, r"body\.path: .*\{dya\}.*known: \{day\}, and \{connection"),
        ({"files": {"f": {"path": "{id}"}}, "capture": {"id": "id"}}, r"files\['f'\]\.path: .* an API must not choose"),
        (
            {"prepare": {"endpoint": "/a", "capture": {"file": "f"}}, "body": {"path": "{file}"}},
            r"body\.path: .*\{file\}.* an API must not choose the file",
        ),
        (
            {"start": {"endpoint": "/{identifier}", "body": {"path": "{identifier}"}}},
            r"start\.body\.path: .*\{identifier\}",
        ),
        ({"headers": {"X": "{body_size}"}}, r"headers: .*\{body_size\}"),
        ({"json": {}, "endpoint": "/{body_size}"}, r"endpoint: .*\{body_size\}"),
    ],
)
def test_a_path_that_a_response_would_choose_is_refused_when_the_dag_is_parsed(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownVariableError, match=message):
        make_submit(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"body": "text"}, "body has to be a mapping with the path of a file, not str"),
        ({"body": {"path": 7}}, r"body\.path: has to be a path or URL, not 7"),
        ({"body": {"path": "/a", "pth": "/b"}}, "body has the unknown key 'pth'"),
        ({"body": {"path": "/a"}, "json": {}}, "only one body is possible, but json and body are given"),
        ({"files": {"f": {"path": "/a", "content": "x"}}}, r"files\['f'\] has the unknown key 'content'"),
        ({"lookup": {"endpoint": "/x", "body": FILE}}, r"lookup: body\.path: this request can't send a file"),
        (
            {"cancel": {"endpoint": "/x", "files": {"f": FILE}}, "on_changed_request": "cancel"},
            r"cancel: files\['f'\]\.path",
        ),
    ],
)
def test_a_file_that_cant_be_sent_is_refused_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_submit(**given)


def test_requests_of_a_wait_and_a_fetch_send_no_files() -> None:
    status: dict[str, Any] = {"completion_key": "s", "completion_value": "done"}
    with pytest.raises(ConfigurationError, match=r"cancel: body\.path: this request can't send a file"):
        AsyncApiSensor(task_id="wait", job=1, endpoint="/x", cancel={"endpoint": "/x", "body": FILE}, **status)
    with pytest.raises(ConfigurationError, match=r"fetch: files\['f'\]\.path: this request can't send a file"):
        AsyncApiFetchOperator(task_id="fetch", job=1, endpoint="/x", files={"f": {"path": "/a"}})
    with pytest.raises(ConfigurationError, match=r"body: isn't an argument of status; only the requests"):
        AsyncApiJobOperator(task_id="job", submit={}, status={"body": FILE})


def make_sensor(**given: Any) -> AsyncApiSensor:
    return AsyncApiSensor(task_id="wait", job=1, endpoint="/x", completion_key="s", completion_value="d", **given)


@pytest.mark.parametrize("name", ["body", "files"])
def test_a_wait_says_which_requests_send_files(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}: isn't a parameter of this task; only the requests"):
        make_sensor(**{name: FILE})


@pytest.mark.parametrize("make", [AsyncApiFetchOperator, AsyncApiJobOperator])
def test_a_task_with_other_requests_says_which_requests_send_files(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"body: isn't a parameter of this task; only the requests"):
        make(task_id="task", body=FILE, **({"job": 1} if make is AsyncApiFetchOperator else {}))


def execute(store: Store | None = None, number: int = 1, **given: Any) -> Any:
    ti = TI()
    ti.try_number, ti.max_tries = number, 3
    more = {} if store is None else {"task_state_store": store}
    return make_submit(**given).execute(context_of(ti, retries=3, **more))


def test_a_task_sends_the_files_that_it_names(api: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "d1.csv").write_bytes(b"1,2\xff")
    api.respond_to("PUT /up", reply({"file": "f-1"}))
    api.respond_to("POST /jobs", reply({"id": 7}))
    upload = {
        "method": "PUT",
        "endpoint": "/up",
        "body": {"path": f"{tmp_path}/{{day}}.csv", "content_type": "text/csv"},
        "headers": {"X-Checksum": "{body_sha256}"},
        "capture": {"file": "file"},
    }
    assert execute(prepare=upload, json={"file": "{file}"}) == 7
    put, post = api.requests
    assert (put.body, put.headers["Content-Type"], len(put.headers["X-Checksum"])) == (b"1,2\xff", "text/csv", 64)
    assert post.body == b'{"file":"f-1"}'


def test_a_file_that_is_not_there_may_be_there_at_the_next_try(api: ApiServer, tmp_path: Path) -> None:
    api.respond_to("POST /jobs", reply({"id": 7}))
    store, body = Store(), {"path": str(tmp_path / "late.csv")}
    with pytest.raises(exceptions.AsyncApiFileUnavailable, match=r"late\.csv' isn't there") as raised:
        execute(store, body=body)
    assert not isinstance(raised.value, AirflowFailException)
    (tmp_path / "late.csv").write_bytes(b"1")
    assert execute(store, 2, body=body) == 7


def test_a_retry_with_another_file_is_refused_and_one_without_the_file_continues(
    api: ApiServer, tmp_path: Path
) -> None:
    api.respond_to("POST /jobs", reply({"id": 7}))
    file = tmp_path / "a.csv"
    file.write_bytes(b"1")
    store, body = Store(), {"path": str(file)}
    assert execute(store, body=body) == 7
    file.write_bytes(b"22")
    with pytest.raises(exceptions.AsyncApiRequestChanged, match="differ in body"):
        execute(store, 2, body=body)
    file.unlink()
    assert execute(store, 3, body=body) == 7
    assert api.count("POST /jobs") == 1


def test_no_secret_of_the_connection_is_read_from_a_file_that_another_host_gets(
    api: ApiServer, connect: Any, tmp_path: Path
) -> None:
    connect(password="hunter2secret", extra={"auth": "bearer"})
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="contains a secret of the connection"):
        execute(
            endpoint="https://elsewhere.invalid/",
            files={"f": {"path": str(tmp_path / "a")}},
            data={"k": "hunter2secret"},
        )
    assert not api.requests
