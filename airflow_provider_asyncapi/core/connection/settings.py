"""One connection, parsed once for both transports."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_asyncapi.core.auth.base import Auth, ConstantAuth
from airflow_provider_asyncapi.core.auth.none import NoAuth
from airflow_provider_asyncapi.core.auth.registry import (
    AUTH_KINDS,
    AuthKinds,
    check_unused_fields,
    connection_fields,
)
from airflow_provider_asyncapi.core.auth.tokens import TokenStore
from airflow_provider_asyncapi.core.callbacks.calls import CallbackSettings
from airflow_provider_asyncapi.core.connection.fields import check_texts, read_list, read_mapping, secret_values
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.http.hosts import OtherHosts, is_link_local, is_listed, parse_hosts
from airflow_provider_asyncapi.core.http.messages import DEFAULT_PORTS, Request, header_field, origin
from airflow_provider_asyncapi.core.http.redaction import Redactor, is_sensitive_name
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.templates import CONNECTION, render_body, walk_strings

#: Headers of a connection that hold no secret.
_PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_TEXT_COLUMNS = ("host", "schema", "login", "password")
_HOST = re.compile(r"[^\s/\\]+")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """
    What a connection says. Nothing secret is in its repr.

    :param base_url: what endpoints extend; with a slash at its end if the connection's host has one after a path.
    :param auth: how requests are authenticated.
    :param auth_secrets: what the secret fields of its kind hold.
    :param headers: sent with each request to the API's own hosts.
    :param variables: what requests may name as ``{connection.<name>}``, login and password among them.
    :param confidential: the names of those that only the API and trusted hosts may see: all but what stands in the
        connection's ``variables``.
    :param shown: the values of the two that Airflow's pages show, for no name says that they are secret.
    :param verify: whether certificates are checked.
    :param ca_cert: path of a bundle of certificate authorities, PEM.
    :param client_cert: path of the client's certificate, PEM.
    :param client_key: path of its key where it isn't in the same file.
    :param proxy: URL of an HTTP proxy.
    :param connect_timeout: seconds until a connection has to stand.
    :param read_timeout: seconds that the server may stay silent.
    :param connections_per_host: how many connections at the same time; None for as many as are needed.
    :param requests_per_second: how many requests are begun per second at most; None for no limit.
    :param trusted_hosts: further hosts that may see the credentials, ``host`` or ``host:port``.
    :param allowed_hosts: hosts that requests may go to without the credentials, also below a domain: ``*.example.com``.
    :param other_hosts: which hosts requests may go to beside the connection's own.
    :param login_hosts: the hosts and ports of the login's requests.
    :param profile: the profile that operators use where they name none.
    :param test_endpoint: what the Test button asks for.
    :param callback: how the API's callbacks are signed.
    """

    base_url: str
    auth: Auth = field(default_factory=NoAuth)
    auth_secrets: frozenset[str] = field(default=frozenset(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    confidential: frozenset[str] = frozenset()
    shown: frozenset[str] = field(default=frozenset(), repr=False)
    verify: bool = True
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    connections_per_host: int | None = None
    requests_per_second: float | None = None
    trusted_hosts: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    other_hosts: OtherHosts = OtherHosts.ANY
    login_hosts: frozenset[str] = frozenset()
    profile: str | None = None
    test_endpoint: str = ""
    callback: CallbackSettings = field(default_factory=CallbackSettings)

    @classmethod
    def parse(cls, fields: Mapping[str, Any], auth_kinds: AuthKinds = AUTH_KINDS) -> ConnectionSettings:
        """
        Read the fields of a connection.

        :param fields: ``host``, ``port``, ``schema``, ``login``, ``password``, and the keys of the extra beside them.
        :param auth_kinds: the kinds of authentication.
        :raises ConfigurationError: naming the field that is missing or wrong; no secret is shown.
        """
        known = connection_fields(auth_kinds)
        unknown = [name for name in fields if name not in known and name not in CONNECTION_COLUMNS]
        if unknown:
            raise ConfigurationError(
                f"connection: unknown key {unknown[0]!r} in extra; known are {', '.join(sorted(known))}."
                " Headers belong under 'headers' or 'secret_headers', own values under 'variables' or 'secrets'"
            )
        check_texts(fields, (*_TEXT_COLUMNS, *(name for name, each in known.items() if each.type == "text")))
        name = fields.get("auth") or ("basic" if fields.get("login") else "none")
        kind = auth_kinds.get(name)
        if kind is None:
            raise ConfigurationError(f"connection: auth {name!r} isn't one of {', '.join(auth_kinds)}")
        if kind is NoAuth and fields.get("password"):
            raise ConfigurationError(
                "connection: there is a password, but no auth that would use it; set auth to one of"
                f" {', '.join(name for name, each in auth_kinds.items() if each is not NoAuth)}"
            )
        if fields.get("client_key") and not fields.get("client_cert"):
            raise ConfigurationError("connection: client_key needs client_cert, the certificate that it belongs to")
        check_unused_fields(fields, kind, auth_kinds)
        own = {name: fields[name] for name in ("login", "password") if fields.get(name)}
        given = {**own, **_both(fields, "variables", "secrets")}
        variables = {f"{CONNECTION}{name}": value for name, value in given.items()}
        auth = kind.parse(fields)
        if isinstance(auth, ConstantAuth):
            for header, value in auth.headers.items():
                header_field(header, value, "connection: auth")
        trusted_hosts = parse_hosts(read_list(fields, "trusted_hosts"), "trusted_hosts")
        allowed_hosts = parse_hosts(read_list(fields, "allowed_hosts"), "allowed_hosts", wildcards=True)
        other_hosts = OtherHosts.parse(fields.get("other_hosts"))
        if other_hosts is OtherHosts.NONE and (trusted_hosts or allowed_hosts):
            raise ConfigurationError(
                "connection: other_hosts is 'none', and trusted_hosts or allowed_hosts lists some; 'listed' allows them"
            )
        return cls(
            base_url=_base_url(fields),
            auth=auth,
            auth_secrets=frozenset(walk_strings(list(secret_values(fields, kind.fields)))),
            headers=_headers(fields, auth),
            variables=variables,
            confidential=frozenset(variables) - _shown_variables(fields),
            shown=_shown(fields),
            verify=_flag(fields, "verify", default=True),
            ca_cert=fields.get("ca_cert") or None,
            client_cert=fields.get("client_cert") or None,
            client_key=fields.get("client_key") or None,
            proxy=_proxy(fields.get("proxy")),
            connect_timeout=_positive(fields, "connect_timeout", 10.0),
            read_timeout=_positive(fields, "read_timeout", 60.0),
            connections_per_host=int(_positive(fields, "connections_per_host", 0.0, least=1)) or None,
            requests_per_second=_positive(fields, "requests_per_second", 0.0) or None,
            trusted_hosts=trusted_hosts,
            allowed_hosts=allowed_hosts,
            other_hosts=other_hosts,
            login_hosts=_login_hosts(auth, variables),
            profile=fields.get("profile") or None,
            test_endpoint=fields.get("test_endpoint") or "",
            callback=CallbackSettings.parse(fields),
        )

    def trusts(self, url: str) -> bool:
        """Tell whether a URL may see the credentials: same origin as the connection, or a trusted host over TLS."""
        scheme, host, port = origin(url)
        own_scheme, own_host, own_port = origin(self.base_url)
        if (scheme, host, port) == (own_scheme, own_host, own_port):
            return True
        named = is_listed(host, port, self.trusted_hosts, {DEFAULT_PORTS.get(scheme), own_port})
        return named and (scheme == "https" or own_scheme == "http")

    def names(self, url: str) -> bool:
        """Return whether the connection names the host of a URL: as its own, in one of its lists, or for its login."""
        _, host, port = origin(url)
        _, own_host, own_port = origin(self.base_url)
        hosts = {own_host} | self.trusted_hosts | self.allowed_hosts | self.login_hosts
        return is_listed(host, port, hosts, {*DEFAULT_PORTS.values(), own_port})

    def check_host(self, request: Request) -> None:
        """
        Check that a request may go where it goes, with or without credentials.

        :raises UnsafeValueError: if the host is another one than the connection allows.
        """
        host = origin(request.url)[1]
        is_any = self.other_hosts is OtherHosts.ANY
        if (is_any and not is_link_local(host)) or self.names(request.url):
            return
        if is_any:
            raise link_local(request, host)
        advice = "change that" if self.other_hosts is OtherHosts.NONE else "list the host in allowed_hosts"
        raise UnsafeValueError(
            f"{request}: not sent, for the host is another one, and the connection's other_hosts is"
            f" {str(self.other_hosts)!r}; {advice} if requests may go there"
        )

    def secrets(self) -> set[str]:
        """Give everything that may never be in a message; what isn't :attr:`shown` is kept out of the database too."""
        found = {text for name, text in self.headers.items() if name.lower() not in _PLAIN_HEADERS}
        found |= {
            text for name, value in self.variables.items() if name != "connection.login" for text in walk_strings(value)
        }
        found |= {*self.auth.secrets(), *self.auth_secrets}
        if self.proxy and (password := urlsplit(self.proxy).password):
            found |= {password, unquote(password)}
        return found | set(self.callback.secrets)


def link_local(request: Request, address: str) -> UnsafeValueError:
    """Return the error of a request to an address where clouds give out the credentials of the machine."""
    return UnsafeValueError(
        f"{request}: not sent, for it leads to {address}, a link-local address or a metadata server, where clouds keep"
        " the credentials of the machine; list the host in the connection's allowed_hosts if requests may go there"
    )


@dataclass(frozen=True, slots=True)
class Api:
    """
    What every flow needs to know: the connection, and the world's clock and dice.

    :param settings: the connection.
    :param redact: takes secrets out of what is shown.
    :param clock: gives seconds since the epoch.
    :param rng: gives numbers in [0, 1).
    :param tokens: where processes find each other's tokens; None where each logs in for itself.
    :param auth_memory: what the kind of authentication keeps between requests.
    """

    settings: ConnectionSettings
    redact: Redactor
    clock: Callable[[], float]
    rng: Callable[[], float]
    tokens: TokenStore | None = None
    auth_memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        settings: ConnectionSettings,
        *,
        clock: Callable[[], float],
        rng: Callable[[], float],
        tokens: TokenStore | None = None,
    ) -> Api:
        """Make one from a connection."""
        return cls(settings, Redactor(settings.secrets()), clock, rng, tokens)

    @property
    def scope(self) -> Mapping[str, JsonValue]:
        """The variables that the connection brings to every template."""
        return self.settings.variables

    def variables(self, *brought: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """
        Return all variables that a request may name; nothing replaces those of the connection, or adds to them.

        :param brought: what the job, its answers and the task bring; later ones replace earlier ones.
        """
        known = {name: value for each in brought for name, value in each.items()}
        for name in [name for name in known if name.startswith(CONNECTION)]:
            del known[name]
        return {**known, **self.settings.variables}

    def request(
        self, template: RequestTemplate, variables: Mapping[str, JsonValue], *, reference_base: str | None = None
    ) -> Request:
        """
        Make a request of its template.

        :param variables: what :meth:`variables` returns.
        :param reference_base: the URL against which a relative reference from the API is resolved.
        :raises UnsafeValueError: if it would take a credential to a host that may not see it.
        :raises ConfigurationError: as :meth:`~.request_template.RequestTemplate.render` does.
        """
        settings = self.settings
        request = template.render(variables, settings.base_url, reference_base=reference_base)
        if not settings.trusts(request.url) and (named := settings.confidential & template.find_variables()):
            raise UnsafeValueError(
                f"{request}: not sent, for the request names {{{min(named)}}}, and another host gets no credentials;"
                " list the host in the connection's trusted_hosts if it may see them, or leave the variable out"
            )
        return request


def _both(fields: Mapping[str, Any], shown: str, secret: str) -> dict[str, Any]:
    """Read two objects as one: Airflow's API and pages show the first, and mask the second, for its name says so."""
    plain, masked = read_mapping(fields, shown), read_mapping(fields, secret)
    if twice := {name.lower() for name in plain} & {name.lower() for name in masked}:
        raise ConfigurationError(f"connection: {min(twice)!r} is in both {shown} and {secret}; it can be in one")
    return plain | masked


def _headers(fields: Mapping[str, Any], auth: Auth) -> dict[str, str]:
    headers = dict(
        header_field(name, as_text(value), "connection: headers")
        for name, value in _both(fields, "headers", "secret_headers").items()
    )
    if twice := {name.lower() for name in auth.header_names} & {name.lower() for name in headers}:
        raise ConfigurationError(
            f"connection: the header {min(twice)!r} is in headers or secret_headers, and auth {auth.kind!r} sends it"
            " too; take it out, or set auth to 'none'"
        )
    return headers


def _shown(fields: Mapping[str, Any]) -> frozenset[str]:
    plain = {**read_mapping(fields, "headers"), **read_mapping(fields, "variables")}
    return frozenset(walk_strings([value for name, value in plain.items() if not is_sensitive_name(name)]))


def _base_url(fields: Mapping[str, Any]) -> str:
    host = (fields.get("host") or "").strip()
    if not host:
        raise ConfigurationError(
            "connection: host is empty; it is the API's address, such as https://api.example.com/v1"
        )
    if "://" not in host:
        host = f"{fields.get('schema') or 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        raise ConfigurationError(
            "connection: host isn't the address of a server; it is like https://api.example.com:8443/v1"
        ) from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ConfigurationError(f"connection: host has to be an http or https address, not {parts.scheme}://…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "connection: host may hold a path, but no user, password, query or fragment; those have fields of their own"
        )
    # The Test button of Airflow 3.3 sends port 0 for an empty field.
    given = fields.get("port") or None
    if given is not None and as_number(given) not in range(1, 65536):
        raise ConfigurationError(f"connection: port has to be a number from 1 to 65535, not {given!r}")
    if port and given and as_number(given) != port:
        raise ConfigurationError(
            f"connection: host has the port {port}, and the field port has {given}; leave one out, or make them equal"
        )
    port = port or given
    path = parts.path.rstrip("/")
    if path and parts.path.endswith("/"):
        path += "/"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{path}"


def _proxy(value: Any) -> str | None:
    if not value:
        return None
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        # It isn't shown, for it may hold a password.
        raise ConfigurationError("connection: proxy has to be the http or https URL of a proxy")
    return str(value)


def _shown_variables(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the variables that anybody may see."""
    return frozenset(f"{CONNECTION}{name}" for name in read_mapping(fields, "variables") if not is_sensitive_name(name))


def _login_hosts(auth: Auth, variables: Mapping[str, JsonValue]) -> frozenset[str]:
    """Return the hosts that the connection's login leads to, with their ports."""
    if auth.login is None:
        return frozenset()
    hosts = set()
    for template in (auth.login.request, auth.login.refresh):
        endpoint = "" if template is None else render_body(template.endpoint.strip(), variables)
        # One that can't be read is an error of the login, which says more.
        with contextlib.suppress(UnsafeValueError):
            _, host, port = origin(endpoint)
            hosts |= {f"[{host}]:{port}" if ":" in host else f"{host}:{port}"} if host else set()
    return frozenset(hosts)


def _flag(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name)
    if value in (None, ""):
        return default
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ConfigurationError(f"connection: {name} has to be true or false, not {value!r}")
    return value


def _positive(fields: Mapping[str, Any], name: str, default: float, *, least: float = 0.0) -> float:
    value = fields.get(name)
    if value in (None, ""):
        return default
    number = as_number(value)
    if number is None or number < least or number <= 0:
        bound = f"of at least {least:g}" if least else "above 0"
        raise ConfigurationError(f"connection: {name} has to be a number {bound}, not {value!r}")
    return number
