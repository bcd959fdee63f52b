import pytest

from demo.server.studio import BEHAVIOURS


@pytest.fixture
def submit(call):
    """Return what submits a job of six minutes, and returns its path."""

    def send(behaviour="steady", minutes=6):
        answer = call(
            "POST", "/studio/renders", json={"title": "<film>", "minutes": minutes, "behaviour": behaviour}
        ).json()
        return f"/studio/renders/{answer['render']['id']}"

    return send


@pytest.fixture
def status(call):
    return lambda path: call("GET", path).json()["render"]


def test_a_job_takes_its_own_minutes_and_then_has_a_film(submit, status, call, clock):
    path, other = submit(), submit(minutes=60)
    assert (status(path)["state"], call("GET", f"{path}/film").status_code) == ("QUEUED", 409)
    clock.advance(180)
    assert (status(path)["state"], status(path)["percent"]) == ("RENDERING", 50)
    clock.advance(180)
    assert (status(path)["state"], status(other)["percent"]) == ("FINISHED", 10)
    assert call("GET", f"{path}/film").json() == {"title": "<film>", "frames": 8640}


def test_a_job_fails_with_its_reason(submit, status, call, clock):
    path = submit("fails")
    clock.advance(360)
    assert status(path) == {
        "id": "render-1",
        "percent": 100,
        "state": "FAILED",
        "error": {"message": "No space left on the disk of renderer 3."},
    }
    assert call("GET", f"{path}/film").status_code == 409


def test_a_job_stalls_until_it_is_cancelled(submit, status, call, clock):
    path = submit("stalls")
    clock.advance(144)
    percents = [status(path)["percent"]]
    clock.advance(1e6)
    percents.append(status(path)["percent"])
    assert percents == [40, 40]
    assert [call("DELETE", path).status_code for _ in range(2)] == [204, 409]
    assert status(path)["state"] == "CANCELLED"


@pytest.mark.parametrize(("behaviour", "code", "pause"), [("busy", 429, "20"), ("unwell", 503, None)])
def test_two_of_three_requests_are_turned_down(submit, call, behaviour, code, pause):
    path = submit(behaviour)
    answers = [call("GET", path) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, code, code] * 2
    assert answers[1].headers.get("Retry-After") == pause


def test_the_status_is_in_another_field_or_a_word_that_nobody_knows(submit, status, clock):
    moved, odd = submit("moved"), submit("odd")
    clock.advance(180)
    assert status(moved) == {"id": "render-1", "percent": 50, "state_v2": "RENDERING"}
    assert status(odd)["state"] == "DEFRAGMENTING"
    clock.advance(180)
    assert status(odd)["state"] == "FINISHED"


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_job_has_a_page_for_people(submit, call, behaviour):
    page = call("GET", f"{submit(behaviour)}/page")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "&lt;film&gt; (render-1)" in page.text
    assert BEHAVIOURS[behaviour] in page.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "", "minutes": 1},
        {"title": "t", "minutes": 0},
        {"title": "t", "minutes": True},
        {"title": "t", "minutes": 601},
        {"title": "t", "minutes": "1"},
        {"title": "t", "minutes": 1, "behaviour": "lazy"},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(call, body):
    assert call("POST", "/studio/renders", json=body).status_code == 422


def test_there_is_no_job_that_nobody_submitted(call):
    assert call("GET", "/studio/renders/render-1").status_code == 404
