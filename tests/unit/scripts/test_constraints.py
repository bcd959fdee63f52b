"""The packages of the environments are pinned with the hashes of their files, and without the address of an index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "constraints").glob("*.txt"))
PINNED = re.compile(r"[\w.-]+==[^ ]+(?: ;[^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+")

pytestmark = pytest.mark.any_python


def select(file: Path, packages: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts/with-hashes", file]
    return subprocess.run(command, input=packages, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_each_package_is_pinned_with_hashes_and_without_an_address(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    lines = re.split(r"\n(?=\S)", text.rstrip("\n"))
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    assert file.with_suffix(".in").exists()


def test_packages_are_selected_with_their_hashes(tmp_path: Path) -> None:
    one, two = "a==1 ; python_version < '4' \\\n    --hash=sha256:aa\n", "a-b==2 \\\n    --hash=sha256:bb\n"
    file = tmp_path / "constraints.txt"
    file.write_text(one + two)
    assert select(file, "a\n").stdout == one
    assert select(file, "a-b==2\n").stdout == two


@pytest.mark.parametrize("package", ["c==1", "c", "a==2"])
def test_a_package_without_hashes_is_an_error(tmp_path: Path, package: str) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("a==1 \\\n    --hash=sha256:aa\n")
    done = select(file, f"a\n{package}\n")
    assert done.returncode == 1
    assert done.stderr == f"{file} lacks {package}\n"
