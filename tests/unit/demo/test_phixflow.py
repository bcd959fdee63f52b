import pytest

AUTH = {"Authorization": "Bearer phix-token"}
ACTION = "/phixflow/api/1/action/Demo%20App/"


def trigger(call, flow, **kwargs):
    return call("POST", f"{ACTION}{flow}/trigger", headers=AUTH, **kwargs)


def process(call, process_id="77"):
    return call("GET", f"/phixflow/api/1/process/{process_id}", headers=AUTH)


def test_a_flow_is_triggered_and_polled(call, clock):
    assert trigger(call, "Daily%20Report", json={"day": "2026-01-01"}).json() == {"processId": "77"}
    assert process(call).json()["status"] == "Running"
    clock.finish()
    body = process(call).json()
    assert body["status"] == "Success"
    assert body["output"]["records"][0] == {"id": 1, "status": "ok", "error": None}


def test_version_10_has_no_application_in_the_path(call):
    answer = call("POST", "/phixflow/api/1/action/My%20API/trigger", headers=AUTH)
    assert answer.json() == {"processId": "77"}


def test_a_fast_flow_answers_with_its_result(call):
    assert len(trigger(call, "Fast%20Report").json()["records"]) == 4


def test_a_long_timeout_answers_with_the_result_too(call):
    assert "records" in trigger(call, "Daily%20Report", params={"timeout": 6000}).json()
    assert trigger(call, "Broken%20Report", params={"timeout": 6000}).status_code == 500


def test_an_error_in_the_flow_fails_the_process(call, clock):
    trigger(call, "Broken%20Report")
    clock.finish()
    body = process(call).json()
    assert body["status"] == "Fail"
    assert "locked" in body["message"]


def test_records_fail_one_by_one(call, clock):
    trigger(call, "Partial%20Report")
    clock.finish()
    body = process(call).json()
    assert body["status"] == "Success"
    assert [record["status"] for record in body["output"]["records"]] == ["ok", "ok", "failed", "ok"]


def test_a_flow_may_have_no_data_or_never_end(call, clock):
    trigger(call, "Empty%20Report")
    trigger(call, "Stuck%20Report")
    clock.advance(1e6)
    assert process(call, "77").json()["output"] == {"records": []}
    assert process(call, "78").json()["status"] == "Running"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}])
def test_missing_or_wrong_credentials_are_refused(call, headers):
    assert call("POST", ACTION + "My%20API/trigger", headers=headers).status_code == 401
    assert call("GET", "/phixflow/api/1/process/77", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("flow", "status"),
    [("My%2FAPI", 400), ("My+API", 404), ("Unknown", 404), ("Disabled%20Report", 409)],
)
def test_a_name_it_cannot_use_is_refused(call, flow, status):
    answer = trigger(call, flow)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [
        ({"data": "a=1"}, 415),
        ({"data": "{", "headers": {**AUTH, "Content-Type": "application/json"}}, 400),
        ({"params": {"timeout": "soon"}}, 400),
        ({"params": {"timeout": "0"}}, 400),
    ],
)
def test_a_request_it_cannot_read_is_refused(call, kwargs, status):
    kwargs = {"headers": AUTH, **kwargs}
    assert call("POST", ACTION + "My%20API/trigger", **kwargs).status_code == status


def test_an_unknown_process_is_404_and_a_wrong_method_405(call):
    assert process(call, "1").status_code == 404
    assert call("GET", ACTION + "My%20API/trigger", headers=AUTH).status_code == 405
