"""The values that settings accept by name, for validation and for help texts.

Imports nothing heavy: `emotion-ai COMMAND --help` reads it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import emotion_ai
from emotion_ai.faces.labels import LABEL_SETS

# The weights that both trainings start from.
InitialWeights = Literal["scratch", "pretrained", "champion"]
INITIAL_WEIGHTS: tuple[str, ...] = get_args(InitialWeights)
LABEL_SET_NAMES = tuple(LABEL_SETS)

_COMPONENTS = Path(emotion_ai.__path__[0])
# Each step has a folder.
STEP_NAMES = sorted(
    path.parent.name.replace("_", "-") for path in _COMPONENTS.glob("steps/*/component.py")
)

PRESETS = Path(__file__).parent / "presets"
ENVIRONMENTS = Path(__file__).parent / "environments"


def list_settings_files(folder: Path) -> list[str]:
    """Return the names of a folder's settings files, without the extension .yaml, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def join_choices(names: Iterable[str]) -> str:
    """Join names for a sentence.

    Example:
        >>> join_choices(["scratch", "pretrained", "champion"])
        'scratch, pretrained or champion'
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
