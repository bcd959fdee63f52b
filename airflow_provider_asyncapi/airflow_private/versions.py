"""
What this version of Airflow can do: a flag for each thing that an older one lacks, and the version that brought it.

The table of versions in the documentation is made of them (``scripts/version_table.py``).
"""

from __future__ import annotations

from typing import Final

from airflow import __version__
from airflow.sdk import Context
from airflow.triggers.base import BaseTrigger

#: Triggers read and write XComs. In Airflow 3.1 all triggers share one line to the supervisor that a single unfinished
#: or failed message breaks.
HAS_TRIGGER_XCOMS: Final = not __version__.startswith("3.1.")
#: The UI shows pages of plugins that are React components.
HAS_PLUGIN_PAGES: Final = HAS_TRIGGER_XCOMS
#: The processes of tasks have a tracer.
HAS_TASK_TRACES: Final = HAS_TRIGGER_XCOMS
#: A trigger is told that a user ends its task, and starts from a trigger keep their outcome and templates.
HAS_TRIGGER_ON_KILL: Final = hasattr(BaseTrigger, "on_kill")
#: A task stores state that survives its tries.
HAS_TASK_STATE: Final = "task_state_store" in Context.__annotations__

#: The Airflow from which on each flag holds.
SINCE: Final = {
    "HAS_TRIGGER_XCOMS": "3.2",
    "HAS_PLUGIN_PAGES": "3.2",
    "HAS_TASK_TRACES": "3.2",
    "HAS_TRIGGER_ON_KILL": "3.3",
    "HAS_TASK_STATE": "3.3",
}
