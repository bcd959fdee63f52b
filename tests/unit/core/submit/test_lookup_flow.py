from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    MissingValueError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.flow_runner import BASE, START, make_lost_error, make_response
from tests.unit.core.submit.tries import CREATED, FIELDS, LOOKED_UP, KilledError, Tries, killed

NONE = make_response({"jobs": []})


# Looking the job up


def test_a_lost_answer_is_looked_up_and_not_sent_again():
    tries = Tries(LOOKED_UP)
    handle = tries.run(make_lost_error(), NONE, make_response({"jobs": [{"id": "j-9"}]}))
    assert (handle.identifier, handle.submitted_at, handle.urls) == ("j-9", START, {"submit": f"{BASE}/jobs"})
    assert handle.variables == {"jobs[0].id": "j-9"}
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1", "GET /jobs?key=key-1"]
    assert "the connection broke; looking the job up" in tries.log_text
    assert "The lookup has found job j-9" in tries.log_text
    assert tries.run().identifier == "j-9"


def test_a_job_that_can_be_looked_up_is_never_sent_again_though_the_request_names_the_key():
    tries = Tries({**LOOKED_UP, "json": {"reference": "{idempotency_key}"}})
    assert tries.run(make_lost_error(), make_response({"jobs": [{"id": "j-9"}]})).identifier == "j-9"
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1"]


def test_a_lost_answer_whose_job_is_not_found_is_left_to_a_later_try():
    tries = Tries(LOOKED_UP)
    with pytest.raises(UnavailableError, match="the lookup finds no job; a later try may submit it"):
        tries.run(make_response({}, 502), NONE, make_response(None, 404), make_response({"jobs": [{"id": None}]}))
    assert tries.run(NONE, NONE, NONE, CREATED).identifier == "j-1"
    assert [path for path in tries.paths if path.startswith("POST")] == ["POST /jobs"] * 2
    assert "it wasn't submitted" in tries.log_text


def test_a_try_that_was_killed_is_looked_up_first():
    tries = Tries(LOOKED_UP)
    with pytest.raises(KilledError):
        tries.run(killed)
    handle = tries.run(
        make_response({"jobs": [{"id": "j-9", "n": 4}]}), lookup={**LOOKED_UP["lookup"], "capture": {"n": "jobs[0].n"}}
    )
    assert handle.variables["n"] == 4
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1"]


def test_a_look_up_finds_the_identifier_where_the_submit_says_it_unless_told_otherwise():
    tries = Tries({**FIELDS, "lookup": {"endpoint": "/jobs/by-key/{idempotency_key}"}})
    assert tries.run(make_lost_error(), make_response({"id": 5})).identifier == 5


def test_a_look_up_that_is_refused_or_cannot_be_read_says_so():
    with pytest.raises(RequestRejectedError, match=r"GET .* answered 403"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response({}, 403))
    with pytest.raises(MissingValueError, match=r"lookup: GET .* an HTML page"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response(b"<html>"))
    with pytest.raises(MissingValueError, match=r"lookup: .* not an object"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response({"jobs": [{"id": {}}]}))


@pytest.mark.parametrize("given", ["/jobs", {"endpoint": "/jobs", "rules": []}, {"identifier": "["}])
def test_a_malformed_look_up_is_refused(given):
    with pytest.raises(ConfigurationError, match="lookup"):
        SubmitPlan.parse({**FIELDS, "lookup": given})
