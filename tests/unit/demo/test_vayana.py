import io
import json
import zipfile

import pytest

LOGIN = {
    "handle": "demo@example.com",
    "password": "vayana-secret",
    "handleType": "email",
    "tokenDurationInMins": 360,
}
TASKS = "/enriched/tasks/v1.0"
JSON = "application/json"


def log_in(call, **changes):
    return call("POST", "/theodore/apis/v1/authtokens", json={**LOGIN, **changes})


@pytest.fixture
def options():
    return {"vayana_token_seconds": 30 * 24 * 3600}


@pytest.fixture
def headers(call):
    token = log_in(call, tokenDurationInMins=30 * 24 * 60).json()["data"]["token"]
    return {"X-FLYNN-N-USER-TOKEN": token, "X-FLYNN-N-ORG-ID": "org-1"}


@pytest.fixture
def submit(call, headers):
    def send(gstin="29AAACV1234A1Z5"):
        return call("POST", "/enriched/gstn/v1.0/einvoice/download", json={"gstin": gstin}, headers=headers)

    return send


@pytest.fixture
def fetch(call, headers):
    def send(path, accept=JSON):
        return call("GET", f"{TASKS}/{path}", headers={**headers, "Accept": accept})

    return send


def test_a_task_is_submitted_polled_and_fetched_in_all_three_ways(submit, fetch, clock):
    body = submit().json()
    assert (body["status"], body["error"]) == ("1", None)
    task = body["data"]["task-id"]
    running = fetch(f"status/{task}").json()["data"]
    assert running == {"id": task, "jobs": {"total": 5, "pending": 5}, "status": "processing"}
    clock.advance(3)
    assert fetch(f"status/{task}").json()["data"]["jobs"]["pending"] == 3
    clock.finish()
    done = fetch(f"status/{task}").json()["data"]
    assert done == {"id": task, "jobs": {"total": 5, "pending": 0}, "status": "completed", "pages": 3}
    assert len(fetch(f"result/{task}").json()["data"]) == 6
    pages = [fetch(f"result/{task}/page/{n}") for n in range(4)]
    assert [page.status_code for page in pages] == [200, 200, 200, 404]
    assert pages[0].json()["data"][0] == {"irn": "irn-0-1", "amount": 1}
    archive = zipfile.ZipFile(io.BytesIO(fetch(f"download/{task}", "application/zip").content))
    listed = json.loads(archive.read("result.json"))
    assert [entry["data"] for entry in listed["data"]] == ["file-1.json", "file-2.json", "file-3.json"]
    assert archive.getinfo("file-3.json").file_size > 200_000


def test_a_search_has_the_other_documented_status_body(call, headers, fetch, clock):
    answer = call("GET", "/enriched/gstn/v3.0/search-taxpayers-from-pan/AAACV1234A", headers=headers)
    task = answer.json()["data"]["task-id"]
    assert fetch(f"status/{task}").json()["data"]["task"]["status"] == "processing"
    clock.finish()
    assert fetch(f"status/{task}").json()["data"]["task"]["status"] == "completed"


def test_a_failed_task_has_no_result(submit, fetch, clock):
    task = submit("FAIL1").json()["data"]["task-id"]
    clock.finish()
    assert fetch(f"status/{task}").json()["data"]["status"] == "failed"
    answer = fetch(f"result/{task}")
    assert (answer.status_code, answer.json()["error"]["args"]["task-status"]) == (400, "failed")


def test_a_partial_task_completes_with_an_error_in_its_archive(submit, fetch, clock):
    task = submit("PARTIAL1").json()["data"]["task-id"]
    clock.finish()
    assert fetch(f"status/{task}").json()["data"]["status"] == "completed"
    archive = zipfile.ZipFile(io.BytesIO(fetch(f"download/{task}", "application/zip").content))
    entries = json.loads(archive.read("result.json"))["data"]
    assert [entry["status"] for entry in entries] == ["1", "0", "1"]
    assert "file-2.json" not in archive.namelist()


def test_a_task_may_have_no_data(submit, fetch, clock):
    task = submit("EMPTY1").json()["data"]["task-id"]
    clock.finish()
    assert fetch(f"status/{task}").json()["data"]["pages"] == 0
    assert fetch(f"result/{task}").json()["data"] == []
    assert fetch(f"result/{task}/page/0").status_code == 404


def test_a_bad_identifier_is_a_200_with_an_error_inside(submit):
    answer = submit("BAD")
    assert (answer.status_code, answer.json()["status"]) == (200, "0")
    assert answer.json()["error"]["message"] == "err-invalid-identifier"


@pytest.mark.parametrize("changes", [{"password": "x"}, {"handle": "x"}])
def test_a_wrong_login_is_refused(call, changes):
    assert log_in(call, **changes).status_code == 401


@pytest.mark.parametrize("changes", [{"handleType": "phone"}, {"tokenDurationInMins": "long"}])
def test_a_login_it_cannot_read_is_refused(call, changes):
    assert log_in(call, **changes).status_code == 400


def test_the_eleventh_token_is_refused_until_one_expires(call, clock):
    assert [log_in(call, tokenDurationInMins=1).status_code for _ in range(10)] == [200] * 10
    refused = log_in(call)
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, "err-too-many-tokens")
    clock.advance(60)
    assert log_in(call).status_code == 200


def test_a_token_expires_with_a_403_of_its_own_name(call, headers, clock):
    data = log_in(call, tokenDurationInMins=1).json()["data"]
    assert data["expiry"] == int((clock.now + 60) * 1000)
    clock.advance(60)
    answer = call("GET", TASKS + "/status/x", headers={**headers, "X-FLYNN-N-USER-TOKEN": data["token"]})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "err-expired-token")


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"X-FLYNN-N-USER-TOKEN": None}, 401, "err-invalid-token"),
        ({"X-FLYNN-N-USER-TOKEN": "x"}, 401, "err-invalid-token"),
        ({"X-FLYNN-N-ORG-ID": None}, 400, "err-missing-header"),
        ({"X-FLYNN-N-ORG-ID": "org-2"}, 403, "err-forbidden-organisation"),
    ],
)
def test_missing_or_wrong_headers_are_refused(call, headers, changes, status, message):
    answer = call("GET", TASKS + "/status/x", headers={**headers, **changes})
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("status", "*/*"),
        ("status", "application/zip"),
        ("status", "application/json, text/plain"),
        ("download", "*/*"),
        ("download", JSON),
    ],
)
def test_status_and_download_have_one_accept_each(submit, fetch, path, accept):
    task = submit().json()["data"]["task-id"]
    assert fetch(f"{path}/{task}", accept).status_code == 406


@pytest.mark.parametrize("path", ["download/{}", "result/{}", "result/{}/page/0"])
def test_an_unfinished_task_has_an_invalid_status(submit, fetch, path):
    task = submit().json()["data"]["task-id"]
    answer = fetch(path.format(task), "application/zip" if "download" in path else JSON)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "err-invalid-task-status")


def test_an_unknown_task_is_404_and_so_is_one_after_seven_days(submit, fetch, clock):
    answer = fetch("status/x")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "err-resource-not-found",
            "type": "ResourceNotFound",
            "args": {"task-id": "x"},
        }
    }
    task = submit().json()["data"]["task-id"]
    clock.advance(7 * 24 * 3600 + 1)
    assert fetch(f"status/{task}").status_code == 404


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [("text/plain", "x", 415), (JSON, "{", 400), (JSON, "{}", 400)],
)
def test_a_body_it_cannot_use_is_refused(call, headers, content_type, body, status):
    sent = {**headers, "Content-Type": content_type}
    answer = call("POST", "/enriched/gstn/v1.0/einvoice/download", data=body, headers=sent)
    assert answer.status_code == status


def test_a_wrong_method_is_refused(call, headers):
    assert call("GET", "/enriched/gstn/v1.0/einvoice/download", headers=headers).status_code == 405
