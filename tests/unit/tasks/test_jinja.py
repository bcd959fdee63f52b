from __future__ import annotations

import pytest

from airflow_provider_asyncapi.tasks.jinja import has_template


@pytest.mark.parametrize("text", ["/jobs/{{ ds }}", "{% if a %}/x{% endif %}", "/x{# why #}"])
def test_a_text_that_airflow_renders_has_a_template(text: str) -> None:
    assert has_template(text)


@pytest.mark.parametrize("text", ["", "/jobs/{identifier}", "50 %}", '{"a": {}}'])
def test_variables_of_a_request_are_no_template(text: str) -> None:
    assert not has_template(text)
