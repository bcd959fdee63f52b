"""
What this provider relies on in Airflow's private modules, on each version of Airflow that the tests run on.

If one of these fails on a newer Airflow, the module of ``airflow_private`` that is named has to be looked at.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import airflow
import pytest
from airflow.sdk.execution_time import comms, supervisor, task_runner
from packaging.version import Version

from airflow_provider_asyncapi.airflow_private import versions

VERSION = Version(airflow.__version__)


def parameters_of(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("flag", "since"), [("HAS_TRIGGER_XCOMS", "3.2"), ("HAS_PLUGIN_PAGES", "3.2"), ("HAS_TRIGGER_ON_KILL", "3.3")]
)
def test_a_flag_holds_from_the_version_that_it_names(flag: str, since: str) -> None:
    assert getattr(versions, flag) is (Version(f"{since}.0") <= VERSION)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("GetConnection", {"conn_id"}),
        ("GetVariable", {"key"}),
        ("PutVariable", {"key", "value", "description"}),
        ("VariableResult", {"key", "value"}),
        ("GetXCom", {"key", "dag_id", "run_id", "task_id", "map_index"}),
        ("SetXCom", {"key", "value", "dag_id", "run_id", "task_id", "map_index"}),
        ("GetTaskStates", {"dag_id", "task_ids", "run_ids", "map_index"}),
        ("ConnectionResult", {"conn_id", "conn_type", "host", "schema_", "login", "password", "port", "extra"}),
        ("XComResult", {"key", "value"}),
        ("TaskStatesResult", {"task_states"}),
        ("ErrorResponse", {"error", "detail"}),
    ],
)
def test_a_message_to_or_from_the_supervisor_has_the_fields_that_are_used(message: str, fields: set[str]) -> None:
    assert fields <= set(getattr(comms, message).model_fields)


def test_a_task_talks_to_its_supervisor_by_send_and_asend() -> None:
    assert hasattr(task_runner, "SUPERVISOR_COMMS") or "SUPERVISOR_COMMS" in task_runner.__annotations__
    assert "msg" in parameters_of(comms.CommsDecoder.send)
    assert "msg" in parameters_of(comms.CommsDecoder.asend)
    assert callable(supervisor.ensure_secrets_backend_loaded)


def test_a_task_that_is_killed_has_the_seconds_that_its_cancel_request_is_planned_for() -> None:
    from airflow_provider_asyncapi.airflow_private.supervisor import SECONDS_TO_SIGKILL

    delay = inspect.signature(supervisor.WatchedSubprocess.kill).parameters["escalation_delay"]
    assert delay.default == SECONDS_TO_SIGKILL


def test_templates_of_an_operator_are_rendered_by_the_method_that_is_overridden() -> None:
    from airflow.providers.common.compat.sdk import BaseOperator

    needed = {"parent", "template_fields", "context", "jinja_env", "seen_oids"}
    assert needed <= parameters_of(BaseOperator._do_render_template_fields)


def test_a_task_says_which_of_its_hooks_are_set() -> None:
    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_asyncapi.airflow_private.operators import has_post_execute, has_pre_execute

    def call(context: Any, result: Any = None) -> None: ...

    neither = BaseOperator(task_id="neither")
    both = BaseOperator(task_id="both", pre_execute=call, post_execute=call)
    assert [has_pre_execute(neither), has_post_execute(neither)] == [False, False]
    assert [has_pre_execute(both), has_post_execute(both)] == [True, True]


def test_dag_files_are_parsed_by_the_module_that_is_preloaded() -> None:
    from airflow_provider_asyncapi.airflow_private.dag_parser import DagBag

    assert callable(DagBag.process_file)


def test_the_models_have_the_columns_that_are_read() -> None:
    from airflow_provider_asyncapi.airflow_private import database

    ids = {"dag_id", "run_id", "task_id", "map_index"}
    expected: dict[Any, set[str]] = {
        database.TaskInstance: {"id", "state", "updated_at", "trigger_id", "next_method", "try_number", *ids},
        database.TaskInstanceHistory: {"task_instance_id", *ids},
        database.XComModel: {"dag_run_id", "key", "value", "timestamp", *ids},
        database.DagRun: {"id", "dag_id", "run_id"},
        database.TaskReschedule: {"id", "ti_id", "end_date", "reschedule_date"},
        database.Trigger: {"id", "classpath", "triggerer_id"},
        database.AssetDagRunQueue: {"asset_id", "created_at"},
        database.AssetModel: {"id", "name", "uri"},
        database.AssetEvent: {"asset_id", "timestamp", "extra"},
    }
    for model, columns in expected.items():
        assert columns <= set(model.metadata.tables[model.__tablename__].columns.keys()), model
    assert str(database.TaskInstanceState.DEFERRED) == "deferred"


def test_a_deferred_task_is_resumed_by_an_event() -> None:
    from airflow_provider_asyncapi.airflow_private import database

    assert {"event", "task_instance", "session"} <= parameters_of(database.handle_event_submit)


def test_an_asset_event_is_stored_by_the_asset_manager() -> None:
    from airflow_provider_asyncapi.airflow_private import database

    assert {"asset", "extra", "session"} <= parameters_of(database.asset_manager.register_asset_change)


@pytest.mark.skipif(not versions.HAS_TRIGGER_ON_KILL, reason="the task state store came with Airflow 3.3")
def test_the_task_state_store_is_read_and_written_in_the_session_of_a_request() -> None:
    from airflow_provider_asyncapi.airflow_private import database

    backend = database.get_state_backend()
    assert {"scope", "key", "session"} <= parameters_of(backend.get)
    assert {"scope", "key", "value", "session"} <= parameters_of(backend.set)
    assert database.TaskScope(dag_id="d", run_id="r", task_id="t", map_index=-1).map_index == -1


def test_the_api_server_says_who_asks_and_what_that_user_may_see() -> None:
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

    from airflow_provider_asyncapi.airflow_private import api_server

    assert {"method", "access_entity", "user"} <= parameters_of(BaseAuthManager.is_authorized_dag)
    assert {"user", "method", "session"} <= parameters_of(BaseAuthManager.get_authorized_dag_ids)
    assert {api_server.DagAccessEntity.TASK_INSTANCE, api_server.DagAccessEntity.XCOM}
    assert callable(api_server.get_auth_manager)


# Airflow 3.1 uses what newer versions of pydantic advise against.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_buttons_of_airflow_are_functions_that_a_request_can_call() -> None:
    from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody, PatchTaskInstanceBody
    from airflow.api_fastapi.core_api.routes.public import task_instances

    from airflow_provider_asyncapi.airflow_private import task_actions

    shared = {"dag_id", "dag_bag", "body", "session"}
    mark = {*shared, "dag_run_id", "task_id", "user", "map_index", "update_mask"}
    assert mark == parameters_of(task_instances.patch_task_instance)
    assert parameters_of(task_instances.post_clear_task_instances) - {"user"} == shared
    fields = {"dry_run", "dag_run_id", "task_ids", "only_failed", "include_downstream", "reset_dag_runs"}
    assert fields <= set(ClearTaskInstancesBody.model_fields)
    assert "new_state" in PatchTaskInstanceBody.model_fields
    assert isinstance(task_actions.create_dag_bag(), task_actions.DBDagBag)


def test_a_trigger_is_stored_with_its_arguments_and_a_user_may_edit_tasks_by_dag() -> None:
    from airflow_provider_asyncapi.airflow_private import api_server, database

    stored = database.Trigger(classpath="path", kwargs={"wait": {"polls": 1}})
    assert stored.kwargs == {"wait": {"polls": 1}}
    assert {"dag_id", "session"} <= parameters_of(database.DagModel.get_team_name)
    assert api_server.DagDetails(id="dag", team_name=None).id == "dag"
    entry = database.Log(event="e", owner="o", dag_id="d", run_id="r", task_id="t", map_index=1, try_number=2)
    assert (entry.run_id, entry.map_index, entry.try_number) == ("r", 1, 2)


def test_tasks_import_neither_the_database_nor_the_api_server() -> None:
    names = [
        "airflow_provider_asyncapi.airflow_private.database",
        "airflow_provider_asyncapi.airflow_private.api_server",
    ]
    script = f"import sys, airflow_provider_asyncapi.preload; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().split("\n")[-2] == "[]"


@pytest.mark.skipif(not versions.HAS_TRIGGER_ON_KILL, reason="the state store of assets came with Airflow 3.3")
def test_an_event_trigger_has_a_state_store_for_each_of_its_assets() -> None:
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor, AssetStateStoreAccessors
    from airflow.triggers.base import BaseEventTrigger

    assert "asset_state_store" in inspect.getsource(BaseEventTrigger.__init__)
    store = AssetStateStoreAccessors(inlets=[Asset("one"), Asset("two")])
    assert list(store._by_name.values()) == [AssetStateStoreAccessor(name="one"), AssetStateStoreAccessor(name="two")]
    assert {"key"} <= parameters_of(AssetStateStoreAccessor.aget)
    assert {"key", "value"} <= parameters_of(AssetStateStoreAccessor.aset)


def test_an_event_trigger_before_the_state_store_reads_and_writes_variables() -> None:
    assert {"key", "value", "description"} <= set(comms.PutVariable.model_fields)
    assert {"key"} <= set(comms.GetVariable.model_fields)
