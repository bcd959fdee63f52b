"""Lists of hosts, and the addresses of metadata servers, which no API should lead to."""

from __future__ import annotations

import enum
import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import unquote

from airflow_provider_asyncapi.core.errors import ConfigurationError

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?|[\da-fA-F:.]+")
_WILDCARD = "*."
#: Prefixes of IPv6 addresses whose last 32 bits are an IPv4 address: IPv4-compatible and IPv4-mapped (RFC 4291, section
#: 2.5.5), IPv4-translated (RFC 2765, section 2.1), NAT64 (RFC 6052, section 2.1).
_ENDING_IN_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
#: Networks choose the length of the prefix there (RFC 8215), and with it the bits that hold the IPv4 address, of which
#: those from 64 to 71 are left out (RFC 6052, section 2.2). These are the lengths below 96 that fit.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_LOCAL_NAT64_LENGTHS = (48, 56, 64)
#: Addresses at which clouds serve the credentials of a machine, beside the link-local 169.254.169.254.
_METADATA = frozenset(
    {
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS, in Kubernetes
        IPv6Address("fd20:ce::254"),  # Google
        IPv6Address("fd00:c1::a9fe:a9fe"),  # Oracle
        IPv6Address("fd00:a9fe:a9fe::1"),  # Linode
        IPv6Address("fd00:42::42"),  # Scaleway
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure
        IPv4Address("192.0.0.192"),  # Oracle
    }
)
#: The names of these servers: Google, AWS, Tencent, IBM, Equinix, Rancher.
_METADATA_NAMES = re.compile(
    r"metadata|metadata\.google\.internal|metadata\.goog|instance-data(\.([\w-]+\.compute|ec2)\.internal)?"
    r"|metadata\.tencentyun\.com|api\.metadata\.cloud\.ibm\.com|metadata\.(packet\.net|platformequinix\.com)"
    r"|rancher-metadata"
)
#: One to four numbers, of which the last fills the bytes that are left, as inet_aton(3) reads them. No host is longer.
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}")
_LONGEST = 255


class OtherHosts(enum.StrEnum):
    """The hosts that requests may go to beside the connection's own."""

    ANY = "any"
    LISTED = "listed"
    NONE = "none"

    @classmethod
    def parse(cls, given: Any) -> OtherHosts:
        """
        Read the connection's ``other_hosts``; empty for any.

        :raises ConfigurationError: if it is anything else.
        """
        try:
            return cls(given or cls.ANY)
        except ValueError:
            raise ConfigurationError(f"other_hosts has to be one of {', '.join(cls)}, not {given!r}") from None


def parse_hosts(given: Iterable[Any], where: str, *, wildcards: bool = False) -> frozenset[str]:
    """
    Read a list of hosts, each with a port if that isn't the usual one.

    :param wildcards: whether ``*.example.com`` may stand for all hosts below a domain.
    :raises ConfigurationError: if an item isn't a host.
    """
    return frozenset(_parse_host(each, where, wildcards=wildcards) for each in given)


def _parse_host(given: Any, where: str, *, wildcards: bool) -> str:
    host = given.strip().lower() if isinstance(given, str) else ""
    if not _HOST.fullmatch(host.removeprefix(_WILDCARD) if wildcards else host):
        raise ConfigurationError(
            f"{where} has to be a list of host names, each with a port if it isn't the usual one; {given!r} isn't one"
        )
    # An IPv6 address without a port may stand in brackets or not.
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def is_listed(host: str, port: int | None, hosts: Collection[str], usual_ports: Collection[int | None]) -> bool:
    """
    Return whether a list names a host and its port.

    :param usual_ports: the ports that a name without a port stands for.
    """
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if server in hosts or (host in hosts and port in usual_ports):
        return True
    domains = (each for each in hosts if each.startswith(_WILDCARD))
    return any(server.endswith(domain[1:]) or (host.endswith(domain[1:]) and port in usual_ports) for domain in domains)


def is_metadata_host(host: str) -> bool:
    """
    Return whether a host is a metadata server, at which clouds serve the credentials of the machine, or link-local.

    The host may be written in any way that a proxy might understand. Names aren't resolved here.

    :param host: a name or an address.
    """
    name = _normalize(host)
    if _METADATA_NAMES.fullmatch(name):
        return True
    return any(address.is_link_local or address in _METADATA for address in _find_addresses(name))


def _normalize(host: str) -> str:
    """Return a host without brackets, zone, escapes, full-width characters, and the dot of the root."""
    if ":" in host:
        return host.strip("[]").partition("%")[0]
    # An ideographic full stop divides a name too (RFC 3490, section 3.1).
    return unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".").rstrip(".").lower()


def _find_addresses(name: str) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the addresses that a host may stand for, and the addresses embedded in them, without a DNS query."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if len(name) <= _LONGEST and _NUMBERS.fullmatch(name):
            yield from (_parse_numbers(name.split("."), octal=octal) for octal in (True, False))
        return
    yield address
    if isinstance(address, IPv6Address):
        bits = int(address)
        if any(address in network for network in _ENDING_IN_IPV4):
            yield IPv4Address(bits & 0xFFFFFFFF)
        if address.sixtofour is not None:
            yield address.sixtofour
        if address in _LOCAL_NAT64:
            yield IPv4Address(bits & 0xFFFFFFFF)
            without_gap = (bits >> 64) << 56 | bits & 0xFFFFFFFFFFFFFF
            for length in _LOCAL_NAT64_LENGTHS:
                yield IPv4Address(without_gap >> 88 - length & 0xFFFFFFFF)


def _parse_numbers(parts: list[str], *, octal: bool) -> IPv4Address:
    """
    Return the IPv4 address of one to four numbers.

    What is too large is cut off: some libraries do that, and no library reads another host there.

    :param octal: whether a number that begins with 0 is octal, as in C; in some libraries it isn't.
    """
    *heads, last = (_parse_number(part, octal=octal) for part in parts)
    value = last & 0xFFFFFFFF >> 8 * len(heads)
    for index, head in enumerate(heads):
        value |= (head & 0xFF) << 24 - 8 * index
    return IPv4Address(value)


def _parse_number(part: str, *, octal: bool) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if octal and part.startswith("0") and not set(part) & {"8", "9"} else int(part)
