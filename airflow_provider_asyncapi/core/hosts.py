"""Lists of hosts, and addresses that no API should lead to."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?|[\da-fA-F:.]+")
_WILDCARD = "*."
#: Prefixes of IPv6 addresses that end in an IPv4 address (RFC 6052, section 2.1).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Where clouds answer with the credentials of a machine, beside the link-local 169.254.169.254: AWS, Alibaba.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))


class OtherHosts(enum.StrEnum):
    """The hosts that requests may go to beside the connection's own."""

    ANY = "any"
    LISTED = "listed"
    NONE = "none"

    @classmethod
    def parse(cls, given: Any) -> OtherHosts:
        """
        Read the connection's ``other_hosts``; empty for any.

        :raises ConfigurationError: on anything else.
        """
        try:
            return cls(given or cls.ANY)
        except ValueError:
            raise ConfigurationError(
                f"connection: other_hosts has to be one of {', '.join(cls)}, not {given!r}"
            ) from None


def parse_hosts(given: Iterable[Any], where: str, *, wildcards: bool = False) -> frozenset[str]:
    """
    Read a list of hosts, each with a port if that isn't the usual one.

    :param wildcards: whether ``*.example.com`` may stand for all hosts below a domain.
    :raises ConfigurationError: on what isn't a host.
    """
    return frozenset(_parse_host(each, where, wildcards=wildcards) for each in given)


def _parse_host(given: Any, where: str, *, wildcards: bool) -> str:
    host = given.strip().lower() if isinstance(given, str) else ""
    if not _HOST.fullmatch(host.removeprefix(_WILDCARD) if wildcards else host):
        raise ConfigurationError(
            f"connection: {where} has to be a list of host names, each with a port where it isn't the usual one;"
            f" {given!r} isn't one"
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


def is_link_local(host: str) -> bool:
    """
    Return whether a host is an address of the machine's own link, where clouds give out the machine's credentials.

    :param host: a name or an address; of names only the addresses tell, once they are known.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is None and address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = embedded or address
    return address.is_link_local or address in _METADATA
