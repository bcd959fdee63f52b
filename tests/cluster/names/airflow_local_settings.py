"""Airflow imports a module of this name at its start; here to spare each of its tasks the imports."""

from __future__ import annotations

import airflow_provider_asyncapi.preload
