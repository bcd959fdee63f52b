from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.auth.registry import (
    AUTH_KINDS,
    arrange_form,
    check_unused_fields,
    collect_auth_fields,
    collect_auth_keys,
    collect_connection_fields,
    collect_extra_keys,
)
from airflow_provider_asyncapi.core.connection.fields import ConnectionField
from airflow_provider_asyncapi.core.errors import ConfigurationError
from tests.unit.installed_kinds import install_kind, register_kind


def kind_with(*declared: ConnectionField, named: str = "acme") -> type[ConstantAuth]:
    @dataclass(frozen=True)
    class AcmeAuth(ConstantAuth):
        name: ClassVar[str] = named
        summary: ClassVar[str] = "as Acme does"

        @classmethod
        def parse(cls, values: Mapping[str, Any]) -> Self:
            return cls()

    AcmeAuth.fields = declared
    return AcmeAuth


OWN = ConnectionField("acme_secret", "Acme: key", "The key.", is_secret=True)


def test_the_form_offers_each_kind_and_describes_login_and_password():
    with register_kind(AUTH_KINDS, kind_with()):
        choices = collect_connection_fields()["auth"].choices
        assert list(choices) == list(AUTH_KINDS)
        assert isinstance(choices, Mapping)
        assert choices["bearer"] == "the password is the token"
        assert choices["acme"] == "as Acme does"


def test_the_fields_of_a_kind_are_keys_of_the_connection():
    shipped = collect_extra_keys()
    assert shipped == collect_connection_fields().keys()
    with register_kind(AUTH_KINDS, kind_with(OWN)):
        assert collect_extra_keys() - shipped == {"acme_secret"}
        assert collect_auth_fields()["acme_secret"] is OWN


def test_the_keys_of_the_shipped_kinds_are_known_without_importing_the_kinds():
    assert collect_auth_keys() == collect_auth_fields().keys(), "list the fields in _SHIPPED_FIELDS"


def test_each_shipped_kind_is_listed_by_its_name():
    assert list(AUTH_KINDS) == [kind.name for kind in AUTH_KINDS.values()]


def test_the_form_has_each_field_in_one_section():
    names = [field.name for section in arrange_form().values() for field in section]
    assert sorted(names) == sorted(collect_connection_fields())


def test_the_form_begins_with_the_choice_of_the_kind_and_goes_on_with_the_fields_of_the_kinds():
    (first, *others) = arrange_form().items()
    assert first[0] == "Authentication and profile"
    assert [field.name for field in first[1]] == ["auth", "profile", "test_endpoint"]
    general = [heading for heading, _ in others if "(" not in heading]
    assert [heading for heading, _ in others][-len(general) :] == general


def test_the_heading_of_a_section_names_the_kinds_that_read_its_fields():
    for heading, section in arrange_form().items():
        if not heading.endswith(")"):
            continue
        named = heading.rpartition(" (")[2].removesuffix(")").split(", ")
        names = {field.name for field in section}
        assert named == [name for name, kind in AUTH_KINDS.items() if names & {field.name for field in kind.fields}]


def test_a_kind_of_another_package_has_a_section_of_its_own_beside_the_fields_that_it_shares():
    with register_kind(AUTH_KINDS, kind_with(OWN, SHARED)):
        sections = arrange_form()
        assert sections["acme (acme)"] == (OWN,)
        assert (
            SHARED in sections["Renewal of tokens (oauth2, oauth2_password, oauth2_refresh, jwt_bearer, login, acme)"]
        )
    named = kind_with(OWN)
    named.section = "Acme"
    with register_kind(AUTH_KINDS, named):
        assert arrange_form()["Acme (acme)"] == (OWN,)


def test_a_field_that_only_other_kinds_read_is_refused_with_their_names():
    with pytest.raises(
        ConfigurationError,
        match=r"login_cache is for auth 'oauth2' or 'oauth2_password' or .*'login', and auth is 'bearer'",
    ):
        check_unused_fields({"login_cache": "host"}, AUTH_KINDS["bearer"])
    check_unused_fields({"login_cache": "host", "key_in": ""}, AUTH_KINDS["oauth2"])


SHARED = collect_auth_fields()["login_cache"]
ACME = kind_with(ConnectionField("acme_token", "a", "b", is_secret=True), ConnectionField("acme_org", "a", "b"), SHARED)
NO_CLASS = "text"
OTHER_BASIC = kind_with(named="basic")
KNOWN_FIELD = kind_with(ConnectionField("proxy", "a", "b"))
COLUMN = kind_with(ConnectionField("host", "a", "b"))
VISIBLE_SECRET = kind_with(ConnectionField("acme_pin", "a", "b", is_secret=True))


@contextmanager
def installed(site: Path, name: str, value: str) -> Iterator[None]:
    """Have a package that adds a kind of authentication, which is loaded."""
    with install_kind(site, AUTH_KINDS, name, f"{__name__}:{value}"):
        AUTH_KINDS.load_if_needed({"auth": name, "acme_org": "x"})
        yield


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_kind_of_another_package_is_added_if_it_has_names_of_its_own(site):
    with installed(site, "acme", "ACME"):
        assert AUTH_KINDS.parse("acme") is ACME
    assert "acme" not in AUTH_KINDS


@pytest.mark.parametrize(
    "values", [{}, {"auth": ""}, {"auth": "login", "login_selector": "a", "host": "h", "login": "x"}]
)
def test_other_packages_are_not_loaded_for_a_connection_of_a_shipped_kind(site, values):
    with install_kind(site, AUTH_KINDS, "acme", f"{__name__}:ACME"):
        AUTH_KINDS.load_if_needed(values)
        assert "acme" not in AUTH_KINDS


@pytest.mark.parametrize("values", [{"auth": "acme"}, {"acme_org": "x"}, {"auth": ["odd"]}])
def test_other_packages_are_loaded_for_an_unknown_kind_or_key(site, values):
    with install_kind(site, AUTH_KINDS, "acme", f"{__name__}:ACME"):
        AUTH_KINDS.load_if_needed(values)
        assert AUTH_KINDS["acme"] is ACME


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("acme", "NO_CLASS", "'text' isn't a subclass of .*base.Auth"),
        ("acme", "Path", "isn't a subclass of .*base.Auth"),
        ("other", "ACME", "AcmeAuth'> isn't 'other'"),
        ("acme", "KNOWN_FIELD", "the connection has another field named 'proxy'"),
        ("acme", "COLUMN", "has another field named 'host'"),
        (
            "acme",
            "VISIBLE_SECRET",
            "the name of the secret field 'acme_pin' has to contain one of secret, token, password, api_key",
        ),
    ],
)
def test_a_kind_that_conflicts_with_others_or_would_show_its_secrets_is_refused(site, name, value, message):
    with installed(site, name, value), pytest.raises(ConfigurationError, match=f"auth: the entry point .*{message}"):
        AUTH_KINDS.parse(name)


def test_a_kind_of_another_package_replaces_no_shipped_one(site):
    shipped = AUTH_KINDS["basic"]
    with installed(site, "basic", "OTHER_BASIC"):
        assert AUTH_KINDS["basic"] is shipped
        assert "there is a 'basic' already" in AUTH_KINDS.problems["basic"]
