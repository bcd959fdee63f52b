from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.hosts import is_link_local


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "[fe80::1]", "::ffff:169.254.169.254"),
        *("::ffff:a9fe:a9fe", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"),
    ],
)
def test_an_address_of_the_own_link_is_known_in_all_its_forms(address):
    assert is_link_local(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "127.0.0.1",
        "10.0.0.1",
        "169.253.1.1",
        "::1",
        "2001:db8::1",
        "64:ff9b::1",
        "169.254.169.254.nip.io",
    ],
)
def test_any_other_host_is_none(address):
    assert not is_link_local(address)
