"""How Sphinx builds the site; ``scripts/docs_site.py`` gathers its pages and calls Sphinx."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Generic, String

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "airflow-provider-asyncapi"
author = "The airflow-provider-asyncapi authors"
copyright = author  # noqa: A001
version = release = os.environ["DOCS_VERSION"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
nitpicky = True
# Airflow's classes and Python's have sites of their own, whose inventories can't be read without a network.
nitpick_ignore_regex = [("py:.*", r"(?!airflow_provider_asyncapi).*")]

# GitHub's anchors, down to the recipes of the cookbook.
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Without those of parameters that the docstring leaves out, such as `kwargs`.
autodoc_typehints_description_target = "documented"
maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
add_module_names = False

templates_path = ["templates"]
html_theme = "furo"
html_title = project
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"top_of_page_buttons": []}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# Readers copy the commands of a transcript, without its prompts and its output.
copybutton_prompt_text = "$ "

# The pages themselves are in the repository.
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_use_index = False
html_domain_indices = False


class TranscriptLexer(RegexLexer):
    """
    Transcripts of a terminal, with a dollar as prompt.

    Pygments' own lexer takes comments in the output for commands of root.
    """

    name = "Transcript"
    tokens = {"root": [(r"^(\$ )(.*\n)", bygroups(Generic.Prompt, String.Other)), (r".*\n", Generic.Output)]}  # noqa: RUF012


def setup(app: Sphinx) -> None:
    """Add what Sphinx finds here."""
    app.add_lexer("console", TranscriptLexer)
