"""The dashboard and the guide know each metric, and no others; test_monitoring.py runs the dashboard's queries."""

from __future__ import annotations

import json
import re
from pathlib import Path

from airflow_provider_asyncapi.monitoring import metrics

DOCS = Path(__file__).resolve().parents[3] / "docs"
DASHBOARD = json.loads((DOCS / "monitoring" / "grafana-dashboard.json").read_text())
NAMES = {text for text in vars(metrics).values() if isinstance(text, str) and text.startswith("asyncapi.")}


def test_the_guide_has_a_row_for_each_metric() -> None:
    guide = (DOCS / "guides" / "monitoring.md").read_text()
    assert set(re.findall(r"^\| `(asyncapi\.\w+)` \| (?:counter|timer) \|", guide, re.MULTILINE)) == NAMES


def test_the_dashboard_shows_each_metric() -> None:
    expressions = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    shown = {re.sub(r"_count$", "", name) for name in re.findall(r"airflow_asyncapi_(\w+)", expressions)}
    assert shown == {name.removeprefix("asyncapi.") for name in NAMES}


def test_no_two_panels_overlap() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
