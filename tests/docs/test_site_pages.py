"""The site has every page once, in an order that somebody has chosen, and each link leads to a page of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.docs_links import check_site
from scripts.docs_site import (
    EXAMPLES,
    LICENSE,
    SiteError,
    change_links,
    find_pages,
    list_versions,
    load_project,
    load_sections,
    locate,
)


def test_every_page_stands_once_in_the_order_of_the_site():
    ordered = [page for _, pages in load_sections() for page in pages]
    assert len(ordered) == len(set(ordered))
    # The README is the home page, and the catalogue leads to the pages of vendors.
    others = {page for page in find_pages() if not page.startswith("docs/profiles/")} - {"README.md"}
    listed = set(ordered) - {EXAMPLES, LICENSE, "docs/profiles/README.md", "docs/site/api.rst"}
    assert others - listed == set(), "add the page to docs/site/nav.toml"
    assert listed - others == set(), "docs/site/nav.toml names pages that don't exist"


@pytest.mark.parametrize(
    ("page", "link", "changed"),
    [
        ("README.md", "docs/guides/ui.md", "guides/ui.md"),
        ("README.md", "docs/guides/scale.md#what-a-waiting-job-costs", "guides/scale.md#what-a-waiting-job-costs"),
        ("README.md", "example_dags/failing_job.py", "example_dags.md#failing_jobpy"),
        ("README.md", "NOTICE", "license.md#notice"),
        ("docs/guides/ui.md", "../../README.md#install", "../index.md#install"),
        ("docs/guides/ui.md", "../images/jobs.png", "../images/jobs.png"),
        ("docs/guides/ui.md", "waiting.md", "waiting.md"),
        ("docs/profiles/dbt.md", "README.md", "index.md"),
        ("docs/cookbook.md", "profiles/README.md", "profiles/index.md"),
        ("CONTRIBUTING.md", "docs/guides/own_kinds.md", "guides/own_kinds.md"),
        ("CONTRIBUTING.md", "https://example.com/docs/x.md", "https://example.com/docs/x.md"),
        ("CONTRIBUTING.md", "#set-up", "#set-up"),
    ],
)
def test_a_link_leads_to_where_its_target_stands_on_the_site(page, link, changed):
    assert change_links(f"See [this]({link}).\n", page) == f"See [this]({changed}).\n"


def test_links_in_code_stay_as_they_are():
    text = "```text\n[a](b.md)\n```\n\n~~~\n```\n[a](b.md)\n~~~\n"
    assert change_links(text, "README.md") == text


@pytest.mark.parametrize("link", ["docs/guides/absent.md", "absent.toml", "docs/../../elsewhere.md"])
def test_a_link_that_leads_nowhere_stops_the_build(link):
    with pytest.raises(SiteError, match=link.rpartition("/")[2]):
        change_links(f"[this]({link})", "README.md")


def test_a_file_that_the_site_lacks_is_shown_by_the_code_host():
    address = f"{load_project()['urls']['Source']}/blob/main/pyproject.toml"
    assert change_links("[this](../pyproject.toml#L1)", "docs/cookbook.md") == f"[this]({address}#L1)"


def test_a_page_of_the_root_stands_at_the_root():
    assert locate("CHANGELOG.md") == "changelog.md"


def write_site(folder: Path, body: str) -> Path:
    """Write a site of two pages."""
    folder.mkdir()
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>")
    (folder / "other.html").write_text("<html><body><h2 id='here'>Here</h2></body></html>")
    return folder


def test_good_links_are_no_problem_and_those_to_elsewhere_are_listed(tmp_path):
    body = """<a href="other.html#here">a</a> <a href="#top" id="top">b</a> <a href="https://example.com/x?y#z">c</a>
    <img src="data:image/png;base64,AA=="> <script src="../versions.js"></script>"""
    assert check_site(write_site(tmp_path / "dev", body)) == ([], ["https://example.com/x?y#z"])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="absent.html">a</a>', "absent.html, which doesn't exist"),
        ('<a href="other.html#there">a</a>', "no such anchor"),
        ('<a href="#there">a</a>', "no such anchor"),
        ('<img src="absent.png">', "absent.png, which doesn't exist"),
        ('<img src="https://example.com/a.png">', "loads https://example.com/a.png from elsewhere"),
        ('<script src="//cdn.example.com/a.js"></script>', "loads //cdn.example.com/a.js from elsewhere"),
        ('<link rel="stylesheet" href="https://example.com/a.css">', "from elsewhere"),
        ('<a href="https://">a</a>', "isn't an address"),
        ('<a href="javascript:alert(1)">a</a>', "isn't an address"),
    ],
)
def test_a_bad_link_is_a_problem(tmp_path, body, problem):
    (found,), _ = check_site(write_site(tmp_path / "dev", body))
    assert found.startswith("index.html ")
    assert problem in found


@pytest.mark.parametrize(
    ("names", "listed", "stable"),
    [
        (["dev"], ["dev"], None),
        (["dev", "0.9.0", "0.10.0"], ["dev", "0.10.0", "0.9.0"], "0.10.0"),
        (["0.1.0", "0.2.0rc1"], ["0.2.0rc1", "0.1.0"], "0.1.0"),
        # A folder that another tool has put beside the versions.
        (["dev", "latest"], ["dev"], None),
    ],
)
def test_the_start_page_leads_to_the_newest_release(tmp_path, names, listed, stable):
    for name in names:
        write_site(tmp_path / name, "")
    list_versions(tmp_path)
    text = (tmp_path / "versions.js").read_text().removeprefix("window.DOCS_VERSIONS = ").removesuffix(";\n")
    written = json.loads(text)
    assert [version["name"] for version in written["versions"]] == listed
    assert written["versions"][0]["pages"] == ["index.html", "other.html"]
    assert written["stable"] == stable
    assert f"url={stable or 'dev'}/index.html" in (tmp_path / "index.html").read_text()
