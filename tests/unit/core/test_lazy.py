"""Modules are imported at their first use."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_asyncapi.core.lazy import LazyModule, load_lazily, load_object


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


def test_a_lazy_module_is_imported_at_the_first_use_of_one_of_its_names(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    colorsys = LazyModule("colorsys")
    assert "colorsys" not in sys.modules
    assert colorsys.hls_to_rgb is sys.modules["colorsys"].hls_to_rgb
    # The lazy module holds the name from now on.
    assert vars(colorsys)["hls_to_rgb"] is sys.modules["colorsys"].hls_to_rgb
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        _ = colorsys.other


def test_an_object_is_loaded_by_its_import_path():
    assert load_object("airflow_provider_asyncapi.core.lazy:LazyModule") is LazyModule
    with pytest.raises(ImportError):
        load_object("airflow_provider_asyncapi.core.nothing:LazyModule")
