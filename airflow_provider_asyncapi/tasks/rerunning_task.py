"""The base of the tasks that run a job again after it has failed: its parameters, their checks, and the next job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.parameter_names import RERUN_PARAMETERS
from airflow_provider_asyncapi.core.requests.request_template import iterate_strict_parts
from airflow_provider_asyncapi.core.templates import CONNECTION, find_variables, walk_strings
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import JobTask, to_seconds
from airflow_provider_asyncapi.tasks.jinja import has_template
from airflow_provider_asyncapi.tasks.stages import STATUS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.submit.resubmit_plan import ResubmitPlan


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
        lazy.Repair.parse(described, complete=is_complete)
        # A profile says how a job is repaired, and the DAG says whether.
        if self._sets_repair and is_complete and not (plan and plan.limit) and not self.resubmit_on_retry:
            raise ConfigurationError("repair: has no effect, since resubmit is 0, and no retry submits another job")

    @property
    def _sets_repair(self) -> bool:
        return vars(self).get("repair") not in (None, False)

    def check_next_job(self, submit: Mapping[str, Any], *, with_connection: bool = False) -> None:
        """
        Check that the submit makes one job, and that the API can tell it from the jobs after its failure.

        :param submit: all parameters of the submit that the DAG and its profile set.
        :param with_connection: whether to use the connection's profile if the task has no profile.
        :raises ConfigurationError: if it doesn't; the message names the parameter.
        """
        if submit.get("identifiers") is not None:
            raise ConfigurationError(
                "identifiers: this task waits for one job; take AsyncApiTriggerOperator, and map the wait over its"
                " handles"
            )
        plan = self.resubmit_plan(with_connection=with_connection)
        described = self.rerun_params(with_connection=with_connection)
        has_next_job = plan is not None and plan.limit > 0
        may_repair = self._sets_repair or (described.get("repair") is not None and self.resubmit_on_retry)
        if submit.get("callback") and (has_next_job or may_repair):
            raise ConfigurationError(
                f"{'resubmit' if has_next_job else 'repair'}: isn't supported with callback, since a late callback of a"
                " failed job could end the wait for the next one; set retries instead"
            )
        if has_next_job:
            status = self.effective_params(STATUS, with_connection=with_connection)
            check_separable(submit, status.get("cancel"))

    def execute_next_job(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """
        Submit the next job, after the delay.

        :param event: the event of the trigger, which has only waited.
        """
        self.begins_again = True
        return self.execute(context)


def check_separable(submit: Mapping[str, Any], cancel: Any) -> None:
    """
    Check that the API can tell a job from the one before it, which has failed.

    :param submit: all parameters of the submit.
    :param cancel: the request that cancels a job, if any.
    :raises ConfigurationError: if it can't; the message names the parameter.
    """
    lookup = submit.get("lookup")
    if lookup is not None and f"{{{IDEMPOTENCY_KEY}" not in str(lookup):
        raise ConfigurationError(
            "resubmit: the request in lookup may find the failed job, since it doesn't contain {idempotency_key},"
            " which differs for each job"
        )
    for place, value in iterate_strict_parts(submit):
        fields = value if isinstance(value, Mapping) else {}
        for name, text in fields.items():
            if "idempotency" in str(name).lower() and f"{{{IDEMPOTENCY_KEY}" not in str(text):
                raise ConfigurationError(
                    f"resubmit: {place}[{name!r}] is the same for each job, so the API returns the failed job instead"
                    f" of making another one; set it to {{{IDEMPOTENCY_KEY}}}"
                )
    if isinstance(cancel, Mapping) and not has_template(str(cancel)):
        named = {name.removeprefix("+") for text in walk_strings(cancel) for name in find_variables(text)}
        own = submit.get("variables") or {}
        if not any(name not in own and not name.startswith(CONNECTION) for name in named):
            raise ConfigurationError(
                "resubmit: the request in cancel doesn't name the job, such as by {identifier}, so it may cancel"
                " the next one"
            )
