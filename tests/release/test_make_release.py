"""``make release``: in a copy of the repository, so that its commits, tags and versions can be changed."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.release import SECTION

ROOT = Path(__file__).parents[2]
VERSION = "7.8.9"
TODAY = dt.datetime.now(dt.UTC).date()
AUTHOR = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *AUTHOR, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def set_version(folder: Path, version: str) -> None:
    """Write a version and its changelog, as somebody does who prepares a release."""
    replace(folder / "pyproject.toml", '\nversion = "', f'\nversion = "{version}" # was "')
    replace(folder / "airflow_provider_asyncapi/__init__.py", '__version__ = "', f'__version__ = "{version}"\n_WAS = "')
    text = (folder / "CHANGELOG.md").read_text()
    first = SECTION.search(text)
    assert first
    section = f"## {version} - {TODAY}\n\n### Fixed\n\n- A fault.\n\n"
    (folder / "CHANGELOG.md").write_text(text[: first.start()] + section + text[first.start() :])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree as the only commit of a repository, with all that a release needs."""
    folder = tmp_path_factory.mktemp("prepared") / "clone"
    folder.mkdir()
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    set_version(folder, VERSION)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Release")
    return folder


@pytest.fixture
def clone(prepared: Path, tmp_path: Path) -> Path:
    """A clone of that repository for one test, with an ``origin`` of its own."""
    for name in ("origin", "clone"):
        git(tmp_path, "clone", "--quiet", *(["--bare"] if name == "origin" else []), str(prepared), name)
    git(tmp_path / "clone", "remote", "set-url", "origin", str(tmp_path / "origin"))
    for setting in ("user.name=Somebody", "user.email=somebody@example.com", "tag.gpgsign=false"):
        git(tmp_path / "clone", "config", *setting.split("="))
    return tmp_path / "clone"


def release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    command = [sys.executable, "-m", "scripts.release", *arguments]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_a_dry_run_builds_the_same_bytes_twice_and_leaves_everything_as_it_was(clone: Path) -> None:
    before = git(clone, "for-each-ref"), git(clone.parent / "origin", "for-each-ref")
    done = release(clone, VERSION)
    assert done.returncode == 0, done.stderr
    assert "This was a dry run." in done.stdout
    names = [f"airflow_provider_asyncapi-{VERSION}{ending}" for ending in ("-py3-none-any.whl", ".tar.gz")]
    assert sorted(file.name for file in (clone / "dist").iterdir()) == ["SHA256SUMS", *names]
    expected = [f"{hashlib.sha256((clone / 'dist' / name).read_bytes()).hexdigest()}  {name}" for name in names]
    assert (clone / "dist/SHA256SUMS").read_text().splitlines() == expected
    assert (git(clone, "for-each-ref"), git(clone.parent / "origin", "for-each-ref")) == before


def test_publishing_pushes_the_tag_of_the_commit_once(clone: Path) -> None:
    done = release(clone, VERSION, "--publish")
    assert done.returncode == 0, done.stderr
    origin = clone.parent / "origin"
    assert git(origin, "rev-parse", f"v{VERSION}^{{commit}}") == git(clone, "rev-parse", "HEAD")
    assert git(origin, "cat-file", "-t", f"v{VERSION}").strip() == "tag"
    # The release workflow runs the same checks on the tag, of which it has a detached HEAD.
    git(clone, "checkout", "--quiet", f"v{VERSION}")
    again = release(clone, VERSION)
    assert again.returncode == 0, again.stderr


def leave_a_file(clone: Path) -> None:
    (clone / "notes.txt").write_text("to do")


def commit(clone: Path) -> None:
    git(clone, "commit", "--quiet", "--all", "--message", "Another change")


def commit_on_a_branch(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "-b", "topic")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Not merged")


def tag_another_commit(clone: Path) -> None:
    git(clone, "tag", f"v{VERSION}")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Later")


def release_a_newer_version(clone: Path) -> None:
    git(clone, "tag", "v7.8.10")


def forget_the_version_of_the_package(clone: Path) -> None:
    replace(clone / "airflow_provider_asyncapi/__init__.py", VERSION, "7.8.8")
    commit(clone)


def forget_the_version_of_the_project(clone: Path) -> None:
    replace(clone / "pyproject.toml", VERSION, "7.8.8")
    commit(clone)


def leave_the_date_open(clone: Path) -> None:
    replace(clone / "CHANGELOG.md", str(TODAY), "unreleased")
    commit(clone)


def date_it_in_the_future(clone: Path) -> None:
    replace(clone / "CHANGELOG.md", str(TODAY), "2999-12-31")
    commit(clone)


def list_no_change(clone: Path) -> None:
    replace(clone / "CHANGELOG.md", "- A fault.", "")
    commit(clone)


def write_no_section(clone: Path) -> None:
    replace(clone / "CHANGELOG.md", f"## {VERSION} ", "## 7.8.8 ")
    commit(clone)


def break_the_description(clone: Path) -> None:
    replace(clone / "pyproject.toml", 'content-type = "text/markdown"', 'content-type = "text/x-rst"')
    commit(clone)


def ignore_a_file_of_the_package(clone: Path) -> None:
    # hatchling leaves out what is ignored, though git has it.
    (clone / ".gitignore").write_text((clone / ".gitignore").read_text() + "form_fields.json\n")
    commit(clone)


def build_by_the_clock(clone: Path) -> None:
    replace(
        clone / "scripts/add_example_dags.py",
        '        if version != "editable":\n',
        '        if version != "editable":\n            Path(self.root, "airflow_provider_asyncapi/built.py")'
        ".write_text(__import__('uuid').uuid4().hex)\n",
    )
    commit(clone)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (leave_a_file, "commit or remove them:\n?? notes.txt"),
        (commit_on_a_branch, "isn't on the branch main; merge it first"),
        (tag_another_commit, f"The tag v{VERSION} is at another commit"),
        (release_a_newer_version, "but 7.8.10 has been released; give a newer version"),
        (forget_the_version_of_the_package, f"is '7.8.8'; change it to '{VERSION}'"),
        (forget_the_version_of_the_project, f"pyproject.toml is '7.8.8'; change it to '{VERSION}'"),
        (leave_the_date_open, "as 'unreleased'; change it to the day of the release"),
        (date_it_in_the_future, "which is in the future"),
        (list_no_change, "lists no change"),
        (write_no_section, f"is that of 7.8.8; write '## {VERSION} - {TODAY}' above it"),
        (break_the_description, "twine check --strict:"),
        (ignore_a_file_of_the_package, "differ in airflow_provider_asyncapi/connections/form_fields.json"),
        (build_by_the_clock, "Two builds of one commit differ in airflow_provider_asyncapi-7.8.9"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_ends_the_release_with_what_to_do(clone: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(clone)
    done = release(clone, VERSION, "--publish")
    assert done.returncode == 1
    assert told in done.stderr
    assert not git(clone.parent / "origin", "tag", "--list")


@pytest.mark.parametrize("version", ["", "v7.8.9", "7.8.9.dev1", "7.08.9", "7.8.9+local", "newest"])
def test_a_version_has_its_normal_form(clone: Path, version: str) -> None:
    done = release(clone, version)
    assert done.returncode == 1
    assert f"VERSION is {version!r}" in done.stderr
