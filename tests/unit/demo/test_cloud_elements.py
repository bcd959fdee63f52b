import csv

import pytest

AUTH = {"Authorization": "User user-secret, Element element-secret"}
ASYNC = {**AUTH, "Elements-Async-Request": "True"}
CALLBACK = {"Elements-Async-Callback-Url": "https://airflow.example.com/hook"}


def query(call, name, hub="crm"):
    return call("POST", f"/hubs/{hub}/bulk/query", params={"q": f"select * from {name}"}, headers=AUTH)


def get(call, path, **headers):
    return call("GET", path, headers={**AUTH, **headers})


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", {"name": "Ada"})])
def test_an_asynchronous_request_is_dispatched_as_an_event(server, call, method, body):
    answer = call(method, "/hubs/crm/contacts", json=body, headers={**ASYNC, **CALLBACK})
    assert answer.json() == {"eventId": 1028, "eventStatus": "dispatched"}
    event = server.cloud_elements.outbox[0]
    assert (event.event_id, event.callback_url) == (1028, "https://airflow.example.com/hook")
    assert event.response[-1]["name"] == ("Ada" if body else "Contact 6")


@pytest.mark.parametrize("options", [{"elements_callback_url": "https://airflow.example.com/set"}])
def test_the_callback_url_may_be_configured_in_the_account(server, call):
    assert call("GET", "/hubs/crm/contacts", headers=ASYNC).json()["eventStatus"] == "dispatched"
    assert server.cloud_elements.outbox[0].callback_url == "https://airflow.example.com/set"


def test_an_asynchronous_request_without_a_usable_callback_url_is_refused(server, call):
    answer = call("GET", "/hubs/crm/contacts", headers=ASYNC)
    assert answer.status_code == 400
    assert set(answer.json()) == {"requestId", "message", "providerMessage"}
    relative = {**ASYNC, "Elements-Async-Callback-Url": "/hook"}
    assert call("GET", "/hubs/crm/contacts", headers=relative).status_code == 400
    assert server.cloud_elements.outbox == []


def test_without_the_header_contacts_answer_at_once(call):
    assert len(get(call, "/hubs/crm/contacts").json()) == 6
    created = call("POST", "/hubs/crm/contacts", json={"name": "Ada"}, headers=AUTH)
    assert created.json() == {"id": 7, "name": "Ada"}


def test_a_bulk_query_is_started_polled_and_fetched_as_csv_or_json(call, clock):
    assert query(call, "contacts").json() == {"id": "1234", "status": "CREATED"}
    seen = []
    for seconds in (1, 2, 3, 0):
        body = get(call, "/hubs/crm/bulk/1234/status").json()
        seen.append((body["status"], body["recordsCount"]))
        clock.advance(seconds)
    assert seen == [("CREATED", 0), ("STARTED", 0), ("RUNNING", 3), ("COMPLETED", 6)]
    as_json = get(call, "/hubs/crm/bulk/1234/contacts", Accept="application/json").json()
    as_csv = get(call, "/hubs/crm/bulk/1234/contacts", Accept="text/csv")
    assert as_csv.headers["Content-Type"].startswith("text/csv")
    assert [row["note"] for row in csv.DictReader(as_csv.text.splitlines())] == [r["note"] for r in as_json]


def test_the_erp_hub_spells_the_status_differently(call, clock):
    query(call, "accounts", "erp")
    clock.finish()
    body = get(call, "/hubs/erp/bulk/1234/status").json()
    assert body["jobStatus"] == "COMPLETE"
    assert "status" not in body
    assert get(call, "/hubs/erp/bulk/1234/accounts", Accept="text/csv").status_code == 200


@pytest.mark.parametrize(("name", "word"), [("aborting", "ABORTED"), ("failing", "ERROR"), ("stuck", "RUNNING")])
def test_the_object_chooses_how_a_bulk_job_ends(call, clock, name, word):
    query(call, name)
    clock.advance(1e6)
    assert get(call, "/hubs/crm/bulk/1234/status").json()["status"] == word
    assert get(call, f"/hubs/crm/bulk/1234/{name}", Accept="text/csv").status_code == 400


def test_an_empty_object_completes_without_data(call, clock):
    query(call, "empty")
    clock.finish()
    body = get(call, "/hubs/crm/bulk/1234/status").json()
    assert (body["status"], body["recordsCount"]) == ("COMPLETED", 0)
    assert get(call, "/hubs/crm/bulk/1234/empty", Accept="application/json").json() == []
    assert get(call, "/hubs/crm/bulk/1234/empty", Accept="text/csv").text == "id,name,note\r\n"


def test_errors_go_on_while_there_is_a_next_page_token(call, clock):
    query(call, "partial")
    assert get(call, "/hubs/crm/bulk/1234/errors").json() == []
    clock.finish()
    assert get(call, "/hubs/crm/bulk/1234/status").json()["errorsCount"] == 3
    first = get(call, "/hubs/crm/bulk/1234/errors")
    token = first.headers["elements-next-page-token"]
    second = get(call, f"/hubs/crm/bulk/1234/errors?nextPage={token}")
    assert [error["row"] for error in first.json() + second.json()] == [1, 2, 3]
    assert "elements-next-page-token" not in second.headers
    assert get(call, "/hubs/crm/bulk/1234/errors?nextPage=x").status_code == 400


@pytest.mark.parametrize("path", ["/bulk/1234/cancel", "/hubs/crm/bulk/1234/cancel"])
def test_a_cancelled_job_is_pending_for_a_moment(call, clock, path):
    query(call, "contacts")
    clock.advance(2)
    assert call("PUT", path, headers=AUTH).json()["status"] == "CANCELLATION_PENDING"
    assert call("PUT", path, headers=AUTH).status_code == 200
    clock.advance(1)
    assert get(call, "/hubs/crm/bulk/1234/status").json()["status"] == "CANCELLED"


def test_a_finished_job_cannot_be_cancelled(call, clock):
    query(call, "contacts")
    clock.finish()
    assert call("PUT", "/bulk/1234/cancel", headers=AUTH).status_code == 409


@pytest.mark.parametrize("q", [None, "delete from contacts", "select * from no_such_object"])
def test_a_query_it_cannot_run_is_refused(call, q):
    answer = call("POST", "/hubs/crm/bulk/query", params={"q": q}, headers=AUTH)
    assert answer.status_code == 400
    assert answer.json()["providerMessage"]


@pytest.mark.parametrize("accept", ["*/*", "application/xml"])
def test_a_result_is_csv_or_json_only(call, clock, accept):
    query(call, "contacts")
    clock.finish()
    assert get(call, "/hubs/crm/bulk/1234/contacts", Accept=accept).status_code == 406


def test_a_result_is_not_there_before_the_job_is_completed(call):
    query(call, "contacts")
    assert get(call, "/hubs/crm/bulk/1234/contacts", Accept="text/csv").status_code == 400


def test_unknown_ids_hubs_and_objects_are_404_and_wrong_methods_405(call):
    query(call, "contacts")
    assert get(call, "/hubs/crm/bulk/1/status").status_code == 404
    assert get(call, "/hubs/erp/bulk/1234/status").status_code == 404
    assert get(call, "/hubs/crm/bulk/1234/accounts", Accept="text/csv").status_code == 404
    assert call("PUT", "/hubs/crm/bulk/query", headers=AUTH).status_code == 405


@pytest.mark.parametrize("value", [None, "User user-secret", "User user-secret, Element x", "Bearer user-secret"])
def test_missing_or_wrong_credentials_are_refused(call, value):
    answer = call("GET", "/hubs/crm/contacts", headers={"Authorization": value})
    assert (answer.status_code, "message" in answer.json()) == (401, True)


@pytest.mark.parametrize(("content_type", "status"), [("text/plain", 415), ("application/json", 400)])
def test_a_body_it_cannot_use_is_refused(call, content_type, status):
    sent = {**AUTH, "Content-Type": content_type}
    assert call("POST", "/hubs/crm/contacts", data="{", headers=sent).status_code == status
