"""
Templates of ``job``: a job handle stays one, and text stays text.

Airflow turns what a template gives into text, or with ``render_template_as_native_obj`` text into whatever it can be
read as. Both are wrong here: an identifier is the API's, and mustn't become a handle by what it says.
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

    :return: of a template that is one expression, such as ``{{ ti.xcom_pull('submit', key='job') }}``, the value of
        that; of any other the text.
    """
    parsed = env.parse(template.strip())
    variables = dict(context)
    match parsed.body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            assignment = nodes.Assign(nodes.Name("value", "store"), expression, lineno=1)
            value = env.from_string(nodes.Template([assignment], lineno=1)).make_module(variables).value  # type: ignore[attr-defined]
            # An undefined variable is an error as soon as it becomes text.
            return str(value) if jinja2.is_undefined(value) else value
    compiled = env.from_string(parsed)
    return "".join(map(str, compiled.root_render_func(compiled.new_context(variables))))
