"""What docs/ says of the metrics is what there is: the dashboard's queries and the table of all metrics."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from imageedit_server.telemetry import metrics

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", [])]

SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
}
OURS: dict[str, MetricWrapperBase] = {
    metric._name: metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
}
LABELS = {
    f"{name}{suffix}": {*metric._labelnames}
    for name, metric in OURS.items()
    for suffix in SUFFIXES[str(metric._type)]
}
OF_THE_PROCESS = {
    sample.name for metric in metrics.REGISTRY.collect() for sample in metric.samples
} - LABELS.keys()
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}

SERIES = re.compile(r"((?:imageedit|process|python)_\w+)\{([^}]*)\}")
GROUPED = re.compile(r"by \(([^)]*)\)")


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_asks_for_series_and_labels_that_exist(title: str, query: str) -> None:
    """Each name is one that ``/metrics`` shows, each label one that it has, each with a filter."""
    series = SERIES.findall(query)
    assert series
    assert len(series) == len(re.findall(r"(?:imageedit|process|python)_\w+", query))
    labels: set[str] = set()
    for name, filters in series:
        assert name in LABELS or name in OF_THE_PROCESS, name
        labels = LABELS.get(name, set()) | ADDED_BY_PROMETHEUS
        assert set(re.findall(r"(\w+)(?:=~|!=|=)", filters)) <= labels
    for grouped in GROUPED.findall(query):
        assert {label.strip() for label in grouped.split(",")} <= labels


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    asked = {name for _, query in QUERIES for name, _ in SERIES.findall(query)}
    unseen = {
        name
        for name, metric in OURS.items()
        if not {name + end for end in SUFFIXES[str(metric._type)]} & asked
    }
    assert unseen == set()


def test_grafana_can_import_it() -> None:
    """What an import needs: variables for the source, panels with ids of their own that do not overlap."""
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["title"]
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)\}?", json.dumps(DASHBOARD)))
    assert used == variables
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert panel["type"] in {"row", "stat", "timeseries"}
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(names)) == len(names) > 0 or panel["type"] == "row"
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        assert not _overlap(one, other)


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[long] and other[at] < one[at] + one[long]
        for at, long in (("x", "w"), ("y", "h"))
    )


def test_a_legend_shows_labels_that_its_query_keeps() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {label.strip() for by in GROUPED.findall(target["expr"]) for label in by.split(",")}
            [(name, _), *_] = SERIES.findall(target["expr"])
            kept = grouped or LABELS.get(name, set()) | {"instance"}
            assert shown <= kept, (panel["title"], target["expr"])


def test_the_table_of_metrics_is_complete() -> None:
    """docs/observability.md lists every metric as it is: name, type, labels and meaning."""
    rows = [
        " | ".join(
            (f"| `{shown(metric)}`", str(metric._type), ", ".join(metric._labelnames), metric._documentation)
        )
        for metric in OURS.values()
    ]
    table = "\n".join(f"{row} |" for row in rows)
    assert table in (DOCS / "observability.md").read_text(), f"the table should be:\n\n{table}\n"


def shown(metric: MetricWrapperBase) -> str:
    """The name that the page shows; a histogram's is that of its three series without their endings."""
    return str(metric._name) + ("" if metric._type == "histogram" else SUFFIXES[str(metric._type)][0])
