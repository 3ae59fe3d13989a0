"""The page: the last evaluation, its charts, pictures and model in one HTML file that opens offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from scones_ops.errors import HandoffInvalid
from scones_ops.evaluation.store import Evaluation, Record, evaluation_dir, read_evaluation
from scones_ops.evaluation.text import NAMES, interval, percent
from scones_ops.files import write_whole
from scones_ops.handoff import read_handoff
from scones_ops.report import charts, charts_quality, content, style
from scones_ops.report.charts import Table
from scones_ops.settings import Settings

WRONG, UNSURE = 24, 12  # pictures in the gallery at most


@dataclass(frozen=True)
class Drawn:
    """A chart as it stands on the page, and its PNG."""

    name: str
    title: str
    caption: str
    svg: Markup
    png: bytes
    table: Table


@dataclass(frozen=True)
class Shown:
    """A picture of the gallery; `uri` is None where its file is not on disk."""

    record: Record
    outcome: str
    uri: str | None


@dataclass(frozen=True)
class Card:
    """The model card's rows; `absent` says in a line why there is none, `note` what does not fit."""

    rows: tuple[tuple[str, str], ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    absent: str | None = None
    note: str | None = None


def write_report(settings: Settings) -> Path:
    """Write build/<workspace>/report/ from the last evaluation; return the path of its index.html.

    The charts lie beside it as PNG; the page needs none of them. Raises EvaluationMissing before `make
    evaluate`.
    """
    evaluation, records = read_evaluation(evaluation_dir(settings))
    folder = settings.build_dir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw(evaluation, records)
    for chart in drawn:
        write_whole(folder / f"{chart.name}.png", chart.png)
    page = render(evaluation, records, drawn, model_card(settings, evaluation), settings.dataset_dir)
    write_whole(folder / "index.html", page.encode())
    return folder / "index.html"


def draw(evaluation: Evaluation, records: Sequence[Record]) -> tuple[Drawn, ...]:
    """Return all charts in the order of the page."""
    with style.drawing():
        made = (
            charts.predictions(evaluation, records),
            charts_quality.confusion(evaluation),
            charts.confidence_over_time(evaluation, records),
            charts.classes_over_time(evaluation, records),
            charts_quality.risk_coverage(evaluation),
            charts_quality.reliability(evaluation),
            charts.execution_times(evaluation, records),
        )
        return tuple(
            Drawn(
                name=chart.name,
                title=chart.title,
                caption=chart.caption,
                svg=Markup(style.svg(chart.figure, chart.name, chart.alt)),  # noqa: S704  our own, escaped
                png=style.png(chart.figure),
                table=chart.table,
            )
            for chart in made
        )


def render(
    evaluation: Evaluation, records: Sequence[Record], drawn: Sequence[Drawn], card: Card, pictures: Path
) -> str:
    """Return the page's HTML; `pictures` is the folder of the data set, for the gallery."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _unbroken(percent),
        "interval": _unbroken(interval),
        "breakable": lambda name: name.replace("_", "_\N{ZERO WIDTH SPACE}"),
    }
    wrong, unsure = content.misclassified(records), content.least_confident(records)
    return environment.get_template("index.html.j2").render(
        evaluation=evaluation,
        names=NAMES,
        charts=drawn,
        choices=content.choices(evaluation, records),
        card=card,
        wrong=[_shown(record, pictures) for record in wrong[:WRONG]],
        wrong_total=len(wrong),
        unsure=[_shown(record, pictures) for record in unsure[:UNSURE]],
    )


def model_card(settings: Settings, evaluation: Evaluation) -> Card:
    """Return the model card from the handoff file, or why there is none."""
    try:
        handoff = read_handoff(settings)
    except HandoffInvalid as error:
        return Card(absent=str(error))
    if handoff is None:
        return Card(
            absent="No model has been handed over in this workspace: training's own record is missing."
        )
    model = asdict(handoff.model)
    metrics: Mapping[str, Any] = model.pop("metrics")
    note = None
    if handoff.model.name != evaluation.model:
        note = (
            f"The handoff file now names {handoff.model.name}; the numbers on this page are of "
            f"{evaluation.model}. Run `make evaluate` for the new one."
        )
    return Card(
        rows=tuple((name.replace("_", " "), _plain(value)) for name, value in model.items()),
        metrics=tuple((name.replace("_", " "), _plain(value)) for name, value in sorted(metrics.items())),
        note=note,
    )


def _unbroken(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return `write` with spaces that a line does not break at."""
    return lambda value: write(value).replace(" ", "\N{NO-BREAK SPACE}")


def _plain(value: Any) -> str:
    """Return a value of the model's record as text for a reader."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _shown(record: Record, pictures: Path) -> Shown:
    """Return `record` with its picture, found by the part of its key after datasets/<id>/."""
    path = pictures / record.key.split("/", 2)[-1]
    uri = None
    if path.suffix == ".png" and path.resolve().is_relative_to(pictures.resolve()) and path.is_file():
        uri = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    return Shown(record, NAMES[record.status], uri)
