import pytest

KEY = {"X-Api-Key": "flex-key"}
QUERY = 'query { result(id: "r-1") { rows { id name } } }'


def log_in(call):
    return call("POST", "/flex/auth/token", json={"client": "demo", "secret": "demo-secret"}).json()


def submit(call, report="sales"):
    return call("POST", "/flex/reports", json={"report": report}, headers=KEY)


def status(call, job="p-1"):
    """Poll twice, since the first poll answers 503."""
    call("GET", f"/flex/reports/{job}/status", headers=KEY)
    return call("GET", f"/flex/reports/{job}/status", headers=KEY)


@pytest.fixture
def result(call, clock):
    submit(call)
    clock.finish()
    return status(call).json()["result"]


def test_a_report_is_triggered_polled_and_fetched(call, clock):
    token = {"X-Access-Token": log_in(call)["access_token"]}
    answer = call("POST", "/flex/reports", json={"report": "sales"}, headers=token)
    assert answer.json() == {"process": {"identifier": "p-1", "status": "PENDING"}}
    assert call("POST", "/flex/reports/status", json={"id": "p-1"}, headers=token).status_code == 503
    seen = []
    for _ in range(3):
        seen.append(call("POST", "/flex/reports/status", json={"id": "p-1"}, headers=token).json())
        clock.advance(3)
    assert [body["process"]["status"] for body in seen] == ["PENDING", "RUNNING", "DONE"]
    assert [body["process"]["progress"] for body in seen] == [0, 50, 100]
    assert "result" not in seen[1]
    assert seen[2]["result"]["identifier"] == "r-1"
    assert seen[2]["result"]["pages"] == 3
    rows = call("POST", "/flex/graphql", json={"query": QUERY}, headers=token).json()["data"]["result"]["rows"]
    assert rows[0] == {"id": 1, "name": "row 1"}
    assert len(rows) == 6


def test_xml_in_gives_xml_out_if_it_is_accepted(call, clock):
    headers = {**KEY, "Content-Type": "application/xml", "Accept": "application/xml"}
    answer = call("POST", "/flex/reports", data="<job><report>sales</report></job>", headers=headers)
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert "<response><process><identifier>p-1</identifier><status>PENDING</status>" in answer.text
    clock.finish()
    for _ in range(2):
        answer = call("POST", "/flex/reports/status", data="<job><id>p-1</id></job>", headers=headers)
    assert "<status>DONE</status><progress>100</progress>" in answer.text
    answer = call("POST", "/flex/results", data="<job><id>r-1</id><page>3</page></job>", headers=headers)
    assert "<rows><id>5</id><name>row 5</name></rows>" in answer.text


def test_an_access_token_expires_and_a_refresh_token_works_once(call, clock):
    tokens = log_in(call)
    clock.advance(tokens["expires_in"])
    refused = call("POST", "/flex/reports", json={}, headers={"X-Access-Token": tokens["access_token"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "token_expired")
    renewed = call("POST", "/flex/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    assert renewed["refresh_token"] != tokens["refresh_token"]
    headers = {"X-Access-Token": renewed["access_token"]}
    assert call("POST", "/flex/reports", json={}, headers=headers).status_code == 200
    again = call("POST", "/flex/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert again.status_code == 401


def test_a_wrong_secret_gets_no_token(call):
    assert call("POST", "/flex/auth/token", json={"client": "demo", "secret": "x"}).status_code == 401


@pytest.mark.parametrize(
    "kwargs",
    [
        {"headers": KEY},
        {"params": {"api_key": "flex-key"}},
        {"auth": ("demo", "demo-secret")},
    ],
)
def test_other_kinds_of_authentication_are_as_good(call, kwargs):
    assert call("POST", "/flex/reports", json={}, **kwargs).status_code == 200


def test_the_access_token_may_be_a_bearer_token(call):
    headers = {"Authorization": f"Bearer {log_in(call)['access_token']}"}
    assert call("POST", "/flex/reports", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"headers": {"X-Access-Token": "x"}},
        {"headers": {"X-Api-Key": "x"}},
        {"headers": {"Authorization": "Basic !"}},
        {"params": {"api_key": "x"}},
        {"auth": ("demo", "x")},
    ],
)
def test_missing_or_wrong_credentials_are_refused(call, kwargs):
    assert call("POST", "/flex/reports", json={}, **kwargs).status_code == 401


@pytest.mark.parametrize(
    ("content_type", "body", "status_code"),
    [
        ("text/plain", "x", 415),
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/xml", "<a>", 400),
        ("application/json", '{"report": "unknown"}', 400),
    ],
)
def test_a_body_it_cannot_use_is_refused(call, content_type, body, status_code):
    answer = call("POST", "/flex/reports", data=body, headers={**KEY, "Content-Type": content_type})
    assert answer.status_code == status_code
    assert answer.json()["error"]["message"]


def test_an_unknown_process_is_404_and_a_wrong_method_405(call):
    assert call("GET", "/flex/reports/p-9/status", headers=KEY).status_code == 404
    assert call("GET", "/flex/reports", headers=KEY).status_code == 405


def test_a_rejected_report_is_a_200_with_an_error_inside(call):
    answer = submit(call, "rejected")
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "quota_exceeded")


def test_a_fast_report_is_done_in_the_answer_to_its_submit(call):
    body = submit(call, "fast").json()
    assert body["process"]["status"] == "DONE"
    assert body["result"]["identifier"] == "r-1"


def test_a_broken_report_fails(call, clock):
    submit(call, "broken")
    clock.finish()
    body = status(call).json()
    assert body["process"]["status"] == "FAILED"
    assert "result" not in body
    assert call("GET", "/flex/results/r-1/rows", headers=KEY).status_code == 404


def test_a_stuck_report_never_ends(call, clock):
    submit(call, "stuck")
    clock.advance(1e6)
    assert status(call).json()["process"]["status"] == "RUNNING"


def test_an_empty_report_has_a_first_page_without_rows(call, clock):
    submit(call, "empty")
    clock.finish()
    assert status(call).json()["result"]["pages"] == 0
    assert call("GET", "/flex/results/r-1/rows", headers=KEY).json()["rows"] == []
    assert call("GET", "/flex/results/r-1/scroll", headers=KEY).json() == {"rows": [], "next": None}


def test_a_result_is_not_there_before_its_job_is_done(call):
    submit(call)
    assert call("GET", "/flex/results/r-1/rows", headers=KEY).status_code == 400


@pytest.mark.parametrize("path", ["rows?page={}", "rows/{}"])
def test_static_pages_are_in_the_query_or_end_the_url(call, result, path):
    pages = [call("GET", "/flex/results/r-1/" + path.format(n), headers=KEY) for n in (1, 2, 3, 4)]
    assert [row["id"] for page in pages[:3] for row in page.json()["rows"]] == [1, 2, 3, 4, 5, 6]
    assert pages[3].status_code == 404
    assert call("GET", "/flex/results/r-1/" + path.format("x"), headers=KEY).status_code == 400


def test_dynamic_pages_follow_a_cursor(call, result):
    ids: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        body = call("GET", "/flex/results/r-1/scroll", params={"cursor": cursor}, headers=KEY).json()
        ids += [row["id"] for row in body["rows"]]
        cursor = body["next"]
    assert ids == [1, 2, 3, 4, 5, 6]
    assert call("GET", "/flex/results/r-1/scroll?cursor=c9", headers=KEY).status_code == 400


def test_slices_end_with_an_empty_one(call, result):
    slices = [
        call("GET", "/flex/results/r-1/slice", params={"offset": n, "limit": 4}, headers=KEY).json()["rows"]
        for n in (0, 4, 8)
    ]
    assert [len(rows) for rows in slices] == [4, 2, 0]
    assert call("GET", "/flex/results/r-1/slice?limit=0", headers=KEY).status_code == 400


def test_linked_pages_follow_the_link_header(call, result):
    ids, url = [], "/flex/results/r-1/linked"
    while url:
        answer = call("GET", url, headers=KEY)
        ids += [row["id"] for row in answer.json()["rows"]]
        url = answer.links.get("next", {}).get("url")
    assert ids == [1, 2, 3, 4, 5, 6]


def test_the_link_is_its_own_credentials_and_takes_no_others(call, result):
    answer = call("GET", result["link"])
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.text.startswith("id,name\n1,row 1\n")
    assert call("GET", result["link"], headers={"X-Access-Token": "any"}).status_code == 400
    assert call("GET", result["link"], headers=KEY).status_code == 400


def test_a_link_that_was_changed_or_has_expired_is_refused(call, result, clock):
    assert call("GET", result["link"] + "0").status_code == 403
    assert call("GET", result["link"].partition("?")[0]).status_code == 403
    clock.advance(3601)
    assert call("GET", result["link"]).json()["error"]["code"] == "expired_link"


def test_graphql_takes_variables_in_a_post_or_a_get(call, result):
    query = "query($id: ID!) { result(id: $id) { rows { name } } }"
    posted = call("POST", "/flex/graphql", json={"query": query, "variables": {"id": "r-1"}}, headers=KEY)
    assert posted.json()["data"]["result"]["rows"][0] == {"name": "row 1"}
    params = {"query": query, "variables": '{"id": "r-1"}'}
    assert call("GET", "/flex/graphql", params=params, headers=KEY).json() == posted.json()


@pytest.mark.parametrize(
    "query",
    [
        "query {",
        'query { result(id: "r-9") { rows { id } } }',
        'query { result(id: "r-1") { rows { price } } }',
    ],
)
def test_a_graphql_error_is_a_200_with_errors(call, result, query):
    answer = call("POST", "/flex/graphql", json={"query": query}, headers=KEY)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["message"]


def test_a_graphql_request_without_a_query_is_refused(call):
    assert call("POST", "/flex/graphql", json={}, headers=KEY).status_code == 400
    assert call("GET", "/flex/graphql?query=x&variables={", headers=KEY).status_code == 400
