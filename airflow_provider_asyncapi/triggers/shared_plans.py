"""The plans of the waits in a triggerer: triggers with equal parameters share one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from airflow_provider_asyncapi.core.lazy import load_object
from airflow_provider_asyncapi.core.wait.plan import WaitPlan


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SharedPlan:
    """
    The sensor's parameters and their plan, shared by all triggers with equal parameters.

    Without this, each of a thousand mapped tasks would hold a plan of its own.
    """

    spec: dict[str, Any]
    plan: WaitPlan

    @classmethod
    async def load(cls, spec: dict[str, Any]) -> SharedPlan:
        """Return the plan of the parameters, parsed by this trigger or by an earlier one."""
        text = json.dumps(spec, default=repr)
        known = _shared_plans.get(text)
        if known is None:
            # The first plan imports the parsers of selectors, which would block the event loop for too long.
            plan = await asyncio.to_thread(_parse_plan, spec, text)
            known = _shared_plans.setdefault(text, cls(spec, plan))
        return known


_shared_plans: WeakValueDictionary[str, SharedPlan] = WeakValueDictionary()


def _parse_plan(spec: dict[str, Any], text: str) -> WaitPlan:
    """Return the plan of the parameters, and import RE2 if they seem to hold a regular expression."""
    if "regex:" in text or "matches" in text:
        # For the flow that runs later, on the event loop.
        load_object("re2:compile")
    return WaitPlan.parse(spec)
