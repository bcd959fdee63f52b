import pytest
from lxml import etree

NAMES = {"uws": "http://www.ivoa.net/xml/UWS/v1.0", "xlink": "http://www.w3.org/1999/xlink"}
JOB = "/standard/uws/u-1"


def find(answer, path):
    return etree.fromstring(answer.content).xpath(f"string({path})", namespaces=NAMES)


def phase(call):
    return find(call("GET", JOB), "uws:phase")


def submit(call, **form):
    return call("POST", "/standard/uws", data=form)


def test_a_job_waits_until_it_is_told_to_run(call, clock):
    answer = submit(call, outcome="ok")
    assert (answer.status_code, answer.headers["Location"]) == (303, JOB)
    clock.finish()
    assert phase(call) == "PENDING"
    assert call("POST", JOB + "/phase", data={"PHASE": "RUN"}).status_code == 303
    assert phase(call) == "QUEUED"
    clock.advance(3)
    running = call("GET", JOB)
    assert (find(running, "uws:phase"), find(running, "uws:jobInfo/uws:percentDone")) == ("EXECUTING", "50")
    clock.finish()
    done = call("GET", JOB)
    assert find(done, "uws:phase") == "COMPLETED"
    href = find(done, "uws:results/uws:result/@xlink:href")
    assert call("GET", href).text.startswith("id,name")
    assert call("GET", JOB + "/phase").text == "COMPLETED"


def test_a_job_may_be_started_by_its_submit_and_answer_201(call):
    answer = submit(call, PHASE="RUN", create="201")
    assert (answer.status_code, answer.headers["Location"]) == (201, JOB)
    assert phase(call) == "QUEUED"


def test_a_failed_job_has_an_error_summary_and_no_result(call, clock):
    submit(call, outcome="fail", PHASE="RUN")
    clock.finish()
    answer = call("GET", JOB)
    assert find(answer, "uws:phase") == "ERROR"
    assert find(answer, "uws:errorSummary/uws:message") == "The source is locked."
    assert call("GET", JOB + "/results/rows").status_code == 400


def test_a_job_can_be_aborted_but_not_run_twice(call):
    submit(call, PHASE="RUN")
    assert call("POST", JOB + "/phase", data={"PHASE": "RUN"}).status_code == 400
    assert call("POST", JOB + "/phase", data={"PHASE": "ABORT"}).status_code == 303
    assert phase(call) == "ABORTED"


def test_a_deleted_job_is_no_longer_listed(call):
    submit(call)
    assert find(call("GET", "/standard/uws"), "uws:jobref/uws:phase") == "PENDING"
    assert call("DELETE", JOB).headers["Location"] == "/standard/uws"
    assert call("GET", JOB).status_code == 404
    assert find(call("GET", "/standard/uws"), "uws:jobref") == ""


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [({"json": {}}, 415), ({"data": {"outcome": "x"}}, 400), ({"data": {"PHASE": "ABORT"}}, 400)],
)
def test_a_form_it_cannot_use_is_refused(call, kwargs, status):
    assert call("POST", "/standard/uws", **kwargs).status_code == status


def test_a_wrong_method_is_refused(call):
    assert call("PUT", "/standard/uws").status_code == 405
