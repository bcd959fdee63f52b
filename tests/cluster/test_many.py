"""Many jobs at once, which one API fails; in a run of all tests the storm comes while others are run."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import JOBS
from tests.cluster.control import LOSE, answer
from tests.cluster.runs import MOMENTS, NO_NAME, REFUSED, submit_faults

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_of_many_those_are_submitted_once_whose_worker_is_killed(moment, many):
    tasks, report = many.cluster.tasks("many"), many.report()
    assert len(many.killed[moment]) > 1
    for job in many.jobs(many.killed[moment]):
        assert tasks["job.submit", job.index].try_number > 1, many.describe_jobs(job)
        assert report.submits[job.name] == 1, many.describe_jobs(job)
        # What tells the moments apart: the next try has to look the job up, or to start it once more.
        assert moment != "during" or report.lookups.get(job.name), many.describe_jobs(job)
        assert moment != "after" or job.starts > 1, many.describe_jobs(job)
    many.check_all()


def test_each_of_many_is_submitted_once_whatever_the_requests_meet(many):
    met = [submit_faults(index) for index in range(JOBS)]
    report = many.report()
    # What was lost has been carried out; all else that went wrong was not.
    assert report.submits == {f"many/{index}": len(met[index]) + (LOSE not in met[index]) for index in range(JOBS)}
    assert all(report.lookups[f"many/{index}"] for index in range(JOBS) if LOSE in met[index])
    many.check_all()


def test_many_are_polled_again_when_their_api_is_back(storm, many):
    storm.result()
    many.until_polled()
    for job in many.jobs(many.going_on()):
        log = many.log("job.wait", job.index)
        assert NO_NAME in log, many.describe_jobs(job)
        assert REFUSED in log, many.describe_jobs(job)
    many.check_all()


def test_many_are_polled_on_through_a_storm_of_errors(storm, many, api):
    """Resets, half-closed, cut, overlong and trickling answers, status 429 and 5xx, unknown statuses, steps back."""
    storm.result()
    many.until(lambda: not api.planned("many"))
    many.until_polled()
    many.check_all()


def test_one_retry_after_holds_for_many(many, api):
    first = min(many.going_on())
    held = many.cluster.waiting_with("many", first)
    assert len(held) > 1
    api.plan(f"many/{first}", "status", answer(429, "8"))
    many.until(lambda: not api.planned("many"))
    asked = many.jobs([first])[0].polls[-1]
    many.until_polled(times=2)
    # A poll may be on its way when the triggerer receives the answer; each job would be polled three times otherwise.
    meanwhile = {job: [poll for poll in job.polls if asked < poll < asked + 8] for job in many.jobs(held)}
    hasty = [job for job, polls in meanwhile.items() if len(polls) > 1 or any(poll > asked + 4 for poll in polls)]
    assert hasty == [], many.describe_jobs(*hasty)
    many.check_all()


def test_a_token_that_expires_for_many_is_renewed_once_for_all(many, api):
    before = many.report().logins["many"]
    api.expire()
    many.until_polled(times=2)
    # Triggerers on the same host share it.
    assert many.report().logins["many"] == before + 1
    many.check_all()
