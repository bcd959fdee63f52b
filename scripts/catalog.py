"""
Write docs/profiles/README.md, the catalogue of profiles, from the profiles: ``python scripts/catalog.py``.

With ``--check`` it only compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.connections.profiles import find_profile_files, load_profile

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "profiles" / "README.md"
HEAD = """\
# Catalogue of profiles

Generated from the profiles by `scripts/catalog.py`; to change this page, edit the profiles.

Set `profile="…"` on a task or in `async_api_job`; the page of a vendor has a connection and a DAG to copy. The
[guide](../guides/profiles.md) explains what a profile is, and how to change one or write your own.

| column | meaning |
| --- | --- |
| signs in by | the `auth` of the connection |
| cancel | whether a task that is killed or times out cancels the job |
| once | what finds a job whose submission was interrupted: an idempotency key, or a request that looks the job up |
| progress | whether polls show the progress of the job |
| waits | the seconds between polls, and the hours until the timeout, if the profile sets them |
| checked | the day on which the profile was compared with its sources |

In the profiles, `D` marks what the vendor documents, `C` what was seen in public client code, and `A` what is assumed.
"""
#: Categories in the order of the page; profiles without one come last.
CATEGORIES = ("AI", "Data platforms", "Data integration", "Business applications", "Web data", "Standards")
_OTHERS = "Others"
_HEADER = (
    "| profile | API | signs in by | cancel | once | progress | waits | checked |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def render() -> str:
    """Return the text of the catalogue."""
    profiles = {name: load_profile(name) for name in find_profile_files()}
    parts = [HEAD]
    for category in (*CATEGORIES, _OTHERS):
        rows = [
            _make_row(name, profile)
            for name, profile in profiles.items()
            if profile["about"].get("category", _OTHERS) == category
        ]
        if rows:
            parts.append(f"## {category}\n\n{_HEADER}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _make_row(name: str, profile: Mapping[str, Mapping[str, Any]]) -> str:
    about = profile["about"]
    shown = f"[`{name}`]({about['page']}.md)" if "page" in about else f"`{name}`"
    title = f"[{about['title']}]({about['documentation']})" if "documentation" in about else about["title"]
    cells = (
        shown,
        title,
        profile["connection"].get("auth", ""),
        "yes" if profile["cancel"] or profile["status"].get("cancel") else "",
        _describe_once(profile["submit"]),
        "yes" if "progress" in profile["status"] else "",
        ", ".join(_describe_waits(profile["status"])),
        str(about.get("checked", "")),
    )
    return f"| {' | '.join(cells)} |"


def _describe_once(submit: Mapping[str, Any]) -> str:
    if "lookup" in submit:
        return "lookup"
    return "key" if "{idempotency_key}" in str(submit) else ""


def _describe_waits(status: Mapping[str, Any]) -> Iterator[str]:
    if "poke_interval" in status:
        yield f"{status['poke_interval']} s"
    if "timeout" in status:
        yield f"{status['timeout'] / 3600:g} h"


def main() -> int:
    """Write the file, or say whether it is up to date."""
    text = render()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} isn't up to date: run python scripts/catalog.py", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
