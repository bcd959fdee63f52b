"""
The HTTP route by which users act on jobs: cancel, poll now, submit again.

It requires what Airflow requires of a user who clears a task or marks it as failed, and each action is in Airflow's
audit log. A browser sends the user's cookie with requests that other sites make, too. So a request needs a header that
a form can't set, and that a script of another site may only set if Airflow's CORS settings allow it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from airflow_provider_asyncapi.airflow_private.api_server import (
    BaseUser,
    DagAccessEntity,
    GetUserDep,
)
from airflow_provider_asyncapi.airflow_private.database import Log, XComModel, create_session
from airflow_provider_asyncapi.airflow_private.task_actions import DBDagBag, create_dag_bag
from airflow_provider_asyncapi.monitoring.xcoms import WAIT_KEY
from airflow_provider_asyncapi.plugins.database import find_permitted_dags
from airflow_provider_asyncapi.plugins.job_models import Name
from airflow_provider_asyncapi.plugins.json_fields import as_json_text, as_text, load
from airflow_provider_asyncapi.plugins.waiting_tasks import Action, ActionRefusedError, lock_task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

router = APIRouter()
log = logging.getLogger(__name__)

#: Maximum number of jobs of one request.
MAX_JOBS: Final = 100
ActionName: TypeAlias = Literal["cancel", "poll", "submit_again"]
_ACTIONS: Final[dict[str, Callable[[Action, Any], str]]] = {
    "cancel": Action.cancel,
    "poll": Action.poll,
    "submit_again": Action.submit_again,
}


class JobKey(BaseModel):
    """The task instance that waits for a job."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name
    run_id: Name
    task_id: Name
    map_index: int = Field(-1, ge=-1, le=2**31 - 1, description="-1 if the task isn't mapped.")
    try_number: int = Field(ge=0, le=2**31 - 1, description="The try that the user has seen.")


class ActionRequest(BaseModel):
    """An action, and the jobs that it is about."""

    model_config = ConfigDict(extra="forbid")

    action: ActionName
    jobs: list[JobKey] = Field(min_length=1, description=f"At most {MAX_JOBS} jobs.")

    @field_validator("jobs", mode="before")
    @classmethod
    def check_number(cls, given: Any) -> Any:
        """Check the number of jobs before each of them is read."""
        if isinstance(given, list) and len(given) > MAX_JOBS:
            raise ValueError(f"has {len(given)} jobs, and a request may have {MAX_JOBS}; send several requests")
        return given


class ActionResult(JobKey):
    """What has become of an action on one job."""

    ok: bool = Field(description="Whether the action was taken.")
    message: str = Field(description="What happens now, or why nothing does.")


class ActionResults(BaseModel):
    """The results of an action, in the order of the jobs."""

    results: list[ActionResult]


class EditableDagsQuery(BaseModel):
    """The DAGs of the jobs on a page."""

    model_config = ConfigDict(extra="forbid")

    dag_id: list[Name] = Field(max_length=200)


class EditableDags(BaseModel):
    """The DAGs on whose jobs the user may act."""

    dag_ids: list[str]


def _refuse_other_sites(
    x_asyncapi_page: Annotated[str | None, Header(description="Any value; other sites can't send it.")] = None,
    sec_fetch_site: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    """
    Refuse a request that another site may have made in the user's browser.

    :raises HTTPException: 403.
    """
    if not x_asyncapi_page or sec_fetch_site in ("cross-site", "same-site"):
        raise HTTPException(403, "This may be a request of another site: the header X-AsyncApi-Page is missing")


@router.post(
    "/actions", summary="Cancel jobs, poll them now, or submit them again", dependencies=[Depends(_refuse_other_sites)]
)
def act_on_jobs(request: ActionRequest, user: GetUserDep) -> ActionResults:
    """
    Act on jobs of DAGs whose task instances the user may edit; each job has its own transaction and result.

    A job whose task has ended, or was run again since the user has seen it, isn't touched.
    """
    editable = find_editable_dags(user, {job.dag_id for job in request.jobs})
    if not editable:
        raise HTTPException(403, "You may not edit task instances of this DAG")
    dag_bag = create_dag_bag()
    return ActionResults(
        results=[
            _act(request.action, job, user, dag_bag)
            if job.dag_id in editable
            else _make_result(job, f"You may not edit task instances of DAG {job.dag_id!r}.", ok=False)
            for job in request.jobs
        ]
    )


@router.get("/actions", summary="List the DAGs on whose jobs the user may act")
def list_editable_dags(
    query: Annotated[EditableDagsQuery, Query()], user: GetUserDep, response: Response
) -> EditableDags:
    """List the DAGs of a page on whose jobs the user may act; the page offers actions on no others."""
    # No cache may store what one user may do.
    response.headers["Cache-Control"] = "no-store"
    return EditableDags(dag_ids=sorted(find_editable_dags(user, set(query.dag_id))))


def find_editable_dags(user: BaseUser, dag_ids: Iterable[str]) -> frozenset[str]:
    """Return which of some DAGs have task instances that a user may edit."""
    with create_session() as session:
        return find_permitted_dags(session, user, dag_ids, DagAccessEntity.TASK_INSTANCE, "PUT")


def _act(name: ActionName, job: JobKey, user: BaseUser, dag_bag: DBDagBag) -> ActionResult:
    task = job.model_dump(exclude={"try_number"})
    try:
        with create_session() as session:
            ti = lock_task(session, task)
            if ti is None:
                return _make_result(job, "There is no such task instance any more.", ok=False)
            action = Action(session, dag_bag, user, datetime.now(UTC))
            action.check_try(ti, job.try_number)
            message = _ACTIONS[name](action, ti)
            _record(session, name, job, user, message, ok=True)
    except ActionRefusedError as error:
        message = str(error)
    except HTTPException as error:
        # From Airflow's own functions.
        message = f"Airflow refuses it: {error.detail}"
    except OperationalError:
        # SQLite lets one transaction write at a time, and other databases detect deadlocks.
        log.info("An action has found the database busy", exc_info=True)
        return _make_result(job, "The database is busy; try again.", ok=False)
    except Exception:
        # The other jobs of the request don't depend on this one, nor do the results of those before it.
        log.exception("Action %s has failed for %s", name, job)
        message = "The action has failed; the log of Airflow's API server has the reason."
    else:
        return _make_result(job, message, ok=True)
    try:
        with create_session() as session:
            _record(session, name, job, user, message, ok=False)
    except Exception:
        # The user has to learn what has become of the other jobs.
        log.exception("The audit log can't be written")
    return _make_result(job, message, ok=False)


def _record(session: Session, name: ActionName, job: JobKey, user: BaseUser, message: str, *, ok: bool) -> None:
    """Write a line of Airflow's audit log, with the job, by which people look for it."""
    ids = job.model_dump(exclude={"try_number"})
    stored = select(as_json_text(XComModel.value)).filter_by(**ids, key=WAIT_KEY)
    summary = load(session.scalar(stored))
    known = summary if isinstance(summary, Mapping) else {}
    about = {"job": as_text(known.get("identifier")), "conn_id": as_text(known.get("asyncapi_conn_id"))}
    entry = Log(
        event=f"asyncapi_{name}",
        owner=user.get_name(),
        owner_display_name=user.get_name(),
        extra=json.dumps({"ok": ok, "message": message, **about}),
        **job.model_dump(),
    )
    session.add(entry)


def _make_result(job: JobKey, message: str, *, ok: bool) -> ActionResult:
    return ActionResult(**job.model_dump(), ok=ok, message=message)
