"""
The build hook that puts ``example_dags/`` into the wheel, as a folder of the package.

Airflow finds the example DAGs of an installed provider there, and shows them if ``[core] load_examples`` is set. An
editable installation gets none: the copies would hide changes of the originals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig


class ExampleDagsHook(BuildHookInterface[WheelBuilderConfig]):
    """Adds the example DAGs to a wheel that isn't editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map each example DAG to its place in the package."""
        if version != "editable":
            for file in sorted(Path(self.root, "example_dags").glob("*.py")):
                build_data["force_include"][str(file)] = f"airflow_provider_asyncapi/example_dags/{file.name}"
