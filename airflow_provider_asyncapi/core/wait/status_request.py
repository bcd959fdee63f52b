"""The status request of a job, the cache of its last response, and the number of polls."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE, ResponsePolicy
from airflow_provider_asyncapi.core.requests.retry_hints import read_retry_after
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_times import is_last_poll
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem

#: Largest response body that is cached from poll to poll, in bytes: there may be thousands of waits.
_MAX_CACHED_BODY = 4096


@dataclass(slots=True, kw_only=True)
class StatusRequest:
    """
    The status request of a job, and its last response.

    The request is rendered again only when the variables of the job change. Most polls get the same response as the one
    before, which has the same verdict and isn't read again.

    :param state: the state at the beginning of the wait.
    :param handle: the job as it is known now; the request was rendered from its variables.
    :param polls: number of polls so far.
    :param scope: the variables that selectors may use.
    :param request: the request.
    :param response_policy: which of its responses are final whatever their status code.
    :param authorizer: adds the credentials to the request.
    :param cached_response: status code and fingerprint of the last response of a running job.
    :param last_verdict: the verdict on that response.
    :param status_problem: why the job only counts as running according to that response; None if its status is known.
    :param check_at: time from which on the flow processes each response, in seconds since the epoch; None for never.
    """

    api: Api
    plan: WaitPlan
    state: WaitCheckpoint
    handle: JobHandle
    polls: int
    scope: Variables
    request: Request
    response_policy: ResponsePolicy
    authorizer: RequestAuthorizer
    cached_response: tuple[int, bytes] | None = None
    last_verdict: Verdict | None = None
    status_problem: StatusProblem | None = None
    check_at: float | None = None

    @classmethod
    def render(cls, api: Api, plan: WaitPlan, state: WaitCheckpoint, handle: JobHandle, polls: int) -> StatusRequest:
        """Render the status request of a job."""
        scope = api.merge_variables(handle.scope())
        request = api.render_request(plan.request, scope, reference_base=handle.urls.get("submit"))
        return cls(
            api=api,
            plan=plan,
            state=state,
            handle=handle,
            polls=polls,
            scope=scope,
            request=request,
            response_policy=REPEATABLE.also_final(plan.policy.rules, scope),
            authorizer=RequestAuthorizer(api),
        )

    def for_handle(self, handle: JobHandle) -> StatusRequest:
        """Return the poll for a handle; the request is rendered again if the variables have changed."""
        if self.handle.variables is not handle.variables:
            return StatusRequest.render(self.api, self.plan, self.state, handle, self.polls)
        self.handle = handle
        return self

    def cache(self, plan: WaitPlan, response: Response, verdict: Verdict, status_problem: StatusProblem | None) -> None:
        """Cache the verdict on a response if it depends on the body only, and the body isn't large."""
        if verdict is self.last_verdict or plan is not self.plan:
            return
        content = response.fingerprint
        if response.ok and not self.plan.reads_headers and content is not None and len(content) <= _MAX_CACHED_BODY:
            self.cached_response, self.last_verdict, self.status_problem = (
                (response.status, content),
                verdict,
                status_problem,
            )

    def clear_cache(self) -> None:
        """Clear the cached response and verdict."""
        self.cached_response = self.last_verdict = None

    def cached_verdict(self, response: Response) -> Verdict | None:
        """Return the verdict on a response that equals the cached one, else None."""
        is_known = self.cached_response is not None and self.cached_response == (response.status, response.fingerprint)
        return self.last_verdict if is_known else None

    def skip_if_unchanged(self, response: Response) -> Polled | None:
        """Count a poll that has found nothing new, and return it, if another poll may follow; else return None."""
        schedule = self.plan.schedule
        requested = read_retry_after(self.api, schedule, response)
        if self.cached_verdict(response) is None or (
            requested is not None and requested > schedule.longest_retry_after
        ):
            return None
        return self._count_unchanged_poll(schedule.delay_after_poll(self.polls + 1, requested, self.api.rng), response)

    def skip_if_unchanged_in_batch(self, batch_response: BatchResponse) -> Polled | None:
        """Do the same for a job that is polled in a batch, whose jobs all have the same interval."""
        response, schedule = batch_response.response_for(self.handle.identifier), self.plan.schedule
        if response is None or self.cached_verdict(response) is None or not schedule.has_constant_interval:
            return None
        may_ask = schedule.retry_after is not None or "retry-after" in response.headers
        return None if may_ask else self._count_unchanged_poll(schedule.interval, response)

    def _count_unchanged_poll(self, pause: float, response: Response) -> Polled | None:
        now = self.api.clock()
        # Twice the pause, since the next poll itself takes time, too.
        latest = now + 2 * pause
        if self.plan.logs is not None and self.plan.logs.request is not None:
            # The log has its own request, and may have changed.
            return None
        if self.check_at is not None and latest >= self.check_at:
            return None
        if is_last_poll(self.plan, self.state, self.polls + 1, latest) or not self.authorizer.is_valid_at(latest):
            return None
        self.polls += 1
        return Polled(
            self.handle,
            self.polls,
            0,
            changed=False,
            at=now,
            pause=pause,
            delay=response.delay,
            status_problem=self.status_problem,
        )
