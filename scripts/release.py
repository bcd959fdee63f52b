"""
Check that a version can be released, build it twice, and tag it: ``python -m scripts.release VERSION [--publish]``.

Without ``--publish`` nothing leaves the machine: the archives and their checksums are in ``dist/``. With it, the tag is
made and pushed, and the release workflow, which runs the same checks and the same build, attests and publishes what it
has built.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

PACKAGE = "airflow_provider_asyncapi"
MAIN = "main"
#: A section of the changelog, such as ``## 0.1.0 - 2026-12-24``.
SECTION = re.compile(r"^## (?P<version>\S+) - (?P<date>\S+)$", re.MULTILINE)


class ReleaseError(Exception):
    """A reason not to release, with what to do about it."""


def run_git(*arguments: str) -> str:
    """Run git, and return what it prints."""
    done = subprocess.run(["git", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def has_ref(ref: str) -> bool:
    """Return whether the repository has a branch, a tag or a commit."""
    command = ["git", "rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def parse_version(text: str) -> Version:
    """Return the version that is asked for, which has to be in the form that tags and file names have."""
    try:
        version = Version(text)
    except InvalidVersion:
        raise ReleaseError(f"VERSION is {text!r}, which isn't a version; give one such as 0.2.0 or 0.2.0rc1") from None
    if str(version) != text or version.local or version.dev is not None:
        raise ReleaseError(f"VERSION is {text!r}; give a public version in its normal form, such as {version.public}")
    return version


def check_tree() -> None:
    """Raise ReleaseError if what would be built isn't a commit of the main branch."""
    changes = run_git("status", "--porcelain")
    if changes:
        raise ReleaseError(f"The tree has changes that aren't committed; commit or remove them:\n{changes}")
    mains = [ref for ref in (MAIN, f"origin/{MAIN}") if has_ref(ref)]
    for ref in mains:
        ancestor = subprocess.run(["git", "merge-base", "--is-ancestor", "HEAD", ref], check=False)
        if ancestor.returncode == 0:
            return
    raise ReleaseError(f"HEAD ({run_git('rev-parse', '--short', 'HEAD')}) isn't on the branch {MAIN}; merge it first")


def check_tag(version: Version) -> None:
    """Raise ReleaseError if the version's tag is at another commit, or if a newer version has been released."""
    tag = f"v{version}"
    if has_ref(tag) and run_git("rev-parse", f"{tag}^{{commit}}") != run_git("rev-parse", "HEAD"):
        raise ReleaseError(f"The tag {tag} is at another commit; a version is released once, so take the next one")
    released = []
    for name in run_git("tag", "--list", "v[0-9]*").split():
        # Other tags may begin like versions, such as v1-old.
        with contextlib.suppress(InvalidVersion):
            released.append(Version(name[1:]))
    # Of the same minor version: an older one may still get fixes.
    newer = [one for one in released if one > version and one.release[:2] == version.release[:2]]
    if newer:
        raise ReleaseError(f"VERSION is {version}, but {max(newer)} has been released; give a newer version")


def check_versions(version: Version) -> None:
    """Raise ReleaseError if the project states another version."""
    stated = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    if stated != str(version):
        raise ReleaseError(f"version in pyproject.toml is {stated!r}; change it to {str(version)!r}")
    file = Path(PACKAGE, "__init__.py")
    match = re.search(r'^__version__ = "(.+)"$', file.read_text(), re.MULTILINE)
    stated = match[1] if match else None
    if stated != str(version):
        raise ReleaseError(f"__version__ in {file} is {stated!r}; change it to {str(version)!r}")


def check_changelog(version: Version, today: dt.date) -> None:
    """Raise ReleaseError if the changelog doesn't begin with a dated section of this version."""
    text = Path("CHANGELOG.md").read_text()
    first = SECTION.search(text)
    if first is None or first["version"] != str(version):
        found = f"that of {first['version']}" if first else "none"
        raise ReleaseError(f"The first section of CHANGELOG.md is {found}; write '## {version} - {today}' above it")
    try:
        date = dt.date.fromisoformat(first["date"])
    except ValueError:
        raise ReleaseError(
            f"CHANGELOG.md dates {version} as {first['date']!r}; change it to the day of the release, such as {today}"
        ) from None
    # A day later there may be today here.
    if date > today + dt.timedelta(days=1):
        raise ReleaseError(f"CHANGELOG.md dates {version} as {date}, which is in the future; today is {today}")
    following = SECTION.search(text, first.end())
    section = text[first.end() : following.start() if following else None]
    if not re.search(r"^- \S", section, re.MULTILINE):
        raise ReleaseError(f"The section of {version} in CHANGELOG.md lists no change; say what users get")


def export_commit(folder: Path) -> None:
    """Write the files of HEAD, and nothing else, to a new folder."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    run_git("archive", "--format=tar", f"--output={archive}", "HEAD")
    unpack(archive, folder)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive that this script has made."""
    with tarfile.open(archive) as tar:
        # extractall() has an argument for it since Python 3.11.4.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)


def build(source: Path, out: Path, *, umask: int, targets: tuple[str, ...] = ("sdist", "wheel")) -> dict[str, bytes]:
    """Build the sdist and the wheel of a folder, and return their contents by name."""
    epoch = run_git("log", "-1", "--format=%ct")
    options = [option for target in targets for option in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out), *options]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(
        command, check=False, cwd=source, env=environment, umask=umask, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ReleaseError(f"The build failed:\n{done.stderr or done.stdout}")
    return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


def find_differences(first: dict[str, bytes], second: dict[str, bytes]) -> Iterator[str]:
    """Return the names of the files that two builds don't have in common, byte by byte."""
    return (name for name in sorted(first | second) if first.get(name) != second.get(name))


def build_reproducibly(out: Path) -> None:
    """
    Build HEAD into a folder, and raise ReleaseError if another build gives other bytes.

    The second build is in another place, with another umask. The wheel is built once more, from the sdist, as somebody
    does who has only that.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_commit(folder / "first")
        export_commit(folder / "elsewhere")
        first = build(folder / "first", folder / "one", umask=0o022)
        second = build(folder / "elsewhere", folder / "two", umask=0o077)
        (sdist,) = (file for file in first if file.endswith(".tar.gz"))
        unpack(folder / "one" / sdist, folder / "unpacked")
        (unpacked,) = (folder / "unpacked").iterdir()
        third = build(unpacked, folder / "three", umask=0o022, targets=("wheel",))
        differences = {*find_differences(first, second), *find_differences({**first, **third}, first)}
        if differences:
            raise ReleaseError(f"Two builds of one commit differ in {', '.join(sorted(differences))}")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(folder / "one", out)


def list_shipped_files() -> set[str]:
    """Return the paths in a wheel of all that git has of the package, and of the example DAGs."""
    tracked = run_git("ls-files", "--", PACKAGE, "example_dags").splitlines()
    return {f"{PACKAGE}/{name}" if name.startswith("example_dags/") else name for name in tracked}


def check_archives(out: Path) -> None:
    """Raise ReleaseError if the wheel lacks a file or has one too many, or if a package index refuses the archives."""
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    differences = sorted(names ^ list_shipped_files())
    if differences:
        raise ReleaseError(f"{wheel.name} and git differ in {', '.join(differences)}")
    archives = [str(file) for file in sorted(out.iterdir())]
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *archives]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"twine check --strict:\n{done.stdout}{done.stderr}")


def write_checksums(out: Path) -> str:
    """Write SHA256SUMS beside the archives, and return it."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(out.iterdir())]
    (out / "SHA256SUMS").write_text("".join(lines))
    return "".join(lines)


def publish(version: Version) -> None:
    """Make the tag, unless it is there, and push it; the release workflow does the rest."""
    tag = f"v{version}"
    if not has_ref(tag):
        run_git("tag", "--annotate", tag, "--message", f"Version {version}")
    run_git("push", "origin", f"refs/tags/{tag}")


def main(arguments: list[str] | None = None) -> int:
    """Run all checks, build, and say what comes next."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version", help="the version to release, such as 0.2.0")
    parser.add_argument("--publish", action="store_true", help="make and push the tag")
    given = parser.parse_args(arguments)
    out = Path("dist")
    try:
        version = parse_version(given.version)
        check_tree()
        check_tag(version)
        check_versions(version)
        check_changelog(version, dt.datetime.now(dt.UTC).date())
        build_reproducibly(out)
        check_archives(out)
        print(f"{version} can be released. Two builds gave the same bytes:\n{write_checksums(out)}", flush=True)
        if given.publish:
            publish(version)
            print(f"Pushed the tag v{version}; the release workflow publishes the version.")
        else:
            print(
                f"This was a dry run. make release VERSION={version} PUBLISH=yes makes and pushes the tag v{version}."
            )
    except ReleaseError as error:
        print(f"Not released: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
