"""What a package index and an installed package show."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import readme_renderer.markdown

from airflow_provider_asyncapi.get_provider_info import get_provider_info

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


class Links(HTMLParser):
    """Collects the addresses of links and pictures, and what a link within the page may lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append(values["src"])


@pytest.fixture(scope="module")
def metadata(unpacked: Path) -> Message:
    (file,) = unpacked.glob("*.dist-info/METADATA")
    return email.message_from_bytes(file.read_bytes())


@pytest.fixture(scope="module")
def description(metadata: Message) -> str:
    payload = metadata.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


@pytest.fixture(scope="module")
def page(description: str) -> Links:
    html = readme_renderer.markdown.render(description)
    assert html
    links = Links()
    links.feed(html)
    return links


def test_the_package_index_accepts_the_archives(archives: Path) -> None:
    files = [str(file) for file in archives.iterdir()]
    assert len(files) == 2
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_description_is_the_readme_but_for_its_links(description: str) -> None:
    readme = (ROOT / "README.md").read_text()
    link = re.compile(r"\]\([^)]*\)")
    assert link.sub("]()", description).strip() == link.sub("]()", readme).strip()
    assert FENCED.findall(description) == FENCED.findall(readme)
    assert "HFPR_" not in description


def find_local_files(addresses: list[str], host: str, prefix: str) -> Iterator[Path]:
    for address in addresses:
        parts = urlsplit(address)
        if parts.netloc == host and parts.path.startswith(prefix):
            yield ROOT / parts.path.removeprefix(prefix)


def test_links_and_pictures_of_the_description_lead_to_files_of_this_version(
    page: Links, project: dict[str, Any]
) -> None:
    # The headings link to themselves.
    addresses = [address for address in page.links + page.pictures if not address.startswith("#")]
    assert {urlsplit(address).scheme for address in addresses} == {"https"}
    repository, tag = urlsplit(project["urls"]["Source"]), f"v{project['version']}"
    files = list(find_local_files(page.links, repository.netloc, f"{repository.path}/blob/{tag}/"))
    pictures = list(find_local_files(page.pictures, "raw.githubusercontent.com", f"{repository.path}/{tag}/"))
    assert len(files) > 30
    assert len(pictures) == len(page.pictures) >= 3
    assert [str(file) for file in files + pictures if not file.exists()] == []
    # But for the repository as a whole, which README names to those who clone it.
    ours = [address for address in page.links if urlsplit(address).path.startswith(f"{repository.path}/")]
    assert len(ours) == len(files)


def test_the_metadata_has_the_addresses_of_the_project(metadata: Message, project: dict[str, Any]) -> None:
    shown = dict(value.split(", ", 1) for value in metadata.get_all("Project-URL", []))
    assert shown == project["urls"]
    assert {"Documentation", "Source", "Changelog", "Issues"} <= set(shown)
    # Airflow's page of providers links to it.
    addresses = {integration["external-doc-url"] for integration in get_provider_info()["integrations"]}
    assert addresses == {shown["Documentation"]}


def test_airflow_shows_the_documentation_of_an_installed_wheel(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import json\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "provider = ProvidersManager().providers['airflow-provider-asyncapi']\n"
        "print(json.dumps(provider.data['documentation-url']))"
    )
    assert run_with(unpacked, code, tmp_path) == get_provider_info()["integrations"][0]["external-doc-url"]


def run_with(unpacked: Path, code: str, home: Path) -> Any:
    """Return the JSON that code prints as its last line when it runs with the contents of the wheel."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "AIRFLOW_HOME": str(home)}
    environment["AIRFLOW__CORE__LOAD_EXAMPLES"] = "True"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_airflow_finds_and_parses_the_example_dags_of_an_installed_wheel(unpacked: Path, tmp_path: Path) -> None:
    originals = sorted(path.name for path in (ROOT / "example_dags").glob("*.py"))
    folder = unpacked / "airflow_provider_asyncapi" / "example_dags"
    assert sorted(path.name for path in folder.iterdir()) == originals
    code = (
        "import json\n"
        "from airflow.dag_processing.bundles.manager import DagBundlesManager\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bundles = {bundle.name: bundle for bundle in DagBundlesManager().get_all_dag_bundles()}\n"
        "folder = str(bundles['airflow-provider-asyncapi-example-dags'].path)\n"
        "bag = DagBag(folder)\n"
        "files = {dag.fileloc for dag in bag.dags.values()}\n"
        "print(json.dumps([folder, sorted(files), bag.import_errors]))"
    )
    found, files, errors = run_with(unpacked, code, tmp_path)
    assert Path(found) == folder
    assert [Path(file).name for file in files] == originals
    assert errors == {}
