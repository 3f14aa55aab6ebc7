"""The model card of a release, after Mitchell et al. 2019 (https://arxiv.org/abs/1810.03993)."""

import math

from jinja2 import Environment

from components.registry.releases import ReleaseInfo

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

| faces | source | rows | fingerprint |
|---|---|---|---|
{% for name, data in info.data.items() -%}
| {{ name }} | `{{ data.source }}` | {{ data.rows }} | `{{ data.fingerprint[:16] }}` |
{% endfor %}
## Numbers

| metric | value |
|---|---|
{% for name, value in metrics -%}
| {{ name }} | {{ value }} |
{% endfor %}
## Intended use and limits

- It takes a picture as a face: it does not find faces and does not tell that there is none.
- It names the expression that a person would read off the picture, not what its owner feels. It is
  no ground for decisions about a person.
- Its errors differ between groups of people as far as its training faces do; the groups in these
  faces are not annotated, so no such difference has been measured.

## Where it comes from

- made {{ info.created }} by run `{{ info.run_id }}`
- code revision `{{ info.revision }}`
- content digest `{{ info.content_digest }}`
- champion at that time: {{ info.parent if info.parent is not none else "none" }}
- packages: {% for name, version in info.packages.items() | sort %}{{ name }} {{ version }}{{ ", " if not loop.last }}{% endfor %}
"""  # noqa: E501 - a line of the template is a line of the card


def model_card(info: ReleaseInfo) -> str:
    """The card as Markdown, ending in a newline."""
    metrics = [
        (name, f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in sorted(info.metrics.items())
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    # Markdown, not HTML: escaping would show.
    page = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701
    return page.from_string(_TEMPLATE).render(info=info, metrics=metrics)
