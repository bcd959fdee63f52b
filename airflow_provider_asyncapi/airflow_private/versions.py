"""What this version of Airflow can do; each flag names the version from which it holds."""

from __future__ import annotations

from typing import Final

from airflow import __version__
from airflow.triggers.base import BaseTrigger

#: Airflow 3.2: triggers read and write XComs, and the UI shows pages of plugins that are React components. In 3.1 all
#: triggers share one line to the supervisor that a single unfinished or failed message breaks.
HAS_TRIGGER_XCOMS: Final = not __version__.startswith("3.1.")
HAS_PLUGIN_PAGES: Final = HAS_TRIGGER_XCOMS
#: Airflow 3.3: a trigger is told that a user ends its task, and starts from a trigger keep their outcome and templates.
HAS_TRIGGER_ON_KILL: Final = hasattr(BaseTrigger, "on_kill")
