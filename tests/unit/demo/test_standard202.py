import pytest


def submit(call, **body):
    return call("POST", "/standard/jobs", json=body)


def test_a_job_is_accepted_polled_and_answers_with_its_result(call, clock):
    answer = submit(call)
    assert (answer.status_code, answer.text) == (202, "")
    assert answer.headers["Location"] == "/standard/jobs/j-1"
    assert answer.headers["Retry-After"] == "1"
    assert call("GET", "/standard/jobs/j-1").json()["status"] == "queued"
    clock.advance(3)
    running = call("GET", "/standard/jobs/j-1")
    assert (running.status_code, running.headers["Retry-After"]) == (202, "1")
    assert running.json() == {"id": "j-1", "status": "running", "percentComplete": 50}
    clock.finish()
    done = call("GET", "/standard/jobs/j-1")
    assert (done.status_code, done.json()["status"]) == (200, "succeeded")
    assert len(done.json()["result"]["rows"]) == 4


@pytest.mark.parametrize("where", ["json", "params"])
def test_a_finished_job_may_point_to_its_result(call, clock, where):
    call("POST", "/standard/jobs", **{"json": {}, where: {"finish": "303"}})
    clock.finish()
    answer = call("GET", "/standard/jobs/j-1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/standard/jobs/j-1/result")
    assert len(call("GET", answer.headers["Location"]).json()["rows"]) == 4


@pytest.mark.parametrize(("outcome", "status"), [("fail", 422), ("fail500", 500)])
def test_a_failed_job_is_a_problem(call, clock, outcome, status):
    submit(call, outcome=outcome)
    clock.finish()
    answer = call("GET", "/standard/jobs/j-1")
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["title"] == "Job failed"
    assert call("GET", "/standard/jobs/j-1/result").status_code == status


def test_a_job_may_fail_inside_a_200(call, clock):
    submit(call, outcome="fail200")
    clock.finish()
    answer = call("GET", "/standard/jobs/j-1")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["error"]["code"] == "locked"
    assert call("GET", "/standard/jobs/j-1/result").status_code == 422


def test_a_fast_job_answers_its_submit_and_a_stuck_one_never_ends(call, clock):
    assert submit(call, outcome="fast").json()["status"] == "succeeded"
    submit(call, outcome="stuck")
    clock.advance(1e6)
    assert call("GET", "/standard/jobs/j-2").status_code == 202


def test_a_job_may_have_no_data(call, clock):
    submit(call, outcome="empty")
    clock.finish()
    assert call("GET", "/standard/jobs/j-1/result").json() == {"rows": []}


def test_a_cancelled_job_is_gone(call):
    submit(call)
    assert call("DELETE", "/standard/jobs/j-1").status_code == 204
    assert call("GET", "/standard/jobs/j-1").status_code == 410


def test_a_finished_job_cannot_be_cancelled(call, clock):
    submit(call)
    clock.finish()
    assert call("DELETE", "/standard/jobs/j-1").status_code == 409


def test_an_unfinished_job_has_no_result(call):
    submit(call)
    assert call("GET", "/standard/jobs/j-1/result").status_code == 400


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", "x", 415),
        ("application/json", "{", 400),
        ("application/json", '{"outcome": "x"}', 400),
        ("application/json", '{"outcome": ["ok"]}', 400),
        ("application/json", '{"finish": "204"}', 400),
    ],
)
def test_a_body_it_cannot_use_is_a_problem(call, content_type, body, status):
    answer = call("POST", "/standard/jobs", data=body, headers={"Content-Type": content_type})
    assert answer.status_code == answer.json()["status"] == status


def test_an_unknown_job_is_404_and_a_wrong_method_405(call):
    assert call("GET", "/standard/jobs/j-9").json()["title"] == "No such job"
    assert call("PUT", "/standard/jobs/j-9").status_code == 405


def test_the_first_job_of_a_series_may_fail(call, clock):
    for series in ("a", "a", "b"):
        submit(call, outcome="fail_first", series=series)
    clock.finish()
    status = [call("GET", f"/standard/jobs/j-{number}").json()["status"] for number in (1, 2, 3)]
    assert status == ["failed", "succeeded", "failed"]
