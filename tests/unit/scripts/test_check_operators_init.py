"""How operators are written is checked by the rule of Airflow's maintainers."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
GOOD = '''
class Submit(JobTask, BaseOperator):
    template_fields: Sequence[str] = ("endpoint", "headers")

    def __init__(self, *, endpoint, headers=None, timeout=1, interval=2, **kwargs):
        """Make it."""
        super().__init__(timeout=timeout, **kwargs)
        self.endpoint = endpoint
        self.headers: dict | None = headers
        self.interval = interval  # type: ignore[assignment]  # part of the example
        self.validate()
'''


def load() -> ModuleType:
    path = ROOT / "scripts" / "check_operators_init.py"
    spec: Any = importlib.util.spec_from_file_location("check_operators_init", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_operators_init"] = module
    spec.loader.exec_module(module)
    return module


CHECK: Any = load()


def test_the_operators_of_the_package_are_found_and_assign_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    sources = [path.read_text() for path in (ROOT / "airflow_provider_asyncapi").rglob("*.py")]
    found = {operator.name for source in sources for operator in CHECK.find_operators(source)}
    assert {"AsyncApiTriggerOperator", "AsyncApiFetchOperator", "AsyncApiSensor"} <= found
    assert CHECK.main([]) == 0, capsys.readouterr().out


def test_plain_assignments_and_a_validation_at_the_end_pass() -> None:
    assert CHECK.check_source(GOOD, "good.py") == []


def test_a_class_that_is_no_operator_may_do_what_it_likes() -> None:
    assert CHECK.check_source(GOOD.replace("BaseOperator", "Base").replace("= endpoint", "= 1"), "other.py") == []


@pytest.mark.parametrize(
    ("line", "bad", "problem"),
    [
        (
            "self.endpoint = endpoint",
            "self.endpoint = endpoint or '/'",
            "logic in __init__: self.endpoint = endpoint or",
        ),
        ("self.endpoint = endpoint", "self.endpoint = self.path = endpoint", "the argument endpoint isn't assigned"),
        ("self.endpoint = endpoint", "self.url = endpoint", "logic in __init__: self.url = endpoint"),
        ("self.endpoint = endpoint", "vars(self).update(locals())", "logic in __init__: vars"),
        ("self.endpoint = endpoint", "pass", "the argument endpoint isn't assigned: self.endpoint = endpoint"),
        ("timeout=timeout, ", "", "the argument timeout isn't assigned"),
        ("timeout=timeout, ", "timeout=timeout + 1, ", r"logic in __init__: super\(\).__init__"),
        ("super().__init__(timeout=timeout, **kwargs)", "self.timeout = timeout", "doesn't call super"),
        ("self.validate()", "self.validate(endpoint)", "logic in __init__: self.validate"),
        ("self.validate()", "self.validate()\n        self.ready = True", "logic in __init__: self.validate"),
        ("self, *, endpoint", "self, endpoint", "have to be keyword-only"),
        ('("endpoint", "headers")', '("endpoint", "headers", "body")', "the template field body is no argument"),
        ('("endpoint", "headers")', "FIELDS", "template_fields has to be a tuple of names"),
    ],
)
def test_anything_else_is_named_with_its_class_and_line(line: str, bad: str, problem: str) -> None:
    assert line in GOOD
    problems = CHECK.check_source(GOOD.replace(line, bad, 1), "bad.py")
    assert any(each.startswith("bad.py:") and ": Submit: " in each for each in problems)
    assert re.search(problem, "\n".join(problems))


def test_template_fields_without_a_constructor_are_a_problem() -> None:
    source = 'class Submit(models.BaseOperator):\n    template_fields = ("endpoint",)\n'
    assert CHECK.check_source(source, "x.py") == [
        "x.py:1: Submit: has template_fields, and no __init__ that assigns them"
    ]


def test_a_bad_file_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(GOOD.replace("self.headers: dict | None = headers", "self.headers = dict(headers)"))
    assert CHECK.main([str(bad)]) == 1
    assert "logic in __init__: self.headers = dict(headers)" in capsys.readouterr().out
