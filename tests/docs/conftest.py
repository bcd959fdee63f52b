"""Let the tests of the documentation find their servers."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    # Tests are imported by file here: what they share is found beside them.
    sys.path.insert(0, HERE)
