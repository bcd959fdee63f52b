"""Names are imported at their first use."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_asyncapi.core.lazy_names import load_lazily


def test_a_module_is_imported_at_the_first_use_of_a_name(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    namespace = {"__name__": "lazy"}
    load = load_lazily(namespace, {"colorsys": "rgb_to_hls hls_to_rgb"})
    assert "colorsys" not in sys.modules
    found = load("hls_to_rgb")
    assert found is sys.modules["colorsys"].hls_to_rgb
    # The module finds the name without __getattr__ from now on.
    assert namespace == {"__name__": "lazy", "hls_to_rgb": found}


def test_a_name_that_is_not_listed_is_a_missing_attribute():
    with pytest.raises(AttributeError, match="module 'lazy' has no attribute 'other'"):
        load_lazily({"__name__": "lazy"}, {"colorsys": "rgb_to_hls"})("other")
