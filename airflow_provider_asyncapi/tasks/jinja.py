"""Detect Airflow's templates in parameters, before they are rendered."""

from __future__ import annotations

_SIGNS = ("{{", "{%", "{#")


def has_template(text: str) -> bool:
    """Return whether a text contains a template, which Airflow renders when the task runs."""
    return any(sign in text for sign in _SIGNS)
