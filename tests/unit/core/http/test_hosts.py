from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.http.hosts import is_metadata_host


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "[fe80::1]", "::ffff:169.254.169.254"),
        *("::ffff:a9fe:a9fe", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"),
        *(
            "::a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:0:a9fe:a9fe",
            "fd20:ce::254",
            "168.63.129.16",
            "[fe80::1%25eth0]",
        ),
        # RFC 6052, section 2.2, with prefixes of 48, 56, 64 and 96 bits.
        *("64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1::a9:fea9:fe00:0", "64:ff9b:1::a9fe:a9fe"),
    ],
)
def test_an_address_of_the_own_link_or_of_a_metadata_server_is_known_in_all_its_forms(address):
    assert is_metadata_host(address)


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254.", "2852039166", "2852039166.", "0xa9fea9fe", "0XA9FEA9FE", "0251.0376.0251.0376"),
        *("169.16689662", "169.254.43518", "0xa9.254.0251.0xfe", "169.254.0", "0" * 240 + "25177524776"),
        # In some libraries a number that begins with 0 is decimal, and some cut off what is too large.
        *("0169.0254.0169.0254", "425.510.425.510", "7147006462"),
        *("169%2e254%2E169.254", "%31%36%39.254.169.254", "169.254.169.254%2e"),
        # Written in full width, and with another full stop.
        "\N{FULLWIDTH DIGIT ONE}69.254.169.254",
        "169\N{FULLWIDTH FULL STOP}254\N{IDEOGRAPHIC FULL STOP}169.254",
        *("metadata", "metadata.google.internal", "Metadata.Google.Internal.", "metadata.goog", "instance-data"),
        *("instance-data.ec2.internal", "instance-data.eu-west-1.compute.internal", "metadata.tencentyun.com"),
    ],
)
def test_a_host_that_a_proxy_may_take_for_such_an_address_is_known(host):
    assert is_metadata_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "localhost", "127.0.0.1", "127.1", "0x7f000001", "0", "0x", "10.0.0.1", "169.253.1.1", "169.254"),
        *(
            "::1",
            "::",
            "2001:db8::1",
            "64:ff9b::1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "fe80",
            "[x]",
            "1.2.3.4.5",
            "9" * 256,
        ),
        *("169.254.169.254.nip.io", "metadata.example.com", "my-metadata", "api.internal", "x0xa9fea9fe", "1:2", "%zz"),
    ],
)
def test_any_other_host_is_none(host):
    assert not is_metadata_host(host)


@given(
    st.integers(0xA9FE0000, 0xA9FEFFFF),
    st.integers(1, 4),
    st.lists(st.sampled_from(("d", "#x", "#X", "o")), min_size=4, max_size=4),
)
def test_numbers_of_any_base_and_number_of_parts_are_read_as_inet_aton_reads_them(value, count, bases):
    parts = [*ipaddress.IPv4Address(value).packed[: count - 1], value & 0xFFFFFFFF >> 8 * (count - 1)]
    written = [
        "0" + format(part, base) if base == "o" else format(part, base)
        for part, base in zip(parts, bases, strict=False)
    ]
    assert is_metadata_host(".".join(written))
