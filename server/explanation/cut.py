"""An artifact without its last layer: an ONNX graph that gives what the last layer is fed with.

Imports onnx, which is large: for the preparing program, never for the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

DENSE = ("Gemm", "MatMul")


class NoFeatures(Exception):
    """The network has no dense layer behind its features."""


def cut(artifact: Path, target: Path) -> None:
    """Write `artifact` as a network that ends before its last dense layer. Raises NoFeatures."""
    model = onnx.load(artifact)
    graph = model.graph
    features = _input_of_last_dense(graph)
    nodes = _leading_to(features, graph)
    used = {name for node in nodes for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    output = helper.make_tensor_value_info(features, TensorProto.FLOAT, None)
    shortened = helper.make_graph(nodes, graph.name, graph.input, [output], weights)
    options = {"opset_imports": model.opset_import, "ir_version": model.ir_version}
    onnx.save(helper.make_model(shortened, **options), target)


def _input_of_last_dense(graph: Any) -> str:
    """The name of what the last dense layer is fed with, going back from the output."""
    constant = {weight.name for weight in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while name in made_by:
        node = made_by[name]
        fed = [one for one in node.input if one and one not in constant]
        if not fed:
            break
        if node.op_type in DENSE:
            return str(fed[0])
        name = fed[0]
    raise NoFeatures("this version has no dense layer at its end, and so no features to compare digits by")


def _leading_to(name: str, graph: Any) -> list[Any]:
    """The nodes that `name` needs, in their order."""
    needed, chosen = {name}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            chosen.append(node)
    return chosen[::-1]
