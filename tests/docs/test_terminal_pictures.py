"""The pictures of a terminal show what the commands print."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.docs.snippets import ROOT
from tests.docs.terminal_pictures import FOLDER, PICTURES, draw


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_transcript(name: str) -> None:
    picture = (FOLDER / name).read_text(encoding="utf-8")
    assert picture == draw(PICTURES[name]), "run python -m tests.docs.terminal_pictures"
    etree.fromstring(picture.encode())
    # A page that shows it loads nothing from elsewhere.
    assert "url(http" not in picture


def test_each_picture_is_shown() -> None:
    pages = "".join(file.read_text(encoding="utf-8") for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [name for name in PICTURES if f"images/{name})" not in pages] == []
