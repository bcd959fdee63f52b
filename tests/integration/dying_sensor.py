"""A sensor whose worker dies."""

from __future__ import annotations

import os
import signal
from typing import Any

from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


class DyingSensor(AsyncApiSensor):
    """Be killed in the first try, when the task is resumed."""

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        if context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().resume_execution(next_method, next_kwargs, context)
