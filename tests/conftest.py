"""
Keep the tests apart from the machine they run on.

Airflow reads its settings when it is first imported, and requests and aiohttp read proxies and certificates
from the environment; so all of this is put right here, before any test module is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

# What a developer's shell may hold, and what would change how a test ends.
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_CERTIFICATES = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}

_home = tempfile.mkdtemp(prefix="asyncapi-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)

for _name in list(os.environ):
    if _name.startswith("AIRFLOW_") or _name.upper() in _PROXIES | _CERTIFICATES:
        del os.environ[_name]

os.environ.update(
    {
        "AIRFLOW_HOME": _home,
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NETRC": os.devnull,
        "TZ": "UTC",
    }
)

# How long an example takes is up to what else the machine does.
settings.register_profile("any pace", settings.default, deadline=None)
settings.load_profile("any pace")
