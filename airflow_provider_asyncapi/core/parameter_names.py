"""The names of parameters that several subjects share."""

from __future__ import annotations

#: Parameters of a wait that are about the next job, after one has failed.
RERUN_PARAMETERS = ("resubmit", "resubmit_delay", "resubmit_on", "repair", "repair_on")
#: Rerun parameters that the triggerer doesn't use.
NOT_FOR_TRIGGERER = ("resubmit", "resubmit_delay", "repair")
#: Parameters of a fetch that limit its result; a task and the hook apply them, and not the plan.
RESULT_LIMITS = ("unpack", "max_bytes", "max_members", "max_ratio", "max_xcom_bytes")
