"""Archives for tests."""

from __future__ import annotations

import io
import zipfile

#: One member, `a.csv`, encrypted as APPNOTE.TXT, section 6.1 says, which the standard library can only undo.
ENCRYPTED = (
    "504b0304140001000000000021007b07970a140000000800000005000000612e637376a6f4f0071b7b13c5555be5ee5953e9"
    "907b27ef5f504b01021400140001000000000021007b07970a14000000080000000500000000000000000000000000000000"
    "00612e637376504b0506000000000100010033000000370000000000"
)


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    """Make an archive of (name or info, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return buffer.getvalue()
