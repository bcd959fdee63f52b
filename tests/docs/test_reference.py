"""The documentation names every parameter, field and exception, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.connections.form import OTHER_KINDS, SHIPPED_FIELDS
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS, collect_extra_keys
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.docs.snippets import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")


def guide(name: str) -> str:
    """Return the text of a guide."""
    return (ROOT / f"docs/guides/{name}.md").read_text(encoding="utf-8")


def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_say():
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text == reference().render(), "run python -m scripts.reference"


def test_the_form_in_the_provider_info_is_what_the_kinds_of_authentication_declare():
    assert SHIPPED_FIELDS.read_text(encoding="utf-8") == reference().render_form_fields(), (
        "run python -m scripts.reference"
    )
    assert AUTH_KINDS.group == OTHER_KINDS


@pytest.mark.parametrize(
    "operator", [AsyncApiTriggerOperator, AsyncApiSensor, AsyncApiFetchOperator, AsyncApiJobOperator]
)
def test_every_parameter_is_documented_and_stands_on_the_page_of_all_parameters(operator):
    names = set(inspect.signature(operator).parameters) - {"kwargs"}
    assert set(re.findall(r":param (\w+):", operator.__doc__)) >= names
    tables = guide("parameters")
    assert {name for name in names if f"`{name}`" not in tables} == set()


def test_every_field_of_the_connection_stands_in_its_guide():
    section = guide("connection").partition("## All fields\n")[2].partition("\n## ")[0]
    assert {name for name in collect_extra_keys() | set(AUTH_KINDS) if f"`{name}`" not in section} == set()


def test_every_exception_stands_in_the_guide_to_errors():
    raised = {
        name
        for name, each in vars(exceptions).items()
        if inspect.isclass(each) and each.__module__ == exceptions.__name__ and issubclass(each, Exception)
    }
    table = guide("errors").partition("\n## ")[0]
    # The common class of those that aren't retried is for `except`, and is never raised itself.
    assert {name for name in raised - {"AsyncApiFailException"} if f"`{name}`" not in table} == set()


def test_every_message_among_the_troubles_is_one_of_the_package():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "airflow_provider_asyncapi").rglob("*.py"))
    # A message may be written on several lines.
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)
    symptoms = re.findall(r"^\| (.*?) \|", guide("troubleshooting"), re.MULTILINE)
    quoted = [each for symptom in symptoms for each in re.findall(r"`([^`]+ [^`]+)`|\*(which [^*]+)\*", symptom)]
    # Airflow's own answer, which the page explains.
    messages = {first or second for first, second in quoted} - {"Bad Request"}
    assert len(messages) > 8
    for message in messages:
        constant = max(re.split(r"\{\w+\}|\[…\]|…|: ", message), key=len).strip()
        assert constant in sources, message


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(README.splitlines()) <= 350
    linked = {path for path, _ in LINK.findall(README)}
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    # The catalogue leads to the pages of vendors.
    assert {page for page in pages if not page.startswith("docs/profiles/")} <= linked
    assert "docs/profiles/README.md" in linked


def test_contributing_names_files_and_folders_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = {each for each in re.findall(r"`([\w./]+)`", text) if re.search(r"/$|/.*\.(py|js|md)$", each)}
    assert len(paths) > 30
    package = ROOT / "airflow_provider_asyncapi"
    roots = (ROOT, package, package / "core")
    assert {each for each in paths if not any((root / each).exists() for root in roots)} == set()


@pytest.mark.parametrize(
    "file", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda f: f.name
)
def test_no_link_is_broken(file):
    text = file.read_text(encoding="utf-8")
    for path, anchor in LINK.findall(text):
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), f"{file.name} links to {path}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{file.name} links to {path}#{anchor}"


def anchors(text: str) -> set[str]:
    """Return the anchors of all headings, as the usual code hosts make them."""
    found = set()
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    ):
        kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
        found.add(kept.replace(" ", "-"))
    return found
