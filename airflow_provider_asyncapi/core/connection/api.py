"""The API that flows send requests to: its connection, a clock, random numbers, and what its requests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import UnsafeValueError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.http.redaction import Redactor
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.requests.bodies import RenderedBody
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.templates import CONNECTION

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import CredentialsLender, RotatingTokenStore, TokenStore


@dataclass(frozen=True, slots=True)
class Api:
    """
    The API that a flow sends requests to, with the clock and the random numbers of the flow.

    :param settings: the connection.
    :param redact: removes secrets from a text.
    :param clock: returns seconds since the epoch.
    :param rng: returns random numbers in [0, 1), for the times of requests.
    :param make_nonce: returns a new text that nobody can guess, of 32 hexadecimal digits.
    :param tokens: the store in which processes share tokens; None if each process requests its own.
    :param rotating_tokens: the store of the newest token, if the connection has a refresh token that is replaced.
    :param lender: returns the credentials of another connection, if the connection uses them.
    :param auth_memory: the state of the kind of authentication between requests.
    :param inspect_file: returns a file that a request sends, given its path or URL; it may block. None in processes
        that send no files.
    """

    settings: ConnectionSettings
    redact: Redactor
    clock: Callable[[], float]
    rng: Callable[[], float]
    make_nonce: Callable[[], str]
    tokens: TokenStore | None = None
    rotating_tokens: RotatingTokenStore | None = None
    lender: CredentialsLender | None = None
    auth_memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    inspect_file: Callable[[str], SourceFile] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_settings(
        cls,
        settings: ConnectionSettings,
        *,
        clock: Callable[[], float],
        rng: Callable[[], float],
        make_nonce: Callable[[], str],
        tokens: TokenStore | None = None,
        rotating_tokens: RotatingTokenStore | None = None,
        lender: CredentialsLender | None = None,
        inspect_file: Callable[[str], SourceFile] | None = None,
    ) -> Api:
        """Return the API of a connection."""
        redact = Redactor(settings.secrets())
        return cls(settings, redact, clock, rng, make_nonce, tokens, rotating_tokens, lender, inspect_file=inspect_file)

    def seconds_until(self, until: float | None) -> float | None:
        """
        Return the seconds until a time, which are negative if it has passed; None if there is no time.

        :param until: the time, in seconds since the epoch.
        """
        return None if until is None else until - self.clock()

    @property
    def scope(self) -> Mapping[str, JsonValue]:
        """The variables that the connection sets in every template."""
        return self.settings.variables

    def merge_variables(self, *mappings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """
        Return all variables that a request may use.

        The variables of the connection can't be replaced, and no others may begin with its prefix.

        :param mappings: the variables of the job, its responses and the task; later ones replace earlier ones.
        """
        known = {name: value for each in mappings for name, value in each.items()}
        for name in [name for name in known if name.startswith(CONNECTION)]:
            del known[name]
        return {**known, **self.settings.variables}

    def render_address(
        self, template: RequestTemplate, variables: Mapping[str, JsonValue], *, reference_base: str | None = None
    ) -> Request:
        """Return method and URL of a request, for messages; :meth:`render_request` describes the arguments."""
        url = template.render_url(variables, self.settings.base_url, reference_base=reference_base)
        return Request(template.method, url)

    def render_request(
        self,
        template: RequestTemplate,
        variables: Mapping[str, JsonValue],
        *,
        reference_base: str | None = None,
        body: RenderedBody | None = None,
    ) -> Request:
        """
        Return the request of a template.

        :param variables: the return value of :meth:`merge_variables`.
        :param reference_base: the URL against which a relative reference from the API is resolved.
        :param body: as for :meth:`~.request_template.RequestTemplate.render`.
        :raises UnsafeValueError: if it would send a credential to a host that isn't trusted.
        :raises ConfigurationError: as :meth:`~.request_template.RequestTemplate.render` does.
        """
        settings = self.settings
        request = template.render(variables, settings.base_url, reference_base=reference_base, body=body)
        if not settings.trusts(request.url) and (named := settings.confidential_variables & template.find_variables()):
            raise UnsafeValueError(
                f"{request}: not sent, since the request contains {{{min(named)}}}, and another host gets no"
                " credentials;"
                " list the host in the connection's trusted_hosts if it may see them, or leave the variable out"
            )
        return request
