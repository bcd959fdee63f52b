"""
What Airflow's operators don't offer publicly: the rendering of a single field, which hooks a task has, and where it is
created.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import get_parsing_context

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from airflow_provider_asyncapi.airflow_private import supervisor
else:
    # DAG files import the operators, and only the process of a task asks.
    supervisor = LazyModule("airflow_provider_asyncapi.airflow_private.supervisor")


class RendersOwnFields:
    """Lets an operator render some of its template fields itself; mixed in before ``BaseOperator``."""

    def render_own_fields(
        self, names: Collection[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> Collection[str]:
        """
        Render fields, and return their names; Airflow renders the others.

        :param names: the fields to render.
        :param seen_oids: the identities of values that are complete, because they were mapped over.
        """
        raise NotImplementedError

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        names = list(template_fields)
        own = self.render_own_fields(names, context, jinja_env, seen_oids)
        others = [name for name in names if name not in own]
        super()._do_render_template_fields(parent, others, context, jinja_env, seen_oids)  # type: ignore[misc]  # the operator's method


def has_pre_execute(task: Any) -> bool:
    """Return whether a task has the argument ``pre_execute``."""
    return task._pre_execute_hook is not None  # noqa: SLF001 - Airflow keeps the argument nowhere else


def has_post_execute(task: Any) -> bool:
    """Return whether a task has the argument ``post_execute``."""
    return task._post_execute_hook is not None  # noqa: SLF001 - Airflow keeps the argument nowhere else


def is_parsed_by_task_process(task: Any) -> bool:
    """
    Return whether the process of a task creates an operator, because it parses the file of its DAG.

    Airflow names the task in the environment before it parses the file, and doesn't remove the name (up to 3.3 at
    least). So other processes may inherit it, and it is still there when the task is created again with the values that
    it is mapped over.
    """
    if get_parsing_context().task_id is None or task._BaseOperator__from_mapped:  # noqa: SLF001 - stored nowhere else
        return False
    return supervisor.is_task_process()
