"""Each flag holds from the Airflow on that it is documented with: run on each Airflow that is tested."""

from __future__ import annotations

import pytest
from airflow import __version__
from packaging.version import Version

from airflow_provider_asyncapi.airflow_private import versions


@pytest.mark.parametrize("flag", versions.SINCE)
def test_a_flag_holds_from_its_version_on(flag):
    assert getattr(versions, flag) == (Version(Version(__version__).base_version) >= Version(versions.SINCE[flag]))


def test_every_flag_has_the_version_from_which_on_it_holds():
    assert {name for name in vars(versions) if name.startswith("HAS_")} == set(versions.SINCE)
