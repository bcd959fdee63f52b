"""Write a profile and a DAG of requests that were tried and of what their responses contain."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.outcome import CALLBACK_URL, IDEMPOTENCY_KEY, IDENTIFIERS, RESULT_IDENTIFIER
from airflow_provider_asyncapi.importing.profile_toml import format_profile

#: The status code in place of a status (RFC 9110, section 15.3.3).
STATUS_CODE_RULES = (
    {"selector": "status_code", "in": 202, "outcome": "running"},
    {"selector": "status_code", "in": [200, 201, 204, 303], "outcome": "success"},
)
_TAKEN = frozenset(
    {"identifier", "link", "offset", "page", CALLBACK_URL, IDEMPOTENCY_KEY, IDENTIFIERS, RESULT_IDENTIFIER}
)
_VARIABLE_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
#: Longer texts, such as queries, stay in the profile.
_LONGEST_VALUE = 60
#: More of them would fill the DAG; the other values stay in the profile.
_MAX_VARIABLES = 6

_DAG = '''\
"""{docstring}"""

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

with DAG({dag_id}, schedule=None):
    AsyncApiJobOperator(
        task_id="run_job",
        asyncapi_conn_id={conn_id},
        profile={profile},
{arguments}        deferrable=True,
    )
'''


@dataclass(slots=True, kw_only=True)
class ExploredJob:
    """
    A job that was explored, as far as it is known.

    :param name: the name of the profile.
    :param submit: the parameters of the submit, the identifier among them.
    :param status: the parameters of the wait.
    :param fetch: the parameters of the fetch; None if there is no result.
    :param comments: comments for the profile, by the path of a key.
    :param destination: where the DAG writes the result; None to return it.
    """

    name: str
    submit: dict[str, Any]
    status: dict[str, Any]
    fetch: dict[str, Any] | None = None
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    destination: str | None = None
    _variables: dict[str, Any] = field(default_factory=dict)

    def format_profile(self) -> str:
        """Return the text of the profile."""
        submit = self._extract_variables()
        tables = {
            "about": {"title": self.name.replace("_", " ").capitalize()},
            "submit": submit,
            "status": self.status,
            "fetch": self.fetch or {},
        }
        return format_profile(tables, comments=self.comments)

    def format_dag(self) -> str:
        """Return the text of the DAG file."""
        self._extract_variables()
        arguments = ""
        if self._variables:
            values = ", ".join(
                f"{_format_text(name)}: {_format_value(value)}" for name, value in self._variables.items()
            )
            arguments += f"        variables={{{values}}},\n"
            if len(values) > 100:  # noqa: PLR2004 - what fits in a line of 120 characters
                lines = "".join(
                    f"            {_format_text(name)}: {_format_value(value)},\n"
                    for name, value in self._variables.items()
                )
                arguments = f"        variables={{\n{lines}        }},\n"
        if self.fetch is not None:
            given = f'"destination": {_format_text(self.destination)}' if self.destination is not None else ""
            arguments += f"        fetch={{{given}}},\n"
        return _DAG.format(
            docstring="Run a job, and fetch its result.",
            dag_id=_format_text(self.name),
            conn_id=_format_text(self.name),
            profile=_format_text(self.name),
            arguments=arguments,
        )

    def _extract_variables(self) -> dict[str, Any]:
        """Return the submit with variables in place of the values that differ from DAG to DAG."""
        submit = dict(self.submit)
        for kind in ("json", "data"):
            content = submit.get(kind)
            if not isinstance(content, Mapping):
                continue
            chosen = {name: value for name, value in content.items() if _can_be_variable(name, value)}
            self._variables = dict(list(chosen.items())[:_MAX_VARIABLES])
            submit[kind] = {
                name: f"{{{name}}}" if name in self._variables else value for name, value in content.items()
            }
        if self._variables:
            submit["variables"] = self._variables
        return submit


def _can_be_variable(name: str, value: Any) -> bool:
    if not _VARIABLE_NAME.fullmatch(name) or name in _TAKEN or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_VALUE and value.isprintable() and not {*"{}"} & {*value}
    return isinstance(value, int | float)


def _format_text(text: str) -> str:
    """Return a Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _format_value(value: Any) -> str:
    return _format_text(value) if isinstance(value, str) else repr(value)
