"""
Build the documentation's site: ``python -m scripts.docs_site [--version NAME] [--out FOLDER]``.

Each version is a folder of its own below ``--out``, which is kept when another version is built: a release adds one.
``versions.js`` beside these folders lists them, and the pages of all versions load it, so that the pages of an old
version know the newer ones. Nothing on a page needs a server or a network.

Sphinx wants all pages in one folder. They are gathered from where people read them on a code host (README.md, docs/,
CHANGELOG.md, …), and their links are changed to where the pages stand on the site.
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from scripts.docs_links import check_site

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "docs" / "site"
OUT = ROOT / "build" / "site"
#: The version that is built from a working tree.
DEVELOPMENT = "dev"
#: Pages that are made of files which aren't Markdown.
EXAMPLES, LICENSE = "example_dags", "LICENSE"
#: A link to another file of the repository, with its anchor.
_LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:|#)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^ *(```|~~~)")


class SiteError(Exception):
    """A page, a link or the order of pages is wrong; the message says which, and what to change."""


def load_sections() -> list[tuple[str, list[str]]]:
    """Return the titles of the site's sections, and the pages of each, as paths below the repository's root."""
    nav = tomllib.loads((SITE / "nav.toml").read_text(encoding="utf-8"))
    return [(section["title"], section["pages"]) for section in nav["section"]]


def load_project() -> dict[str, Any]:
    """Return the table ``[project]`` of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def find_pages() -> list[str]:
    """Return the Markdown files that are pages of the site, as paths below the repository's root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def locate(path: str) -> str:
    """
    Return the path of a file of the repository on the site, with an anchor if the file is a part of a page.

    A file that the site doesn't have is on the code host: then it is that address.

    :param path: the file below the repository's root.
    """
    if path == "README.md":
        return "index.md"
    if path == "docs/profiles/README.md":
        return "profiles/index.md"
    if path in (LICENSE, "NOTICE"):
        return f"license.md#{path.lower()}"
    if path == EXAMPLES:
        return f"{EXAMPLES}.md"
    if path.startswith(f"{EXAMPLES}/"):
        return f"{EXAMPLES}.md#{Path(path).name.replace('.', '')}"
    if path.startswith("docs/site/"):
        return path.removeprefix("docs/site/")
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if re.fullmatch(r"\w+\.md", path):
        return path.lower()
    return f"{load_project()['urls']['Source']}/blob/main/{path}"


def change_links(text: str, path: str) -> str:
    """
    Return the text of a page, with links to files of the repository changed to paths of the site.

    :param path: the page below the repository's root.
    :raises SiteError: if a link leads to no file.
    """
    here = posixpath.dirname(locate(path))

    def change(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
        if not (ROOT / target).exists():
            raise SiteError(f"{path} links to {match['path']}, which doesn't exist")
        place, _, part = locate(target).partition("#")
        if place.startswith("https://"):
            return place + (match["anchor"] or "")
        return posixpath.relpath(place, here or ".") + (match["anchor"] or (f"#{part}" if part else ""))

    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        found = _FENCE.match(line)
        if found and fence in ("", found[1]):
            fence = "" if fence else found[1]
        lines.append(line if fence else _LINK.sub(change, line))
    return "".join(lines)


def gather(folder: Path) -> None:
    """Write all pages of the site into a folder, as Sphinx reads them."""
    for path in find_pages():
        target = folder / locate(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(change_links((ROOT / path).read_text(encoding="utf-8"), path), encoding="utf-8")
    # Pictures, and files to download.
    for files in ("images", "monitoring"):
        shutil.copytree(ROOT / "docs" / files, folder / files)
    for page in SITE.glob("*.rst"):
        shutil.copy(page, folder)
    (folder / f"{EXAMPLES}.md").write_text("\n".join(describe_examples()), encoding="utf-8")
    (folder / "license.md").write_text("\n".join(describe_license()), encoding="utf-8")
    with (folder / "index.md").open("a", encoding="utf-8") as home:
        for title, pages in load_sections():
            home.write(_list_pages([locate(page) for page in pages], f":caption: {title}\n"))
    vendors = [Path(path).name for path in find_pages() if path.startswith("docs/profiles/")]
    with (folder / "profiles" / "index.md").open("a", encoding="utf-8") as catalogue:
        catalogue.write(_list_pages([name for name in vendors if name != "README.md"]))


def _list_pages(files: list[str], options: str = "") -> str:
    names = "\n".join(file.partition("#")[0].rpartition(".")[0] for file in files)
    return f"\n```{{toctree}}\n:hidden:\n{options}\n{names}\n```\n"


def describe_examples() -> Iterator[str]:
    """Return the page of the example DAGs."""
    yield "# Example DAGs\n\nThe DAGs that `make demo` runs, in the folder `example_dags` of the repository.\n"
    for file in sorted((ROOT / EXAMPLES).glob("*.py")):
        yield f"## {file.name}\n\n```python\n{file.read_text(encoding='utf-8').strip()}\n```\n"


def describe_license() -> Iterator[str]:
    """Return the page with the licence and the notice."""
    yield "# Licence\n"
    for name in (LICENSE, "NOTICE"):
        yield f"## {name.capitalize()}\n\n```text\n{(ROOT / name).read_text(encoding='utf-8').rstrip()}\n```\n"


def build(version: str, out: Path) -> Path:
    """
    Build a version of the site, and return its folder.

    :param version: its name: a release such as ``1.2.0``, or ``dev``.
    :param out: the folder of all versions.
    :raises SiteError: if the name is neither, a page has a broken link, or Sphinx warns of something.
    """
    if version != DEVELOPMENT and not _is_version(version):
        raise SiteError(
            f"--version must be a version in its normal form, such as 1.2.0, or {DEVELOPMENT}, not {version!r}"
        )
    target = out / version
    with tempfile.TemporaryDirectory(prefix="docs-site-") as temporary:
        source, built = Path(temporary, "source"), Path(temporary, "html")
        gather(source)
        command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
        command += ["--jobs", "auto", "--conf-dir", str(SITE), "--doctree-dir", str(Path(temporary, "doctrees"))]
        # Airflow, whose classes the docstrings are read with, writes its configuration there.
        env = {**os.environ, "DOCS_VERSION": version, "AIRFLOW_HOME": temporary}
        if subprocess.run([*command, str(source), str(built)], check=False, env=env).returncode:
            raise SiteError(f"Sphinx found mistakes in the pages: see above; {source.name}/index.md is README.md")
        (built / ".buildinfo").unlink()
        problems, external = check_site(built)
        if problems:
            raise SiteError("\n".join(problems))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(built, target)
    (out / f"external-links-{version}.txt").write_text("\n".join([*external, ""]), encoding="utf-8")
    list_versions(out)
    return target


def list_versions(out: Path) -> None:
    """Write the list of the versions in a folder, the newest first, and a page that leads to the newest release."""
    found = [path.parent.name for path in out.glob("*/index.html")]
    names = sorted(filter(_is_version, found), key=Version, reverse=True)
    if DEVELOPMENT in found:
        names.insert(0, DEVELOPMENT)
    releases = [name for name in names if name != DEVELOPMENT and not Version(name).is_prerelease]
    stable = releases[0] if releases else None
    start = stable or names[0]
    versions = [
        {
            "name": name,
            "pages": sorted(path.relative_to(out / name).as_posix() for path in (out / name).rglob("*.html")),
        }
        for name in names
    ]
    text = json.dumps({"stable": stable, "versions": versions}, indent=1)
    (out / "versions.js").write_text(f"window.DOCS_VERSIONS = {text};\n", encoding="utf-8")
    (out / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>airflow-provider-asyncapi</title>'
        f'<link rel="icon" href="{start}/_static/icon.svg">'
        f'<meta http-equiv="refresh" content="0; url={start}/index.html">'
        f'<a href="{start}/index.html">Documentation</a></html>\n',
        encoding="utf-8",
    )


def _is_version(name: str) -> bool:
    """Return whether a name is a version in its normal form, which is safe as the name of a folder, too."""
    try:
        return str(Version(name)) == name
    except InvalidVersion:
        return False


def main() -> int:
    """Build one version as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the documentation's site.")
    parser.add_argument("--version", default=DEVELOPMENT, help="name of the version (default %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of all versions (default build/site)")
    given = parser.parse_args()
    try:
        target = build(given.version, given.out)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The site is in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
