"""Checks what a SavedModel does before it is loaded. Imports TensorFlow's messages alone.

A graph is a program: it can read and write the server's files. What a signature, the initialisation
or the restoring of variables can reach has to be in an allow-list, the functions that it calls
included. What nothing reaches never runs: every SavedModel has operations that would save it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.server.operations import OPERATIONS
from emotion_ai.storage.local import open_regular

_RESTORING = OPERATIONS | {"RestoreV2"}
# They read the file that they are told: only one of the SavedModel's assets.
_TABLES_FROM_FILES = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
# It writes to a file if it is told so.
_PRINT, _PRINT_STREAMS = "PrintV2", (b"", b"stderr", b"stdout")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_HARMLESS_USES = ("ReadVariableOp", "VarIsInitializedOp")
_MAIN = ""
# The name of an operation of TensorFlow's in a LiteRT model, after its length.
_FLEX_OPERATION = re.compile(rb"[\x05-\x40]\0\0\0Flex[A-Z]")
_ADVICE = "it is not loaded; --allow_any_operation loads models that you trust"


class _Node(NamedTuple):
    """A node, and the function that it is in; "" is the graph itself."""

    scope: str
    definition: Any


def check_graph(meta_graph: Any) -> None:
    """Check that a SavedModel's graph only computes.

    Args:
        meta_graph: Its `MetaGraphDef`.

    Raises:
        InputError: It can reach another operation; the message names it.
    """
    graph = _Graph(meta_graph)
    signatures = [
        info.name
        for signature in meta_graph.signature_def.values()
        for info in (*signature.inputs.values(), *signature.outputs.values())
    ]
    for node in graph.reachable(signatures):
        _check_node(graph, node, OPERATIONS)
    for node in graph.reachable([meta_graph.saver_def.restore_op_name]):
        _check_node(graph, node, _RESTORING)


def check_lite_model(path: Path) -> None:
    """Check that a `model.tflite`, if there is one, has no operations but LiteRT's own.

    Raises:
        InputError: It has some of TensorFlow's, which may reach beyond the model.
    """
    if not path.exists():
        return
    with open_regular(path) as file:
        has_others = _FLEX_OPERATION.search(file.read())
    if has_others:
        raise InputError(f"{path}: has operations of TensorFlow, beside LiteRT's own: {_ADVICE}")


def asset_path(folder: Path, filename: str) -> str:
    """Return the path of an asset of a SavedModel.

    Raises:
        InputError: It is not a file in the folder of assets.
    """
    path = folder / "assets" / filename
    inside = PurePath(filename).name == filename and path.is_file()
    if not inside or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: expected an asset, a file in {folder / 'assets'}")
    return str(path)


def _check_node(graph: "_Graph", node: _Node, allowed: frozenset[str]) -> None:
    definition = node.definition
    operation = definition.op
    if operation in allowed or operation in graph.functions:
        return
    if operation == _PRINT and _text(definition, "output_stream") in _PRINT_STREAMS:
        return
    if operation in _TABLES_FROM_FILES and graph.is_asset(node.scope, definition.input[1]):
        return
    place = f" in function {node.scope}" if node.scope else ""
    raise InputError(
        f"the SavedModel's operation {operation} ({definition.name}{place}) may reach beyond the "
        f"model: {_ADVICE}"
    )


class _Graph:
    """A graph's nodes and functions, and what reaches what."""

    def __init__(self, meta_graph: Any) -> None:
        graph_def = meta_graph.graph_def
        self.functions = {f.signature.name: f for f in graph_def.library.function}
        self._nodes = {_MAIN: {node.name: node for node in graph_def.node}}
        for name, function in self.functions.items():
            self._nodes[name] = {node.name: node for node in function.node_def}
        self._assets = {_node_name(a.tensor_info.name) for a in meta_graph.asset_file_def}
        self._callers: dict[str, list[_Node]] = defaultdict(list)
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                for function in self._called(node):
                    self._callers[function].append(_Node(scope, node))

    def reachable(self, tensors: Iterable[str]) -> Iterator[_Node]:
        """Yield the nodes that tensors or operations of the graph depend on."""
        pending, seen = [_node_name(tensor) for tensor in tensors], set()
        functions: set[str] = set()
        while pending:
            name = pending.pop()
            node = self._nodes[_MAIN].get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            yield _Node(_MAIN, node)
            pending += map(_node_name, node.input)
            yield from self._reachable_functions(self._called(node), functions)

    def _reachable_functions(self, names: Iterable[str], seen: set[str]) -> Iterator[_Node]:
        # A function runs whole, its stateful operations too.
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for node in self._nodes[name].values():
                yield _Node(name, node)
                pending += self._called(node)

    def _called(self, node: Any) -> list[str]:
        named = [node.op]
        for value in node.attr.values():
            named += [value.func.name, *(function.name for function in value.list.func)]
        return [name for name in named if name in self.functions]

    def is_asset(self, scope: str, tensor: str) -> bool:
        """Whether a tensor is the path of an asset, from wherever its function is called."""
        pending, seen = [(scope, _node_name(tensor))], set()
        while pending:
            tensor_place = pending.pop()
            if tensor_place in seen:
                continue
            seen.add(tensor_place)
            sources = self._sources(*tensor_place)
            if sources is None:
                return False
            pending += sources
        return True

    def _sources(self, scope: str, name: str) -> list[tuple[str, str]] | None:
        """Return what a tensor is a copy of: nothing for an asset; None if it is something else."""
        if scope == _MAIN and name in self._assets:
            return []
        node = self._nodes[scope].get(name)
        if node is not None and node.op == "ReadVariableOp" and scope == _MAIN:
            return self._assigned(_node_name(node.input[0]))
        if node is not None:
            return [(scope, _node_name(node.input[0]))] if node.op == "Identity" else None
        callers = self._callers[scope]
        if scope == _MAIN or not callers:
            return None
        arguments = [argument.name for argument in self.functions[scope].signature.input_arg]
        if name not in arguments or any(c.definition.op not in (*_CALLS, scope) for c in callers):
            return None
        position = arguments.index(name)
        return [(c.scope, _node_name(c.definition.input[position])) for c in callers]

    def _assigned(self, handle: str) -> list[tuple[str, str]] | None:
        """Return what is assigned to a variable; None if it may get something else."""
        variable = self._nodes[_MAIN].get(handle)
        if variable is None or variable.op != "VarHandleOp":
            return None
        # Another handle of the same name would be the same variable.
        handles = [
            node
            for nodes in self._nodes.values()
            for node in nodes.values()
            if node.op == "VarHandleOp" and _shared_name(node) == _shared_name(variable)
        ]
        users = [
            node
            for node in self._nodes[_MAIN].values()
            if handle in map(_node_name, node.input) and node.op not in _HARMLESS_USES
        ]
        if len(handles) > 1 or not users or any(u.op != "AssignVariableOp" for u in users):
            return None
        return [(_MAIN, _node_name(user.input[1])) for user in users]


def _shared_name(variable: Any) -> bytes:
    return _text(variable, "shared_name") or variable.name.encode()


def _text(node: Any, attribute: str) -> bytes:
    # Indexing would add what is absent.
    return bytes(node.attr[attribute].s) if attribute in node.attr else b""


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
