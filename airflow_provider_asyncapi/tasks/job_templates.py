"""
Render templates of ``job`` so that a job handle stays one, and text stays text.

Airflow turns the value of a template into text, or with ``render_template_as_native_obj`` text into any Python literal
that it looks like. Both are wrong for a job: an identifier comes from the API, and must not become a job handle by its
content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping


def render_job(template: str, context: Mapping[str, Any], env: jinja2.Environment) -> Any:
    """
    Render the template of a job.

    :return: the value of the expression if the template is one expression, such as
        ``{{ ti.xcom_pull('submit', key='job') }}``; the text of any other template.
    """
    parsed = env.parse(template.strip())
    variables = dict(context)
    match parsed.body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            assignment = nodes.Assign(nodes.Name("value", "store"), expression, lineno=1)
            module = env.from_string(nodes.Template([assignment], lineno=1)).make_module(variables)
            value = module.value  # type: ignore[attr-defined]  # assigned by the template
            # An undefined variable is an error as soon as it becomes text.
            return str(value) if jinja2.is_undefined(value) else value
    compiled = env.from_string(parsed)
    return "".join(map(str, compiled.root_render_func(compiled.new_context(variables))))
