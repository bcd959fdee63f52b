"""What the tasks share that run a job again after it has failed: its parameters, their checks, and the next job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, RERUN_PARAMETERS
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import JobTask, to_seconds
from airflow_provider_asyncapi.tasks.stages import STATUS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.submit.resubmit import ResubmitPlan


class RerunningTask(JobTask):
    """The base of the tasks that wait for a job, and can run it again after it has failed."""

    may_resubmit = True
    #: Whether Airflow retries the task after the failure of its last job, with another job.
    resubmit_on_retry: bool = False

    def rerun_params(self, *, with_connection: bool = True) -> dict[str, Any]:
        """Return the parameters about the next job, from the task or the profile's table ``status``."""
        own = to_seconds(vars(self), RERUN_PARAMETERS)
        return self.merge_profile(STATUS, own, with_connection=with_connection)

    def resubmit_plan(self, *, with_connection: bool = True) -> ResubmitPlan | None:
        """Return the plan of further jobs; None if there is none."""
        described = self.rerun_params(with_connection=with_connection)
        limit, delay = described.get("resubmit"), described.get("resubmit_delay")
        if limit is None and delay is None:
            return None
        return lazy.ResubmitPlan.parse(limit, delay)

    def check_rerun_params(self, *, is_complete: bool) -> None:
        """
        Check the parameters about the next job.

        :param is_complete: whether the connection's profile, which isn't known yet, adds none of them.
        :raises ConfigurationError: if one is wrong; the message names it.
        """
        plan, described = self.resubmit_plan(with_connection=False), self.rerun_params(with_connection=False)
        lazy.RerunRules.parse(described)
        repair = lazy.Repair.parse(described, complete=is_complete)
        if repair and is_complete and not (plan and plan.limit) and not self.resubmit_on_retry:
            raise ConfigurationError("repair: has no effect, since resubmit is 0, and no retry submits another job")

    def check_next_job(self, submit: Mapping[str, Any]) -> None:
        """
        Check that the submit makes one job, and that the API can tell it from the jobs after its failure.

        :param submit: all parameters of the submit that the DAG and its profile set.
        :raises ConfigurationError: if it doesn't; the message names the parameter.
        """
        if submit.get("identifiers") is not None:
            raise ConfigurationError(
                "identifiers: this task waits for one job; take AsyncApiTriggerOperator, and map the wait over its"
                " handles"
            )
        plan, described = self.resubmit_plan(with_connection=False), self.rerun_params(with_connection=False)
        has_next_job = plan is not None and plan.limit > 0
        if submit.get("callback") and (has_next_job or described.get("repair") is not None):
            raise ConfigurationError(
                f"{'resubmit' if has_next_job else 'repair'}: isn't supported with callback, since a late callback of a"
                " failed job could end the wait for the next one; set retries instead"
            )
        lookup = submit.get("lookup") if has_next_job else None
        if lookup is not None and f"{{{IDEMPOTENCY_KEY}" not in str(lookup):
            raise ConfigurationError(
                "resubmit: the request in lookup may find the failed job, since it doesn't contain {idempotency_key},"
                " which differs for each job"
            )

    def execute_next_job(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """
        Submit the next job, after the delay.

        :param event: the event of the trigger, which has only waited.
        """
        return self.execute(context)
