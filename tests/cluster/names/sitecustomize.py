"""
Give Airflow's processes a name service that can fail: ``*.test`` is this machine, unless there is a file of that name.

Python imports a module of this name at its start, from the folder that PYTHONPATH names.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

_FAILING = Path(os.environ["FAILING_NAMES"])
_real = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(host, str) or not host.endswith(".test"):
        return _real(host, *args, **kwargs)
    if (_FAILING / host).exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _real("127.0.0.1", *args, **kwargs)


socket.getaddrinfo = _getaddrinfo
