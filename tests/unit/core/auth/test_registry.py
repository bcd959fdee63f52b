from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.auth.registry import (
    AUTH_KINDS,
    check_auth_kind,
    check_unused_fields,
    collect_auth_fields,
    collect_connection_fields,
    collect_extra_keys,
)
from airflow_provider_asyncapi.core.connection.fields import ConnectionField
from airflow_provider_asyncapi.core.errors import ConfigurationError


def kind_with(*fields: ConnectionField, name: str = "acme") -> type[ConstantAuth]:
    @dataclass(frozen=True)
    class AcmeAuth(ConstantAuth):
        kind: ClassVar[str] = name
        help: ClassVar[str] = "as Acme does"

        @classmethod
        def parse(cls, values: Mapping[str, Any]) -> Self:
            return cls()

    AcmeAuth.fields = fields
    return AcmeAuth


def test_the_form_offers_each_kind_and_says_what_it_makes_of_login_and_password():
    auth = collect_connection_fields({**AUTH_KINDS, "acme": kind_with()})["auth"]
    assert auth.choices == (*AUTH_KINDS, "acme")
    for said in ("bearer: the password is the token. ", "acme: as Acme does. ", "Default: basic if there is a login"):
        assert said in auth.help


def test_the_fields_of_a_kind_are_keys_of_the_connection():
    own = ConnectionField("acme_secret", "Acme: key", "The key.", is_secret=True)
    kinds = {**AUTH_KINDS, "acme": kind_with(own)}
    assert collect_extra_keys(kinds) - collect_extra_keys() == {"acme_secret"}
    assert collect_auth_fields(kinds)["acme_secret"] is own


def test_a_field_that_several_kinds_read_is_in_the_form_once_after_their_own():
    names = list(collect_auth_fields())
    assert names[-2:] == ["refresh_when", "login_cache"]
    assert len(names) == len(set(names))


def test_a_field_that_only_other_kinds_read_is_refused_with_their_names():
    with pytest.raises(
        ConfigurationError, match="login_cache is for auth 'jwt_bearer' or 'oauth2' or 'login', and auth is 'bearer'"
    ):
        check_unused_fields({"login_cache": "host"}, AUTH_KINDS["bearer"], AUTH_KINDS)
    check_unused_fields({"login_cache": "host", "key_in": ""}, AUTH_KINDS["oauth2"], AUTH_KINDS)


def test_a_kind_of_another_package_is_taken_if_it_has_names_of_its_own():
    shared = collect_auth_fields()["login_cache"]
    kind = kind_with(
        ConnectionField("acme_token", "a", "b", is_secret=True), ConnectionField("acme_org", "a", "b"), shared
    )
    assert check_auth_kind("acme", kind) is kind


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("acme", dict, "auth 'acme': <class 'dict'> isn't a subclass of .*base.Auth"),
        ("acme", "text", "auth 'acme': 'text' isn't a subclass"),
        ("other", kind_with(), "auth 'other': the kind of AcmeAuth is 'acme'"),
        ("basic", kind_with(name="basic"), "auth 'basic': a kind of this name is shipped"),
        (
            "acme",
            kind_with(ConnectionField("proxy", "a", "b")),
            "auth 'acme': the connection has another field named 'proxy'",
        ),
        ("acme", kind_with(ConnectionField("host", "a", "b")), "has another field named 'host'"),
        (
            "acme",
            kind_with(ConnectionField("acme_pin", "a", "b", is_secret=True)),
            "the name of the secret field 'acme_pin' has to hold one of secret, token, password, api_key",
        ),
    ],
)
def test_a_kind_that_can_not_be_told_from_others_or_would_show_its_secrets_is_refused(name, kind, message):
    with pytest.raises(ConfigurationError, match=message):
        check_auth_kind(name, kind)
