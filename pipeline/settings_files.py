"""YAML files that users write: read strictly, merged, compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.choices import list_settings_files

_MAX_BYTES = 64 << 10
# YAML's key "<<", which takes the keys of another mapping.
_MERGE = "tag:yaml.org,2002:merge"


def read_settings_file(setting: str, folder: Path, name: str) -> dict[str, Any]:
    """Read a settings file.

    Args:
        setting: What messages call it, such as "preset".
        folder: Where those of this package are.
        name: The name of one of those, or the path of a YAML file.

    Raises:
        InputError: The name is unknown, or the file is not YAML, or gives a key twice.
        Unavailable: The file cannot be read.
    """
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else folder / f"{name}.yaml"
    if not path.is_file():
        if is_path:
            raise InputError(f"{setting} {name}: no such file")
        known = ", ".join(list_settings_files(folder))
        raise InputError(f"{setting} {name!r} is unknown; expected one of {known}, or a YAML file")
    values = _parse_yaml(str(path), storage.read_bytes(str(path), _MAX_BYTES))
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values")
    return values


class _Refused(yaml.constructor.ConstructorError):
    """YAML that is not taken in settings; the message is one for the user."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(None, None, problem, mark)


class _Loader(yaml.SafeLoader):
    """Rejects a key that is given twice, and aliases, which expand a few lines to any number."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[Any, int] = {}
        # Other nodes, and keys that are no text or number, are refused by the method itself.
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                continue
            key, mark = self.construct_object(key_node), key_node.start_mark
            if key in lines:
                problem = f"the key {key!r} is there already in line {lines[key]}; leave one out"
                raise _Refused(problem, mark)
            lines[key] = mark.line + 1
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _Refused("an alias is not taken here", self.peek_event().start_mark)
        return super().compose_node(parent, index)


def _parse_yaml(path: str, text: bytes) -> Any:
    try:
        return yaml.load(text.decode(), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        kind = "" if isinstance(error, _Refused) else "not YAML: "
        raise InputError(f"{path}{line}: {kind}{error.problem}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected a settings file") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # PyYAML's constructors raise these for a value that its tag does not allow.
        raise InputError(f"{path}: not YAML: {type(error).__name__}: {error}") from None


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested settings; those of the second count where both have one."""
    result = dict(base)
    for key, value in override.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        result[key] = value
    return result


def differences(base: Mapping[str, Any], override: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and new values of what is replaced by another value."""
    for key in base.keys() & override.keys():
        old, new = base[key], override[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from ((f"{key}.{name}", value) for name, value in differences(old, new))
        elif old != new:
            yield key, new
