"""The fields of a connection that don't belong to one kind of authentication."""

from __future__ import annotations

from airflow_provider_asyncapi.core.connection.fields import ConnectionField

#: The fields that Airflow has for connections of all types.
CONNECTION_COLUMNS = ("host", "port", "schema", "login", "password")

#: In the order of the form; the fields of the kinds of authentication come after the first two.
GENERAL_FIELDS = (
    ConnectionField(
        "test_endpoint",
        "Test endpoint",
        "The endpoint that the Test button requests with GET, e.g. /me, or an absolute URL."
        " The button needs the field Port: without it, Airflow answers Bad Request.",
    ),
    ConnectionField("profile", "Profile", "The profile of tasks that don't set one, e.g. celigo or http_202."),
    ConnectionField(
        "headers",
        "Headers",
        'Sent with each request to this API and to no other host, e.g. {"X-Org": "42"}. Visible to everyone who may see'
        " connections; use the next field for secrets.",
        "json",
    ),
    ConnectionField(
        "secret_headers",
        "Secret headers",
        'Headers that are sent in the same way and never shown again, e.g. {"X-Session-Id": "…"}.',
        "json",
        is_secret=True,
    ),
    ConnectionField(
        "variables",
        "Variables",
        'Values for requests, e.g. {"account": "42"} for {connection.account}. Visible to everyone who may see'
        " connections.",
        "json",
    ),
    ConnectionField(
        "secrets",
        "Secrets",
        'Secret values for requests, never shown again, e.g. {"key": "…"} for {connection.key}.',
        "json",
        is_secret=True,
    ),
    ConnectionField(
        "trusted_hosts",
        "Trusted hosts",
        "Other hosts that may receive credentials and headers, separated by commas: host (default port), or host:port.",
        "list",
    ),
    ConnectionField(
        "other_hosts",
        "Other hosts",
        "The hosts that links and redirects may lead to, without credentials. any: all hosts. listed: the trusted and"
        " the allowed hosts. none: only the API's own. Default: any.",
        choices=("any", "listed", "none"),
    ),
    ConnectionField(
        "allowed_hosts",
        "Allowed hosts",
        "Hosts that requests may go to without credentials, separated by commas: host, host:port, or *.example.com.",
        "list",
    ),
    ConnectionField(
        "callback",
        "Callbacks",
        'How the API signs its callbacks, e.g. {"signature": {"header": "X-Signature", "encoding": "hex", "prefix":'
        ' "sha256="}} or {"signature": {"scheme": "standard"}}; and, if one URL is called for all jobs, where a'
        ' callback names its job: "identifier". "events" and "challenge": webhooks that start DAGs.',
        "json",
    ),
    ConnectionField(
        "callback_secret",
        "Callbacks: key",
        "The key that callbacks are signed with; a JSON list of several keys while a key is replaced.",
        "list",
        is_secret=True,
    ),
    ConnectionField("verify", "TLS: verify", "Whether to verify the server's certificate.", "flag", default=True),
    ConnectionField("ca_cert", "TLS: CA certificates", "Path of a PEM file, on workers and triggerers."),
    ConnectionField("client_cert", "TLS: client certificate", "Path of a PEM file, on workers and triggerers."),
    ConnectionField(
        "client_key", "TLS: client key", "Path of a PEM file, if the key isn't in the file of the certificate."
    ),
    ConnectionField("proxy", "Proxy", "URL of an HTTP proxy, with user and password if needed.", is_secret=True),
    ConnectionField("connect_timeout", "Connect timeout", "Connection timeout in seconds. Default: 10.", "number"),
    ConnectionField("read_timeout", "Read timeout", "Seconds without data from the API. Default: 60.", "number"),
    ConnectionField(
        "connections_per_host",
        "Connections per host",
        "Maximum number of connections of one process at the same time. Default: as many as needed.",
        "number",
    ),
    ConnectionField(
        "requests_per_second", "Requests per second", "Maximum rate of one process. Default: no limit.", "number"
    ),
    ConnectionField(
        "max_active_jobs",
        "Maximum active jobs",
        "Maximum number of jobs that run remotely at the same time, over all DAGs and processes; further tasks wait"
        " before they submit. Default: no limit.",
        "number",
    ),
)
