"""The page of each vendor has a connection and a short DAG that work, and the catalogue is that of the profiles."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.connections.profiles import find_profile_files, load_profile
from airflow_provider_asyncapi.core.profiles.variables import list_variables
from airflow_provider_asyncapi.core.templates import find_variables, walk_strings
from tests.docs.running import Run, load
from tests.docs.snippets import ROOT, Snippet, snippets
from tests.unit.vendors.catalog import BUCKET, PAGES, VENDORS, make_connection, page_snippets, write_files
from tests.unit.vendors.vendor import VendorServer

pytestmark = pytest.mark.usefixtures("hurry", "apart")

DAGS = [each for each in snippets("python") if each.key == "vendor"]
#: What each page tells about a profile.
SECTIONS = ("Connection", "Variables", "What it does", "Limits", "Sources")


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
@pytest.mark.parametrize("snippet", DAGS, ids=str)
def test_the_dag_of_a_page_works_with_its_connection(
    snippet: Snippet, deferred: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = VENDORS[snippet.value]
    bucket = tmp_path / "bucket"
    write_files(vendor, bucket)
    (dag,) = load(snippet.dag_file.replace(BUCKET, f"{bucket.as_uri()}/"), tmp_path)
    with VendorServer(vendor) as server:
        connection: dict[str, Any] = make_connection(vendor, server)
        (conn_id,) = set(re.findall(r'asyncapi_conn_id="(\w+)"', snippet.text))
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        run = Run(dag, deferred=deferred).all()
        assert set(run.states.values()) == {"success"}
        assert server.refused == []
        assert [job.is_over for job in server.jobs.values()] == [True]
    assert any(bucket.rglob("*")) == (BUCKET in snippet.text)


@pytest.mark.parametrize("page", sorted({vendor.page for vendor in VENDORS.values()}))
def test_a_page_shows_its_connections_as_json_to_copy(page: str) -> None:
    # Another test makes a connection of each block of JSON in the documentation.
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    blocks = [each.text for each in page_snippets(page, "json")]
    names = [json.loads(each)["extra"]["profile"] for each in blocks if '"conn_type"' in each]
    assert names
    assert text.count('"conn_type"') == len(names)
    assert {VENDORS[name].page for name in names} == {page}


@pytest.mark.parametrize("snippet", DAGS, ids=str)
def test_the_dag_of_a_page_is_short(snippet: Snippet) -> None:
    assert len(snippet.text.splitlines()) <= 15


def test_each_vendor_has_a_page_with_a_dag() -> None:
    # A profile that extends another one of its page may leave the DAG to it.
    assert {VENDORS[each.value].page for each in DAGS} == {vendor.page for vendor in VENDORS.values()}
    for name, vendor in VENDORS.items():
        text = (PAGES / f"{vendor.page}.md").read_text(encoding="utf-8")
        assert f"`{name}`" in text
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert set(SECTIONS) <= set(headings)
        assert f"Checked on {load_profile(name)['about']['checked']}" in text


def load_catalog() -> Any:
    spec = importlib.util.spec_from_file_location("catalog", ROOT / "scripts" / "catalog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["catalog"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_of_variables_of_each_page_is_what_the_profiles_say() -> None:
    catalog = load_catalog()
    pages = catalog.find_vendor_pages()
    assert len(pages) == len({vendor.page for vendor in VENDORS.values()})
    for page in pages:
        assert page.read_text(encoding="utf-8") == catalog.render_page(page), "run python -m scripts.catalog"


#: Variables that the package or a response provides, and the names of the user's credentials.
PROVIDED = {"identifier", "identifiers", "result_identifier", "idempotency_key", "callback_url"}
PROVIDED |= {"cursor", "page", "offset", "limit"}
CREDENTIALS = {"connection.login", "connection.password"}


def find_captures(described: Any) -> set[str]:
    """Return the names of the variables that the requests of a profile capture."""
    if isinstance(described, list):
        return {name for each in described for name in find_captures(each)}
    if not isinstance(described, dict):
        return set()
    return set(described.get("capture", {})) | {name for each in described.values() for name in find_captures(each)}


@pytest.mark.parametrize("name", find_profile_files())
def test_a_profile_describes_each_variable_that_it_needs_and_no_other(name: str) -> None:
    profile = load_profile(name)
    requests = [profile[table] for table in ("connection", "submit", "status", "fetch", "cancel")]
    names = {each.removeprefix("+") for text in walk_strings(requests) for each in find_variables(text)}
    # A GraphQL query has other braces.
    named = {each for each in names if re.fullmatch(r"\w+(\.\w+)?", each)}
    described = {variable.name for variable in list_variables(profile)}
    assert described == named - find_captures(requests) - PROVIDED - CREDENTIALS


def test_the_catalogue_is_what_the_profiles_say() -> None:
    module = load_catalog()
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    assert text == module.render(), "run python -m scripts.catalog"
    assert all(f"`{name}`" in text for name in find_profile_files())
    pages = {file.stem for file in PAGES.glob("*.md")} - {"README"}
    assert pages == set(re.findall(r"\]\((\w+)\.md\)", text))
