import pytest

from airflow_provider_asyncapi.core import plans


@pytest.mark.parametrize("name", plans.__all__)
def test_each_plan_is_found_when_it_is_asked_for(name):
    assert getattr(plans, name).__name__ == name


def test_what_is_no_plan_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"core\.plans' has no attribute 'Nothing'"):
        plans.Nothing  # noqa: B018 - asking is the test
