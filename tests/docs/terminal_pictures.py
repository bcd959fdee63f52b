"""
Draw the transcripts of the guide to the command line as pictures of a terminal.

``python -m tests.docs.terminal_pictures`` draws all of them anew; a test compares them with the transcripts, which
another test compares with what the commands print.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from tests.docs.snippets import ROOT, snippets

#: The pictures by file, and the beginning of the command whose transcript each shows.
PICTURES = {
    "explore.svg": "airflow asyncapi explore",
    "try.svg": "airflow asyncapi try",
}
FOLDER = ROOT / "docs" / "images"
_COLUMNS = 104
#: Without the fonts that rich would have a browser load.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(command: str) -> str:
    """Return the picture of the transcript that begins with a command, as SVG."""
    (transcript,) = (
        each.text for each in snippets("console") if each.key == "transcript" and each.text.startswith(f"$ {command} ")
    )
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, color_system="truecolor")
    for line in transcript.splitlines():
        console.print(Text(line, overflow="fold"))
    svg = console.export_svg(title=command, code_format=_FORMAT, unique_id="terminal")
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def main() -> None:
    """Draw all pictures anew."""
    for name, command in PICTURES.items():
        (FOLDER / name).write_text(draw(command), encoding="utf-8")


if __name__ == "__main__":
    main()
