"""The ways of paging, and which of them the parameters of a fetch choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.paging.base import Paging
from airflow_provider_asyncapi.core.fetch.paging.cursor import Cursor
from airflow_provider_asyncapi.core.fetch.paging.next_link import NextLink
from airflow_provider_asyncapi.core.fetch.paging.numbered import Numbered
from airflow_provider_asyncapi.core.registry import Registry

#: All ways; a fetch of pages that sets no parameter of another way is numbered.
PAGING_KINDS: Registry[type[Paging]] = Registry("way of paging", "paging", (Numbered, NextLink, Cursor))
#: The parameters that all ways have.
_COMMON_PARAMETERS = ("first_page", "page_step", "page_size", "max_pages", "total_rows")


def paging_parameters() -> tuple[str, ...]:
    """Return the parameters of all ways of paging."""
    return (*_COMMON_PARAMETERS, *(name for way in PAGING_KINDS.values() for name in way.parameters))


def choose_paging(given: Mapping[str, Any]) -> type[Paging]:
    """
    Return the way of paging that the parameters mean.

    :raises ConfigurationError: if they mean several.
    """
    chosen = {name: way for way in PAGING_KINDS.values() for name in way.parameters if given.get(name) is not None}
    if len(chosen) > 1:
        raise ConfigurationError(f"{' and '.join(chosen)}: are different ways of paging; set only one")
    return next(iter(chosen.values()), Numbered)


def page_variables(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the variables that only the requests for pages have, in the way of paging that the parameters mean."""
    limit = () if given.get("page_size") is None else ("limit",)
    return frozenset((*choose_paging(given).variables, *limit))


def all_page_variables() -> frozenset[str]:
    """Return the variables of pages in all ways of paging."""
    return frozenset(("limit", *(name for way in PAGING_KINDS.values() for name in way.variables)))


def text_parameters() -> tuple[str, ...]:
    """Return the parameters of all ways of paging whose values may name variables of the job."""
    return tuple(name for way in PAGING_KINDS.values() for name in way.text_parameters)


def assumed_page_variables() -> tuple[str, ...]:
    """Return variables that suffice for each way of paging: a template may render to a request that names them."""
    return tuple(name for way in PAGING_KINDS.values() for name in way.variables[:1])


def explain_page_variable(variable: str) -> str | None:
    """Return which requests have a variable of pages, for messages; None if no way of paging has it."""
    if variable == "limit":
        return "only requests for pages have it, if page_size is set"
    for way in PAGING_KINDS.values():
        if variable in way.variables:
            condition = "output_type='pages'" if way is Numbered else f"set {' or '.join(way.parameters)}"
            return f"only requests for {way.name} pages have it ({condition})"
    return None
