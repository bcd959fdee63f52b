import pytest

AUTH = {"Authorization": "Bearer celigo-token"}


def run(call, flow, **kwargs):
    return call("POST", f"/v1/flows/{flow}/run", headers=AUTH, **kwargs)


def job(call, job_id="job0001"):
    return call("GET", f"/v1/jobs/{job_id}", headers=AUTH).json()


def test_a_flow_runs_from_queued_to_completed(call, clock):
    answer = run(call, "orders", json={"export": {"startDate": "2026-01-01T00:00:00Z"}})
    assert (answer.status_code, answer.json()) == (201, {"_jobId": "job0001"})
    seen = []
    for _ in range(3):
        seen.append(job(call))
        clock.advance(3)
    assert [record["status"] for record in seen] == ["queued", "running", "completed"]
    assert [record["percentComplete"] for record in seen] == [0, 50, 100]
    assert [record["doneExporting"] for record in seen] == [False, True, True]
    assert (seen[1]["numPagesProcessed"], seen[1]["numPagesGenerated"]) == (5, 10)
    assert (seen[2]["numSuccess"], seen[2]["numError"], seen[2]["_flowId"]) == (10, 0, "orders")
    assert seen[2]["endedAt"].endswith("Z")


@pytest.mark.parametrize(
    ("flow", "status", "success", "errors"),
    [("partial", "completed", 8, 2), ("broken", "failed", 9, 1), ("empty", "completed", 0, 0)],
)
def test_the_flow_chooses_the_outcome(call, clock, flow, status, success, errors):
    run(call, flow)
    clock.finish()
    record = job(call)
    assert (record["status"], record["numSuccess"], record["numError"]) == (status, success, errors)


def test_a_flaky_flow_retries_on_its_way(call, clock):
    run(call, "flaky")
    clock.advance(4)
    assert job(call)["status"] == "retrying"
    clock.finish()
    assert job(call)["status"] == "completed"


def test_a_stuck_flow_never_ends(call, clock):
    run(call, "stuck")
    clock.advance(1e6)
    assert job(call)["status"] == "running"


def test_a_running_job_can_be_canceled_once(call, clock):
    run(call, "orders")
    clock.advance(2)
    assert call("PUT", "/v1/jobs/job0001/cancel", headers=AUTH).json()["status"] == "canceled"
    clock.finish()
    assert job(call)["status"] == "canceled"
    again = call("PUT", "/v1/jobs/job0001/cancel", headers=AUTH)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "job_not_cancelable")


def test_a_disabled_flow_does_not_run(call):
    assert call("GET", "/v1/flows/disabled", headers=AUTH).json()["disabled"] is True
    answer = run(call, "disabled")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "flow_disabled")


def test_a_clone_has_the_outcome_of_its_original(call, clock):
    answer = call("POST", "/v1/flows/broken/clone", headers=AUTH)
    assert answer.status_code == 201
    run(call, answer.json()[0]["_id"])
    clock.finish()
    assert job(call)["status"] == "failed"


def test_errors_go_on_at_the_next_page_url(call):
    first = call("GET", "/v1/flows/partial/import1/errors", headers=AUTH).json()
    second = call("GET", first["nextPageURL"], headers=AUTH).json()
    assert [error["errorId"] for error in first["errors"] + second["errors"]] == ["e-1", "e-2"]
    assert "nextPageURL" not in second
    assert call("GET", "/v1/flows/partial/export1/errors", headers=AUTH).json() == {"errors": []}
    assert call("GET", "/v1/flows/partial/other/errors", headers=AUTH).status_code == 404


def test_a_list_goes_on_at_the_link_header(call):
    for flow in ("orders", "partial", "orders", "orders", "orders"):
        run(call, flow)
    ids, url = [], "/v1/jobs?_flowId=orders&status=queued"
    while url:
        answer = call("GET", url, headers=AUTH)
        ids.append([record["_id"] for record in answer.json()])
        url = answer.links.get("next", {}).get("url")
    assert ids == [["job0001", "job0003", "job0004"], ["job0005"]]


@pytest.mark.parametrize("options", [{"rate_limit_every": 5}])
def test_every_fifth_request_is_limited(server, call):
    answers = [call("GET", "/v1/flows/orders", headers=AUTH) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429] * 2
    assert answers[4].headers["Retry-After"] == "1"
    assert answers[4].json()["errors"][0]["code"] == "rate_limited"
    assert server.count("GET", "/v1", 429) == 2


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}])
def test_missing_or_wrong_credentials_are_refused(call, headers):
    answer = call("POST", "/v1/flows/orders/run", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "unauthorized")


def test_unknown_ids_are_404_and_wrong_methods_405(call):
    assert run(call, "unknown").json()["errors"][0]["code"] == "not_found"
    assert call("GET", "/v1/jobs/unknown", headers=AUTH).status_code == 404
    assert call("GET", "/v1/flows/orders/run", headers=AUTH).status_code == 405


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", "x", 415),
        ("application/json", "{", 400),
        ("application/json", '{"export": {"startDate": 1}}', 400),
    ],
)
def test_a_body_it_cannot_use_is_refused(call, content_type, body, status):
    sent = {**AUTH, "Content-Type": content_type}
    assert call("POST", "/v1/flows/orders/run", data=body, headers=sent).status_code == status
