"""The model card of a release, after Mitchell et al. 2019 (https://arxiv.org/abs/1810.03993)."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment

from emotion_ai.registry.releases import ReleaseInfo

_TEMPLATE = """# Emotion-AI: keypoints and emotion of a face

Given a grayscale picture of one face, this model says where the fifteen keypoints are and how
probable each of {{ info.labels | length }} emotions is: {{ info.labels | join(", ") }}
(label set `{{ info.label_set }}`).

## Why it was accepted

{% if info.gate.forced %}The gate was overruled by hand: {{ info.gate.forced }}
{% else %}The gate accepted it.
{% endif %}{% for reason in info.gate.reasons %}
- {{ reason }}{% endfor %}

## Trained on

| faces | source | rows | train | validation | test | fingerprint |
|---|---|---|---|---|---|---|
{% for name, data in info.data.items() -%}
| {{ name }} | `{{ data.source }}` | {{ data.rows }} | {{ data.counts.train }} | {{ data.counts.validation }} | {{ data.counts.test }} | `{{ data.fingerprint[:16] }}` |
{% endfor %}
No image stands in two splits, pixel for pixel, and no person whose pictures are marked as hers
does. Left out for that, or for being of one gray:
{% for name, data in info.data.items() %}{% for reason, rows in data.counts.items() if reason.startswith("dropped_") and rows %}
- {{ name }}: {{ rows }} rows, {{ reason[8:] | replace("_", " ") }}{% endfor %}{% endfor %}

{% if info.training -%}
| network | parameters | epochs (best) | minutes | started from | learnt from | backend | machine |
|---|---|---|---|---|---|---|---|
{% for name, t in info.training.items() -%}
| {{ name }} | {{ "{:,}".format(t.parameters) }} | {{ t.epochs }} ({{ t.best_epoch }}) | {{ (t.seconds / 60) | round | int }} | {{ t.start or "random weights" }} | {{ t.teachers | join(", ") or "the labels alone" }} | {{ t.backend }} | {{ t.machine }} |
{% endfor %}
{% for name, t in info.training.items() if t.settings -%}
- {{ name }}, seed {{ t.seed }}: `{{ t.settings | tojson }}`
{% endfor %}{% for name, t in info.training.items() if t.temperature %}
- {{ name }}: logits are divided by the temperature {{ "%.2f" % t.temperature }}, chosen on validation ([Guo et al. 2017](https://arxiv.org/abs/1706.04599))
{%- endfor %}{% for name, t in info.training.items() if t.score_float16 %}
- {{ name }}: kernels are rounded to float16: {{ t.score_name }} on validation {{ "%.4f" % t.score_float32 }} before, {{ "%.4f" % t.score_float16 }} after
{%- endfor %}

Each network is that of the epoch with the best score on its validation split, so its score there
is a little too good; the test split was not looked at.
{%- endif %}

## Scores

In brackets 95 % confidence intervals, bootstrapped over people where they are known and over faces
where not.

{% for table in tables -%}
| {{ table[0] | join(" | ") }} |
|{% for _ in table[0] %}---|{% endfor %}
{% for row in table[1:] -%}
| {{ row | join(" | ") }} |
{% endfor %}
{% endfor -%}
{% if info.lite -%}
## model.tflite

The same networks for LiteRT, with weights of {{ info.lite.weights }}: what a server answers from
with `--prefer_tflite_model`. On faces of validation and test:

| faces | score | `saved_model.pb` | `model.tflite` |
|---|---|---|---|
{% for row in lite -%}
| {{ row | join(" | ") }} |
{% endfor %}
{% endif -%}
## Intended use and limits

- It takes a picture as a face: it does not find faces and does not tell that there is none.
- It names the expression that a person would read off the picture, not what its owner feels. It is
  no ground for decisions about a person. Its labels are people's guesses and contradict each
  other for some pictures.
- Posed and spontaneous faces differ: scores on the one say little about the other.
- Keypoints are as good as those it learnt from; where a machine made these, its errors are learnt.
- Its errors differ between groups of people as far as its training faces do; the groups in these
  faces are not annotated, so no such difference has been measured.

## Where it comes from

- made {{ info.created }} by run `{{ info.run_id }}`
- code revision `{{ info.revision }}`
- content digest `{{ info.content_digest }}`
- champion at that time: {{ info.parent if info.parent is not none else "none" }}
- packages: {% for name, version in info.packages.items() | sort %}{{ name }} {{ version }}{{ ", " if not loop.last }}{% endfor %}
"""  # noqa: E501 - a line of the template is a line of the card

Table = list[list[str]]


def model_card(info: ReleaseInfo) -> str:
    """The card as Markdown, ending in a newline."""
    emotions = _by_split(info.metrics, "expression")
    keypoints = _by_split(info.metrics, "keypoints")
    tables = [
        _expression_table(emotions),
        _slices(emotions, "emotion: recall, precision", ("recall", "precision"), "{:.3f}"),
        _keypoint_table(keypoints),
        _slices(keypoints, "keypoint: RMSE, px", ("rmse_px",), "{:.2f}"),
    ]
    # Markdown, not HTML: escaping would show.
    page = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701
    shown = [table for table in tables if len(table) > 1]
    return page.from_string(_TEMPLATE).render(info=info, tables=shown, lite=_lite_rows(info.lite))


def _lite_rows(lite: Mapping[str, Any]) -> Table:
    """Faces, score, and what the SavedModel and model.tflite reach, as combine measured it."""
    forms = {"accuracy": "{:.4f}", "rmse_px": "{:.3f}"}
    return [
        [f"{kind}, {scores['rows']:.0f} faces", name]
        + [_number(scores, key, form) for key in (f"{name}_saved_model", name)]
        for kind, scores in lite.items()
        if isinstance(scores, Mapping)
        for name, form in forms.items()
        if name in scores
    ]


def _by_split(metrics: Mapping[str, Any], half: str) -> dict[str, dict[str, float]]:
    """Scores by the split's name; `metrics` are named half/split/score."""
    splits: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        if name.count("/") >= 2 and isinstance(value, int | float):
            of, split, score = name.split("/", 2)
            if of == half:
                splits.setdefault(split, {})[score] = value
    return splits


def _expression_table(splits: dict[str, dict[str, float]]) -> Table:
    head = ["expression", "faces", "accuracy", "balanced accuracy", "macro F1"]
    head += ["calibration error (15 bins)", "always the most frequent"]
    rows = []
    for split, scores in splits.items():
        row = [split, _number(scores, "rows", "{:.0f}"), _interval(scores, "accuracy", "{:.3f}")]
        names = ("balanced_accuracy", "macro_f1", "calibration_error", "baseline_accuracy")
        rows.append(row + [_number(scores, name, "{:.3f}") for name in names])
    return [head, *rows]


def _keypoint_table(splits: dict[str, dict[str, float]]) -> Table:
    head = ["keypoints", "faces", "RMSE, px of 96", "NME", "share of faces under 5 % NME"]
    head += ["RMSE of the mean face, px"]
    rows = []
    for split, scores in splits.items():
        row = [split, _number(scores, "rows", "{:.0f}"), _interval(scores, "rmse_px", "{:.2f}")]
        row += [_number(scores, "nme", "{:.4f}")]
        row += [_number(scores, "share_under_5_percent_nme", "{:.3f}")]
        rows.append([*row, _number(scores, "baseline_rmse_px", "{:.2f}")])
    return [head, *rows]


def _slices(
    splits: dict[str, dict[str, float]], title: str, scores: tuple[str, ...], form: str
) -> Table:
    """Scores by emotion or keypoint, a column a split."""
    parts = {
        name.partition("/")[2]: None
        for values in splits.values()
        for name in values
        if name.startswith(f"{scores[0]}/")
    }
    rows = [
        [part]
        + [", ".join(_number(v, f"{s}/{part}", form) for s in scores) for v in splits.values()]
        for part in parts
    ]
    return [[title, *splits], *rows]


def _interval(scores: Mapping[str, float], name: str, form: str) -> str:
    bounds = [_number(scores, f"{name}_{side}", form) for side in ("low", "high")]
    return f"{_number(scores, name, form)} ({bounds[0]} - {bounds[1]})"


def _number(scores: Mapping[str, float], name: str, form: str) -> str:
    return form.format(scores[name]) if name in scores else "not measured"
