import pytest

from airflow_provider_asyncapi.core import errors
from airflow_provider_asyncapi.core.errors import AsyncApiError, TransportError, error_of_kind

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AsyncApiError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_from_its_name_and_message(kind):
    error = error_of_kind(kind.__name__, "what happened")
    assert type(error) is kind
    assert str(error) == "what happened"


def test_an_unknown_kind_is_the_base_class():
    assert type(error_of_kind("KlingonError", "x")) is AsyncApiError


def test_a_transport_error_has_to_be_taken_for_sent_unless_it_says_otherwise():
    assert TransportError("x").sent
    assert not TransportError("x", sent=False).sent
