import pytest

from airflow_provider_asyncapi.core.connection.fields import (
    ConnectionField,
    check_text_fields,
    find_secret_values,
    read_list,
    read_mapping,
)
from airflow_provider_asyncapi.core.errors import ConfigurationError

SECRET = "geheimnis"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"password": "geheimnis"', "x isn't JSON: Expecting ',' delimiter at line 1, column 25"),
        ("geheimnis", "x isn't JSON: Expecting value at line 1, column 1"),
        ('["geheimnis"]', "x has to be a JSON object, not list"),
        (7, "x has to be a JSON object, not int"),
        ("1" * 5000, "x is JSON that can't be read"),
        ("[" * 200_000, "x is JSON that can't be read"),
    ],
)
def test_a_field_that_holds_no_json_object_is_an_error_that_does_not_show_it(value, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_mapping({"x": value}, "x")
    assert SECRET not in str(caught.value)


def test_an_object_may_be_given_as_text_or_not_at_all():
    assert read_mapping({"x": '{"a": 1}'}, "x") == read_mapping({"x": {"a": 1}}, "x") == {"a": 1}
    assert read_mapping({}, "x") == read_mapping({"x": ""}, "x") == read_mapping({"x": None}, "x") == {}


def test_a_list_may_be_given_as_text_or_not_at_all():
    assert read_list({"x": " a, b\n\nc,"}, "x") == read_list({"x": ["a", "b", "c"]}, "x") == ["a", "b", "c"]
    assert read_list({}, "x") == read_list({"x": ""}, "x") == []


def test_some_texts_may_be_given_as_the_object_that_they_hold():
    check_text_fields({"key": {"a": 1}, "text": "b"}, ["key", "text"], objects=["key"])
    with pytest.raises(ConfigurationError, match="text has to be text, not dict"):
        check_text_fields({"text": {"password": SECRET}}, ["key", "text"], objects=["key"])
    with pytest.raises(ConfigurationError, match="key has to be text, not list"):
        check_text_fields({"key": [SECRET]}, ["key"], objects=["key"])


def test_of_an_object_in_place_of_a_secret_text_only_its_secret_keys_are_masked():
    field = ConnectionField("key_secret", "Key", "A key file.", is_secret=True, object_secrets=("private_key", "pin"))
    account = {"type": "service_account", "private_key": SECRET}
    assert list(find_secret_values({"key_secret": SECRET}, [field])) == [SECRET]
    assert list(find_secret_values({"key_secret": account}, [field])) == [[SECRET]]
