"""A kind of selector and an operator of rules that another package adds, from parsing the DAG to the last poll."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError, UnknownVariableError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.registry import SELECTOR_KINDS
from airflow_provider_asyncapi.core.selectors.syntax import SelectorKind, Source
from airflow_provider_asyncapi.core.status.rule_operators import OPERATORS, Operator
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.loopback import reply
from tests.unit.installed_kinds import install_kind
from tests.unit.transports.driving import START, make_api, run

RUNNING = b"state=running;done=10"
SENSOR: dict[str, Any] = {"job": "7", "endpoint": "/jobs/{identifier}", "poke_interval": 30}


class Pairs(SelectorKind):
    """Values of a text such as ``state=running;done=10``."""

    name = "pairs"
    summary = "a value of the pairs in the body or in a header"
    examples = ("pairs:state",)

    def __init__(self) -> None:
        self.read = 0

    def check(self, path: str) -> None:
        if not path.isidentifier():
            raise SelectorError(f"{path!r} isn't the name of a pair")

    def find(self, path, response, read_element):
        self.read += 1
        text = response.text if self.source is Source.BODY else response.headers["x-pairs"]
        return [dict(pair.split("=") for pair in text.split(";")).get(path)]


def parse_range(given: Any, where: str) -> tuple[float, float]:
    if not isinstance(given, list) or len(given) != 2:
        raise ConfigurationError(f"{where} needs two numbers, not {given!r}")
    return given[0], given[1]


def is_between(value: Any, operand: tuple[float, float], _ignore_case: bool) -> bool:
    number = as_number(value)
    return number is not None and operand[0] <= number <= operand[1]


BETWEEN = Operator("between", "two numbers", "the value is a number from one to the other", parse_range, is_between)


PAIRS = Pairs()


@pytest.fixture(autouse=True)
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pairs]:
    """Have packages installed that add both."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    PAIRS.read = 0
    with (
        install_kind(site, SELECTOR_KINDS, "pairs", f"{__name__}:PAIRS"),
        install_kind(site, OPERATORS, "between", f"{__name__}:BETWEEN"),
    ):
        yield PAIRS


def wait_for_job(driver: str, url: str, **given: Any) -> Any:
    api = make_api(url)
    return run(driver, api, wait(api, WaitPlan.parse({**SENSOR, **given}), WaitCheckpoint(JobHandle("7"), START)))


def test_a_wait_ends_by_what_an_added_kind_finds_and_reads_no_unchanged_answer_twice(driver, serve, pairs):
    server = serve(*[reply(RUNNING)] * 4, reply(b"state=done;done=100"))
    outcome = wait_for_job(driver, server.url, completion_key="pairs:state", completion_value="done")
    assert (outcome.result.outcome, outcome.result.status) == (Outcome.SUCCESS, "done")
    assert sum(isinstance(event, Polled) for event in outcome.events) == 5
    assert pairs.read == 2


def test_an_added_kind_takes_variables_and_suffixes(driver, serve):
    capture = {"hundreds": r"pairs:done regex:^(\d)"}
    selectors = {"completion_key": "pairs:{key}", "completion_value": "done", "capture": capture}
    server = serve(reply(b"state=done;done=100"))
    api = make_api(server.url)
    job = JobHandle("7", variables={"key": "state"})
    outcome = run(driver, api, wait(api, WaitPlan.parse({**SENSOR, **selectors}), WaitCheckpoint(job, START)))
    assert outcome.result.variables["hundreds"] == "1"


def test_a_kind_that_reads_headers_is_asked_about_each_answer(driver, serve, pairs, monkeypatch):
    monkeypatch.setattr(Pairs, "source", Source.HEADERS)
    running = reply(RUNNING, x_pairs="state=running")
    server = serve(running, running, reply(RUNNING, x_pairs="state=done"))
    outcome = wait_for_job(driver, server.url, completion_key="pairs:state", completion_value="done")
    assert outcome.result.outcome is Outcome.SUCCESS
    assert pairs.read == 3


def test_a_wait_ends_by_an_added_operator(driver, serve):
    server = serve(reply(RUNNING), reply(b"state=running;done=99"))
    outcome = wait_for_job(
        driver, server.url, rules=[{"selector": "pairs:done", "between": [90, 100], "outcome": "success"}]
    )
    assert outcome.result.outcome is Outcome.SUCCESS
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"completion_key": "pairs:a-b"}, "completion_key: malformed selector 'pairs:a-b': 'a-b' isn't the name of a"),
        ({"completion_key": "par:a"}, "'par:a': no kind of selector begins with 'par:'; known are .*, pairs:, and"),
        (
            {"rules": [{"selector": "pairs:a", "between": 3, "outcome": "success"}]},
            r"rules\[0\]: between needs two numbers, not 3",
        ),
        (
            {"rules": [{"selector": "pairs:a", "among": 3, "outcome": "success"}]},
            r"rules\[0\]: has to have a selector and one of .*, matches, between, and may have over",
        ),
    ],
)
def test_a_mistake_is_found_when_the_dag_is_parsed(given, message):
    with pytest.raises(ConfigurationError, match=message):
        AsyncApiSensor(task_id="wait", completion_value="done", **{**SENSOR, **given})


def test_a_variable_of_an_added_kind_that_nothing_sets_is_found_when_the_dag_is_parsed():
    with pytest.raises(UnknownVariableError, match=r"selector 'pairs:\{key\}': .*\{key\}"):
        AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifier="pairs:{key}")
