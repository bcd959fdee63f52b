"""The output types, and which of them the parameters of a fetch mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.fetch.outputs.archives import Tar, Zip
from airflow_provider_asyncapi.core.fetch.outputs.base import Output
from airflow_provider_asyncapi.core.fetch.outputs.files import File, Gzip
from airflow_provider_asyncapi.core.fetch.outputs.pages import Pages
from airflow_provider_asyncapi.core.fetch.outputs.result import Result
from airflow_provider_asyncapi.core.fetch.paging.registry import paging_parameters
from airflow_provider_asyncapi.core.registry import Registry

RESULT, PAGES = Result(), Pages()
#: All output types that ``output_type`` can name.
OUTPUT_TYPES: Registry[Output] = Registry("output_type", "output_types", (RESULT, PAGES, Zip(), Tar(), Gzip(), File()))


def choose_output(given: Mapping[str, Any]) -> Output:
    """
    Return the output type that the parameters of a fetch mean.

    :raises ConfigurationError: if there is none of that name.
    """
    named = given.get("output_type")
    if named is not None:
        return OUTPUT_TYPES.parse(named)
    return PAGES if any(given.get(name) is not None for name in paging_parameters()) else RESULT
