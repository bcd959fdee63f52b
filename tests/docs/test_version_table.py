"""The table of what each Airflow gives is made of the flags that the code asks."""

from __future__ import annotations

from airflow_provider_asyncapi.airflow_private.versions import SINCE
from scripts.version_table import ROWS, TARGET, find_tested_versions, render


def test_the_table_of_versions_is_what_the_flags_say():
    assert TARGET.read_text(encoding="utf-8") == render(), "run python -m scripts.version_table"


def test_every_flag_gives_users_something():
    assert {row.flag for row in ROWS if row.flag} == set(SINCE)


def test_the_newest_airflow_gives_everything_and_the_oldest_does_not():
    oldest, *_, newest = find_tested_versions()
    assert {row.given_by(newest) for row in ROWS} == {"yes"}
    assert all(row.given_by(oldest) != "yes" for row in ROWS if row.flag)
