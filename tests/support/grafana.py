"""A small JSON schema of Grafana's classic dashboards: the fields that k8s/ uses, and no others.

Written from the types of @grafana/schema and @grafana/prometheus 13.2.
"""

from support.custom_resources import fields, listed

_TEXT = {"type": "string", "minLength": 1}
_TRUE = {"type": "boolean"}
_DATASOURCE = fields({"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}})
_POSITION = fields(
    {
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "h": {"type": "integer", "minimum": 2},
    }
)
_LINES = fields(
    {
        "drawStyle": {"enum": ["line", "bars", "points"]},
        "stacking": fields(
            {"mode": {"enum": ["none", "normal", "percent"]}, "group": {"const": "A"}}
        ),
    },
    lineWidth={"type": "integer"},
    lineInterpolation={"enum": ["linear", "smooth", "stepBefore", "stepAfter"]},
    fillOpacity={"type": "integer", "minimum": 0, "maximum": 100},
    showPoints={"enum": ["auto", "never", "always"]},
    spanNulls=_TRUE,
)
_DEFAULTS = fields(
    {"unit": {"enum": ["reqps", "percentunit", "s", "bytes", "none"]}, "custom": _LINES},
    min={"type": "number"},
    decimals={"type": "integer"},
    # One colour for one name on every panel.
    color=fields({"mode": {"const": "palette-classic-by-name"}}),
)
_OPTIONS = fields(
    {
        "legend": fields(
            {
                "showLegend": _TRUE,
                "displayMode": {"enum": ["list", "table", "hidden"]},
                "placement": {"enum": ["bottom", "right"]},
                "calcs": {"type": "array", "items": _TEXT},
            }
        ),
        "tooltip": fields(
            {
                "mode": {"enum": ["single", "multi", "none"]},
                "sort": {"enum": ["asc", "desc", "none"]},
            }
        ),
    }
)
_TARGET = fields(
    {
        "refId": {"type": "string", "pattern": "^[A-Z]$"},
        "datasource": _DATASOURCE,
        "expr": _TEXT,
        "legendFormat": _TEXT,
        "range": {"const": True},
    }
)
_PANEL = fields(
    {
        "id": {"type": "integer", "minimum": 1},
        "type": {"const": "timeseries"},
        "title": _TEXT,
        "description": _TEXT,
        "datasource": _DATASOURCE,
        "gridPos": _POSITION,
        "fieldConfig": fields({"defaults": _DEFAULTS, "overrides": {"type": "array"}}),
        "options": _OPTIONS,
        "targets": listed(_TARGET),
    }
)
_ANNOTATION = fields(
    {
        "name": _TEXT,
        "enable": _TRUE,
        "iconColor": _TEXT,
        "datasource": _DATASOURCE,
        "target": fields({"refId": {"const": "Anno"}, "expr": _TEXT, "interval": _TEXT}),
        "titleFormat": _TEXT,
        "textFormat": _TEXT,
    }
)
_VARIABLE = fields(
    {"name": _TEXT, "label": _TEXT, "type": {"enum": ["datasource", "query"]}},
    query={"type": ["string", "object"]},
    datasource=_DATASOURCE,
    refresh={"enum": [0, 1, 2]},
    sort={"type": "integer", "minimum": 0, "maximum": 8},
    hide={"enum": [0, 1, 2]},
)
DASHBOARD = fields(
    {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": _TEXT,
        "schemaVersion": {"type": "integer", "minimum": 36},
        "templating": fields({"list": listed(_VARIABLE)}),
        "annotations": fields({"list": listed(_ANNOTATION)}),
        "panels": listed(_PANEL),
        "time": fields({"from": _TEXT, "to": _TEXT}),
    },
    tags=listed(_TEXT),
    editable=_TRUE,
    graphTooltip={"enum": [0, 1, 2]},
    refresh=_TEXT,
    timezone={"enum": ["browser", "utc"]},
)
