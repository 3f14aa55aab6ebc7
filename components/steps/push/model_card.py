"""Write a release's model card, after Mitchell et al. 2019 (https://arxiv.org/abs/1810.03993)."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from emotion_ai.markdown_text import escape_markdown, markdown_code, markdown_row
from emotion_ai.registry.releases import ReleaseInfo
from emotion_ai.registry.scores import scores_by_split
from emotion_ai.steps.push.refusal_section import refusal_section

_TEMPLATE = """# Emotion-AI: keypoints and emotion of a face

Given a grayscale picture of one face, this model says where the fifteen keypoints are and how
probable each of {{ info.labels | length }} emotions is: {{ info.labels | join(", ") }}
(label set {{ info.label_set | code }}).

## Why it was accepted

{% if info.gate.forced %}The gate was overruled by hand: {{ info.gate.forced }}
{% else %}The gate accepted it.
{% endif %}{% for reason in info.gate.reasons %}
- {{ reason }}{% endfor %}

## Trained on

| faces | source | rows | train | validation | test | fingerprint |
|---|---|---|---|---|---|---|
{% for name, data in info.data.items() -%}
| {{ name }} | {{ data.source | code }} | {{ data.rows }} | {{ data.counts.train }} | {{ data.counts.validation }} | {{ data.counts.test }} | {{ data.fingerprint[:16] | code }} |
{% endfor %}{% if info.seen %}
Its networks started from others, or learnt from them, which had seen these faces:

| source | rows | through | fingerprint |
|---|---|---|---|
{% for seen in info.seen -%}
| {{ seen.source | code }} | {{ seen.rows or "not known" }} | {{ seen.through }} | {{ (seen.fingerprint[:16] or "not known") | code }} |
{% endfor %}{% endif %}
No two splits share an image, pixel for pixel, or a person whose pictures are known to be of one
person. Rows left out for that reason, or because the image is of one gray:
{% for name, data in info.data.items() %}{% for reason, rows in data.counts.items() if reason.startswith("dropped_") and rows %}
- {{ name }}: {{ rows }} rows, {{ reason[8:] | replace("_", " ") }}{% endfor %}{% endfor %}

{% if info.training -%}
| network | parameters | epochs (best) | minutes | started from | learnt from | backend | machine |
|---|---|---|---|---|---|---|---|
{% for name, t in info.training.items() -%}
| {{ name }} | {{ "{:,}".format(t.parameters) }} | {{ t.epochs }} ({{ t.best_epoch }}) | {{ (t.seconds / 60) | round | int }} | {{ t.start or "random weights" }} | {{ t.teachers | join(", ") or "the labels alone" }} | {{ t.backend }} | {{ t.machine }} |
{% endfor %}
{% for name, t in info.training.items() if t.settings -%}
- {{ name }}, seed {{ t.seed }}: {{ t.settings | tojson | code }}
{% endfor %}{% for name, t in info.training.items() if t.taken_from %}
- {{ name }}: not trained on these faces: the weights of {{ t.taken_from }}, whose training the table shows
{%- endfor %}{% for name, t in info.training.items() if t.temperature %}
- {{ name }}: logits are divided by the temperature {{ "%.2f" % t.temperature }}, chosen on validation ([Guo et al. 2017](https://arxiv.org/abs/1706.04599))
{%- endfor %}{% for name, t in info.training.items() if t.score_float16 %}
- {{ name }}: kernels are rounded to float16: {{ t.score_name }} on validation {{ "%.4f" % t.score_float32 }} before, {{ "%.4f" % t.score_float16 }} after
{%- endfor %}

Each network is that of the epoch with the best score on its validation split, so its score there
is slightly optimistic; the test split was not used.
{%- endif %}

## Scores

In brackets: 95 % confidence intervals, bootstrapped over people if they are known and over faces if
not.

{% for table in tables -%}
{{ table[0] | row }}
|{% for _ in table[0] %}---|{% endfor %}
{% for row in table[1:] -%}
{{ row | row }}
{% endfor %}
{% endfor -%}
{% if info.lite -%}
## model.tflite

The same networks for LiteRT, with weights of {{ info.lite.weights }}: what a server answers from
with `--prefer_tflite_model`. On faces of validation and test:

| faces | score | `saved_model.pb` | `model.tflite` |
|---|---|---|---|
{% for row in lite -%}
{{ row | row }}
{% endfor %}
{% endif -%}
{{ refusal }}
## Intended use and limits

- It expects one face: it does not find faces in a picture.
- It names the expression that people see in the picture, not what the person feels. Do not base
  decisions about a person on it. Its labels are people's guesses and contradict each other for some
  pictures.
- In the EU it is prohibited to infer emotions of people at work or in education, but for medical or
  safety reasons ([AI Act](https://eur-lex.europa.eu/eli/reg/2024/1689/oj), Article 5(1)(f)).
  Elsewhere there it is high-risk (Annex III) and people must be told of it (Article 50(3)). Other
  countries have laws of their own. This is no legal advice.
- Posed and spontaneous faces differ: scores on the one say little about the other.
- Keypoints are as good as the annotations; if a program made these, its errors are learnt too.
- Its errors may differ between groups of people, as its training faces do. Groups are not annotated
  in these faces, so no such difference has been measured.

## Licence of the weights

{{ rights }}

## Origin

- created {{ info.created }} by run {{ info.run_id | code }}
- code revision {{ info.revision | code }}
- content digest {{ info.content_digest | code }}
- champion at that time: {{ info.parent if info.parent is not none else "none" }}
- packages: {% for name, version in info.packages.items() | sort %}{{ name }} {{ version }}{% if not loop.last %}, {% endif %}{% endfor %}
"""  # noqa: E501 - a line of the template is a line of the card

# Nobody is asked for them.
_UNKNOWN_RIGHTS = """\
Not stated. Who trained the networks decides on it, as far as the licences of the faces above allow,
and those of the networks that they started from or learnt from. None of these was checked."""

Table = list[list[str]]


def model_card(info: ReleaseInfo, rights: str = _UNKNOWN_RIGHTS) -> str:
    """Render the model card of a release.

    Args:
        info: The content of release.json.
        rights: Markdown: the licence of its weights, and of what they were made of.

    Returns:
        The card as Markdown, with a newline at its end.
    """
    expression = scores_by_split(info.metrics, "expression")
    keypoints = scores_by_split(info.metrics, "keypoints")
    tables = [
        _expression_table(expression),
        _part_table(expression, "emotion: recall, precision", ("recall", "precision"), "{:.3f}"),
        _keypoint_table(keypoints),
        _part_table(keypoints, "keypoint: RMSE, px", ("rmse_px",), "{:.2f}"),
    ]
    # Markdown, not HTML: every text is escaped by `_finalize`.
    environment = Environment(  # noqa: S701 - see above
        keep_trailing_newline=True, finalize=_finalize
    )
    environment.filters["code"] = lambda text: Markup(markdown_code(text))  # noqa: S704
    environment.filters["row"] = lambda cells: Markup(markdown_row(cells))  # noqa: S704
    return environment.from_string(_TEMPLATE).render(
        info=info,
        rights=Markup(rights),  # noqa: S704 - own words
        tables=[table for table in tables if len(table) > 1],
        lite=_lite_rows(info.lite),
        refusal=Markup(refusal_section(info.refusal)),  # noqa: S704 - of numbers and own words
    )


def _finalize(value: Any) -> Any:
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return escape_markdown(value) if is_plain else value


def _lite_rows(lite: Mapping[str, Any]) -> Table:
    """Build rows of faces, metric, and the scores of the SavedModel and of model.tflite."""
    formats = {"accuracy": "{:.4f}", "rmse_px": "{:.3f}"}
    return [
        [f"{kind}, {scores['rows']:.0f} faces", name]
        + [_format(scores, key, template) for key in (f"{name}_saved_model", name)]
        for kind, scores in lite.items()
        if isinstance(scores, Mapping)
        for name, template in formats.items()
        if name in scores
    ]


def _expression_table(splits: dict[str, dict[str, float]]) -> Table:
    head = ["expression", "faces", "accuracy", "balanced accuracy", "macro F1"]
    head += ["calibration error (15 bins)", "always the most frequent"]
    rows = []
    for split, scores in splits.items():
        row = [
            split,
            _format(scores, "rows", "{:.0f}"),
            _format_interval(scores, "accuracy", "{:.3f}"),
        ]
        names = ("balanced_accuracy", "macro_f1", "calibration_error", "baseline_accuracy")
        rows.append(row + [_format(scores, name, "{:.3f}") for name in names])
    return [head, *rows]


def _keypoint_table(splits: dict[str, dict[str, float]]) -> Table:
    head = ["keypoints", "faces", "RMSE, px of 96", "NME", "share of faces under 5 % NME"]
    head += ["RMSE of the mean face, px"]
    rows = []
    for split, scores in splits.items():
        row = [
            split,
            _format(scores, "rows", "{:.0f}"),
            _format_interval(scores, "rmse_px", "{:.2f}"),
        ]
        row += [_format(scores, "nme", "{:.4f}")]
        row += [_format(scores, "share_under_5_percent_nme", "{:.3f}")]
        rows.append([*row, _format(scores, "baseline_rmse_px", "{:.2f}")])
    return [head, *rows]


def _part_table(
    splits: dict[str, dict[str, float]], title: str, scores: tuple[str, ...], template: str
) -> Table:
    """Build a table of scores by emotion or keypoint, with a column for each split."""
    parts = {
        name.partition("/")[2]: None
        for values in splits.values()
        for name in values
        if name.startswith(f"{scores[0]}/")
    }
    rows = [
        [part]
        + [
            ", ".join(_format(values, f"{score}/{part}", template) for score in scores)
            for values in splits.values()
        ]
        for part in parts
    ]
    return [[title, *splits], *rows]


def _format_interval(scores: Mapping[str, float], name: str, template: str) -> str:
    low, high = (_format(scores, f"{name}_{bound}", template) for bound in ("low", "high"))
    return f"{_format(scores, name, template)} ({low} - {high})"


def _format(scores: Mapping[str, float], name: str, template: str) -> str:
    return template.format(scores[name]) if name in scores else "not measured"
