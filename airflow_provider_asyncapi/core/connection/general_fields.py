"""The fields of a connection that don't belong to one kind of authentication."""

from __future__ import annotations

from airflow_provider_asyncapi.core.connection.fields import ConnectionField

#: The fields that Airflow has for connections of all types.
CONNECTION_COLUMNS = ("host", "port", "schema", "login", "password")

#: The section of the form that is shown first; the sections of the kinds of authentication come after it.
FIRST_SECTION = "Authentication and profile"
_HEADERS = "Headers and variables"
_LIMITS = "Limits and timeouts"
_TLS = "TLS and proxy"
_HOSTS = "Other hosts"
_CALLBACKS = "Callbacks"

#: In the order of the form.
GENERAL_FIELDS = (
    ConnectionField(
        "profile",
        "Profile",
        "The profile of tasks that don't set one: a name from the list, or that of a profile of your own.",
        section=FIRST_SECTION,
    ),
    ConnectionField(
        "test_endpoint",
        "Test endpoint",
        "The endpoint that the Test button requests with GET, e.g. /me, or an absolute URL.",
        section=FIRST_SECTION,
    ),
    ConnectionField(
        "headers",
        "Headers",
        'Sent with each request to this API and to no other host, e.g. {"X-Org": "42"}. Visible to everyone who may see'
        " connections.",
        "json",
        section=_HEADERS,
    ),
    ConnectionField(
        "secret_headers",
        "Secret headers",
        'Headers whose values are never shown, e.g. {"X-Session-Id": "…"}.',
        "json",
        is_secret=True,
        section=_HEADERS,
    ),
    ConnectionField(
        "variables",
        "Variables",
        'Values for requests, e.g. {"account": "42"} for {connection.account}. As visible as Headers.',
        "json",
        section=_HEADERS,
    ),
    ConnectionField(
        "secrets",
        "Secrets",
        'Variables whose values are never shown, e.g. {"key": "…"} for {connection.key}.',
        "json",
        is_secret=True,
        section=_HEADERS,
    ),
    ConnectionField(
        "send_trace_context",
        "Send trace context",
        "Whether requests have the header traceparent while Airflow's tracing is on, so that the API can continue the"
        " trace. Other hosts than the API and trusted ones never receive it.",
        "flag",
        default=False,
        section=_HEADERS,
    ),
    ConnectionField(
        "max_active_jobs",
        "Active jobs",
        "Maximum number of jobs that run remotely at the same time, over all DAGs and processes; further tasks wait"
        " before they submit. Default: no limit.",
        "number",
        section=_LIMITS,
    ),
    ConnectionField(
        "requests_per_second",
        "Requests per second",
        "Maximum rate of one process. Default: no limit.",
        "number",
        section=_LIMITS,
    ),
    ConnectionField(
        "connections_per_host",
        "Connections per host",
        "Maximum number of connections of one process at the same time. Default: as many as needed.",
        "number",
        section=_LIMITS,
    ),
    ConnectionField(
        "connect_timeout",
        "Connect timeout",
        "Connection timeout in seconds. Default: 10.",
        "number",
        section=_LIMITS,
    ),
    ConnectionField(
        "read_timeout",
        "Read timeout",
        "Seconds without data from the API. Default: 60.",
        "number",
        section=_LIMITS,
    ),
    ConnectionField(
        "verify",
        "Verify certificates",
        "Whether the server needs a valid certificate.",
        "flag",
        default=True,
        section=_TLS,
    ),
    ConnectionField(
        "ca_cert",
        "CA certificates",
        "Path of a PEM file, on workers and triggerers.",
        section=_TLS,
    ),
    ConnectionField("client_cert", "Client certificate", "Path of a PEM file.", section=_TLS),
    ConnectionField(
        "client_key",
        "Client key",
        "Path of a PEM file, if the key isn't in the file of the certificate.",
        section=_TLS,
    ),
    ConnectionField(
        "proxy", "Proxy", "URL of an HTTP proxy, with user and password if needed.", is_secret=True, section=_TLS
    ),
    ConnectionField(
        "trusted_hosts",
        "Trusted hosts",
        "Other hosts that may receive credentials and headers, separated by commas: host (default port), or host:port.",
        "list",
        section=_HOSTS,
    ),
    ConnectionField(
        "other_hosts",
        "Other hosts",
        "The hosts that links and redirects may lead to, without credentials. Default: any.",
        choices={
            "any": "all hosts",
            "listed": "the trusted and the allowed hosts",
            "none": "only the API's own host",
        },
        section=_HOSTS,
    ),
    ConnectionField(
        "allowed_hosts",
        "Allowed hosts",
        "Hosts that requests may go to without credentials, separated by commas: host, host:port, or *.example.com.",
        "list",
        section=_HOSTS,
    ),
    ConnectionField(
        "callback",
        "Callbacks",
        'How the API signs its callbacks, e.g. {"signature": {"header": "X-Signature", "encoding": "hex", "prefix":'
        ' "sha256="}} or {"signature": {"scheme": "standard"}}; and, if one URL is called for all jobs, where a'
        ' callback names its job: "identifier". "events" and "challenge": webhooks that start DAGs.',
        "json",
        section=_CALLBACKS,
    ),
    ConnectionField(
        "callback_secret",
        "Key",
        "The key that callbacks are signed with; a JSON list of several keys while a key is replaced.",
        "list",
        is_secret=True,
        section=_CALLBACKS,
    ),
)
