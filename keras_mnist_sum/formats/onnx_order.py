"""One model, one ONNX file: what tf2onnx leaves to chance, decided.

It numbers names and orders nodes otherwise in each process.
"""

import onnx
from onnx import helper

from keras_mnist_sum import task
from keras_mnist_sum.formats.contract import INPUT_SHAPES


def in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, its parts named and ordered by the graph alone.

    Nodes follow what they depend on, from `digit` to `difference`; the names of
    inputs and outputs stay, and their first axis is called `batch`.

    Args:
        model: A model that keeps the contract.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    ends = {value.name: value for value in (*graph.input, *graph.output)}
    names = {name: name for name in (*ends, "")}  # "": left out
    seen = {*INPUT_SHAPES, ""}

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        if name in constants:
            tensors.append(constants[name])
            names[name] = tensors[-1].name = f"constant_{len(tensors)}"
            return
        node = makers[name]
        for each in node.input:
            visit(each)
        nodes.append(node)
        seen.update(node.output)
        node.name = f"{node.op_type}_{len(nodes)}"
        for i, each in enumerate(node.output):
            names.setdefault(each, f"{node.name}_{i}")

    for name in task.outputs():
        visit(name)
    for node in nodes:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for value in ends.values():
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return helper.make_model(
        helper.make_graph(
            nodes,
            "keras_mnist_sum",
            [ends[name] for name in INPUT_SHAPES],
            [ends[name] for name in task.outputs()],
            tensors,
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
