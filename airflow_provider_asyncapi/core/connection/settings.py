"""The settings of a connection, for both transports."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_asyncapi.core.auth.base import Auth, ConstantAuth
from airflow_provider_asyncapi.core.auth.none import NoAuth
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS, check_unused_fields, collect_extra_keys
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.connection.fields import (
    check_text_fields,
    find_secret_values,
    read_list,
    read_mapping,
)
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS, GENERAL_FIELDS
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.hosts import OtherHosts, is_listed, is_metadata_host, parse_hosts
from airflow_provider_asyncapi.core.http.messages import DEFAULT_PORTS, Request, parse_origin, validate_header
from airflow_provider_asyncapi.core.http.redaction import is_sensitive_name
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text
from airflow_provider_asyncapi.core.templates import CONNECTION, render_body, walk_strings

#: Headers of a connection that hold no secret.
_PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_TEXT_COLUMNS = ("host", "schema", "login", "password")
_HOST = re.compile(r"[^\s/\\]+")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """
    The settings of a connection. Its repr contains no secret.

    :param base_url: the URL that endpoints extend; ends with a slash if the connection's host has a path that does.
    :param auth: the kind of authentication.
    :param auth_secrets: the values of the secret fields of this kind.
    :param headers: the headers of each request to the API's own hosts.
    :param variables: the variables of requests, such as ``connection.login``, ``connection.password`` and those of the
        fields ``variables`` and ``secrets``.
    :param confidential_variables: the names of variables that only the API and trusted hosts may see: all except those
        of the field ``variables``.
    :param visible_values: values of the fields ``headers`` and ``variables`` that Airflow's pages show, since their
        names don't mark them as secret.
    :param verify: whether the certificates of servers are verified.
    :param ca_cert: path of the certificates of authorities, a PEM file.
    :param client_cert: path of the client's certificate, a PEM file.
    :param client_key: path of its key if the key isn't in the same file.
    :param proxy: URL of an HTTP proxy.
    :param connect_timeout: connection timeout in seconds.
    :param read_timeout: seconds that the server may be silent for.
    :param connections_per_host: maximum number of connections at a time; None for no limit.
    :param requests_per_second: maximum rate of requests; None for no limit.
    :param max_active_jobs: maximum number of jobs that run at the same time, over all processes; None for no limit.
    :param sends_trace_context: whether requests have the header ``traceparent`` while tracing is on.
    :param trusted_hosts: further hosts that may see the credentials, ``host`` or ``host:port``.
    :param allowed_hosts: hosts that requests may go to without credentials; also ``*.example.com``.
    :param other_hosts: the hosts that requests may go to beside the connection's own.
    :param token_hosts: the hosts and ports of the requests for access tokens.
    :param profile: the default profile of tasks.
    :param test_endpoint: the endpoint that the Test button requests.
    :param callback: the settings for callbacks.
    """

    base_url: str
    _: KW_ONLY
    auth: Auth = field(default_factory=NoAuth)
    auth_secrets: frozenset[str] = field(default=frozenset(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    confidential_variables: frozenset[str] = frozenset()
    visible_values: frozenset[str] = field(default=frozenset(), repr=False)
    verify: bool = True
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    connections_per_host: int | None = None
    requests_per_second: float | None = None
    max_active_jobs: int | None = None
    sends_trace_context: bool = False
    trusted_hosts: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    other_hosts: OtherHosts = OtherHosts.ANY
    token_hosts: frozenset[str] = frozenset()
    profile: str | None = None
    test_endpoint: str = ""
    callback: CallbackSettings = field(default_factory=CallbackSettings)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> ConnectionSettings:
        """
        Parse the fields of a connection.

        :param fields: ``host``, ``port``, ``schema``, ``login``, ``password``, and the keys of the extra.
        :raises ConfigurationError: if a field is missing or invalid; the message names it, and contains no secret.
        """
        AUTH_KINDS.load_if_needed(fields)
        known = collect_extra_keys()
        unknown = [name for name in fields if name not in known and name not in CONNECTION_COLUMNS]
        if unknown:
            raise ConfigurationError(
                f"{describe_unknown_key(unknown[0], known)} in extra; known are {', '.join(sorted(known))}."
                " Put headers into 'headers' or 'secret_headers', and other values into 'variables' or 'secrets'"
            )
        check_text_fields(fields, (*_TEXT_COLUMNS, "auth"))
        name = fields.get("auth") or ("basic" if fields.get("login") else "none")
        kind = AUTH_KINDS.parse(name)
        texts = {each.name: each for each in (*kind.fields, *GENERAL_FIELDS) if each.type == "text"}
        objects = [name for name, each in texts.items() if each.object_secrets]
        check_text_fields(fields, texts, objects)
        if kind is NoAuth and fields.get("password"):
            raise ConfigurationError(
                "there is a password, but no authentication that uses it; set auth to one of"
                f" {', '.join(name for name in AUTH_KINDS if name != NoAuth.name)}"
            )
        if fields.get("client_key") and not fields.get("client_cert"):
            raise ConfigurationError("client_key needs client_cert, the certificate of this key")
        check_unused_fields(fields, kind)
        own = {name: fields[name] for name in ("login", "password") if fields.get(name)}
        given = {**own, **_merge_plain_and_secret(fields, "variables", "secrets")}
        variables = {f"{CONNECTION}{name}": value for name, value in given.items()}
        auth = kind.parse(fields)
        if isinstance(auth, ConstantAuth):
            for header, value in auth.headers.items():
                validate_header(header, value, "auth")
        trusted_hosts = parse_hosts(read_list(fields, "trusted_hosts"), "trusted_hosts")
        allowed_hosts = parse_hosts(read_list(fields, "allowed_hosts"), "allowed_hosts", wildcards=True)
        other_hosts = OtherHosts.parse(fields.get("other_hosts"))
        if other_hosts is OtherHosts.NONE and (trusted_hosts or allowed_hosts):
            raise ConfigurationError(
                "other_hosts is 'none', but trusted_hosts or allowed_hosts lists hosts; 'listed' allows them"
            )
        return cls(
            base_url=_parse_base_url(fields),
            auth=auth,
            auth_secrets=frozenset(walk_strings(list(find_secret_values(fields, kind.fields)))),
            headers=_parse_headers(fields, auth),
            variables=variables,
            confidential_variables=frozenset(variables) - _find_visible_variables(fields),
            visible_values=_find_visible_values(fields),
            verify=_parse_flag(fields, "verify", default=True),
            ca_cert=fields.get("ca_cert") or None,
            client_cert=fields.get("client_cert") or None,
            client_key=fields.get("client_key") or None,
            proxy=_parse_proxy(fields.get("proxy")),
            connect_timeout=_parse_positive_number(fields, "connect_timeout", 10.0),
            read_timeout=_parse_positive_number(fields, "read_timeout", 60.0),
            connections_per_host=int(_parse_positive_number(fields, "connections_per_host", 0.0, least=1)) or None,
            requests_per_second=_parse_positive_number(fields, "requests_per_second", 0.0) or None,
            max_active_jobs=int(_parse_positive_number(fields, "max_active_jobs", 0.0, least=1)) or None,
            sends_trace_context=_parse_flag(fields, "send_trace_context", default=False),
            trusted_hosts=trusted_hosts,
            allowed_hosts=allowed_hosts,
            other_hosts=other_hosts,
            token_hosts=_find_token_hosts(auth, variables),
            profile=fields.get("profile") or None,
            test_endpoint=fields.get("test_endpoint") or "",
            callback=CallbackSettings.parse(fields),
        )

    def trusts(self, url: str) -> bool:
        """Return whether a URL may see the credentials: same origin as the connection, or a trusted host over TLS."""
        scheme, host, port = parse_origin(url)
        own_scheme, own_host, own_port = parse_origin(self.base_url)
        if (scheme, host, port) == (own_scheme, own_host, own_port):
            return True
        named = is_listed(host, port, self.trusted_hosts, {DEFAULT_PORTS.get(scheme), own_port})
        return named and (scheme == "https" or own_scheme == "http")

    def lists_host(self, url: str) -> bool:
        """Return whether the host of a URL is the connection's own, in one of its lists, or that of its token."""
        _, host, port = parse_origin(url)
        _, own_host, own_port = parse_origin(self.base_url)
        hosts = {own_host} | self.trusted_hosts | self.allowed_hosts | self.token_hosts
        return is_listed(host, port, hosts, {*DEFAULT_PORTS.values(), own_port})

    def check_host(self, request: Request) -> None:
        """
        Check that the connection allows requests to the host, with or without credentials.

        :raises UnsafeValueError: if it doesn't.
        """
        host = parse_origin(request.url)[1]
        is_any = self.other_hosts is OtherHosts.ANY
        if (is_any and not is_metadata_host(host)) or self.lists_host(request.url):
            return
        if is_any:
            raise build_metadata_host_error(request, host)
        advice = "change that" if self.other_hosts is OtherHosts.NONE else "list the host in allowed_hosts"
        raise UnsafeValueError(
            f"{request}: not sent, since the host is another one, and the connection's other_hosts is"
            f" {str(self.other_hosts)!r}; {advice} if requests may go there"
        )

    def secrets(self) -> set[str]:
        """Return all values that no message may contain; the database contains only the :attr:`visible_values`."""
        found = {text for name, text in self.headers.items() if name.lower() not in _PLAIN_HEADERS}
        found |= {
            text for name, value in self.variables.items() if name != "connection.login" for text in walk_strings(value)
        }
        found |= {*self.auth.secrets(), *self.auth_secrets}
        if self.proxy and (password := urlsplit(self.proxy).password):
            found |= {password, unquote(password)}
        return found | set(self.callback.secrets)


def build_metadata_host_error(request: Request, address: str) -> UnsafeValueError:
    """Return the error about a request to an address at which clouds serve the credentials of the machine."""
    return UnsafeValueError(
        f"{request}: not sent, since it leads to {address}, a link-local address or a metadata server, at which"
        " clouds serve the credentials of the machine; list the host in the connection's allowed_hosts if requests may"
        " go there"
    )


def _merge_plain_and_secret(fields: Mapping[str, Any], shown: str, secret: str) -> dict[str, Any]:
    """Return the items of two fields; Airflow's API and pages show the first, and mask the second by its name."""
    plain, masked = read_mapping(fields, shown), read_mapping(fields, secret)
    if twice := {name.lower() for name in plain} & {name.lower() for name in masked}:
        raise ConfigurationError(f"{min(twice)!r} is in both {shown} and {secret}; it can be in one")
    return plain | masked


def _parse_headers(fields: Mapping[str, Any], auth: Auth) -> dict[str, str]:
    headers = dict(
        validate_header(name, as_text(value), "headers")
        for name, value in _merge_plain_and_secret(fields, "headers", "secret_headers").items()
    )
    if twice := {name.lower() for name in auth.header_names} & {name.lower() for name in headers}:
        raise ConfigurationError(
            f"the header {min(twice)!r} is in headers or secret_headers, and auth {auth.name!r} sends it"
            " too; take it out, or set auth to 'none'"
        )
    return headers


def _find_visible_values(fields: Mapping[str, Any]) -> frozenset[str]:
    plain = {**read_mapping(fields, "headers"), **read_mapping(fields, "variables")}
    return frozenset(walk_strings([value for name, value in plain.items() if not is_sensitive_name(name)]))


def _parse_base_url(fields: Mapping[str, Any]) -> str:
    host = (fields.get("host") or "").strip()
    if not host:
        raise ConfigurationError("host is empty; set it to the API's address, such as https://api.example.com/v1")
    if "://" not in host:
        host = f"{fields.get('schema') or 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        raise ConfigurationError(
            "host isn't the address of a server, such as https://api.example.com:8443/v1"
        ) from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ConfigurationError(f"host has to be an http or https address, not {parts.scheme}://…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "host may hold a path, but no user, password, query or fragment; a user and a password have"
            " fields of their own"
        )
    # The Test button of Airflow 3.3 sends port 0 for an empty field.
    given = fields.get("port") or None
    if given is not None and as_number(given) not in range(1, 65536):
        raise ConfigurationError(f"port has to be a number from 1 to 65535, not {given!r}")
    if port and given and as_number(given) != port:
        raise ConfigurationError(
            f"host has the port {port}, and the field port has {given}; leave one out, or make them equal"
        )
    port = port or given
    path = parts.path.rstrip("/")
    if path and parts.path.endswith("/"):
        path += "/"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{path}"


def _parse_proxy(value: Any) -> str | None:
    if not value:
        return None
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        # The message doesn't contain it, since it may contain a password.
        raise ConfigurationError("proxy has to be the http or https URL of a proxy")
    return str(value)


def _find_visible_variables(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the variables that everybody may see."""
    return frozenset(f"{CONNECTION}{name}" for name in read_mapping(fields, "variables") if not is_sensitive_name(name))


def _find_token_hosts(auth: Auth, variables: Mapping[str, JsonValue]) -> frozenset[str]:
    """Return the hosts of the requests for access tokens, with their ports."""
    if auth.token_source is None:
        return frozenset()
    hosts = set()
    for template in (auth.token_source.request, auth.token_source.refresh):
        endpoint = "" if template is None else render_body(template.endpoint.strip(), variables)
        # For an invalid URL the request for a token raises an error that says more.
        with contextlib.suppress(UnsafeValueError):
            _, host, port = parse_origin(endpoint)
            hosts |= {f"[{host}]:{port}" if ":" in host else f"{host}:{port}"} if host else set()
    return frozenset(hosts)


def _parse_flag(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name)
    if value in (None, ""):
        return default
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} has to be true or false, not {value!r}")
    return value


def _parse_positive_number(fields: Mapping[str, Any], name: str, default: float, *, least: float = 0.0) -> float:
    value = fields.get(name)
    if value in (None, ""):
        return default
    number = as_number(value)
    if number is None or number < least or number <= 0:
        bound = f"of at least {least:g}" if least else "above 0"
        raise ConfigurationError(f"{name} has to be a number {bound}, not {value!r}")
    return number
