"""ONNX files: written, opened in ONNX Runtime, and one model, one file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from typing import BinaryIO

import numpy as np

from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.fixed_batch import any_batch
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import check_file
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.formats.model_file import free_axes
from keras_mnist_sum.formats.model_file import opening
from keras_mnist_sum.models.info import KEY
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import Task

if TYPE_CHECKING:
    import keras
    import onnx

_KIND = "ONNX"
_GRAPH = 7 * 8 + 2  # the tag of its graph in a `ModelProto`
_MOST_FIELDS = 100_000
_TYPES = {"tensor(float)": "float32"}


def write(model: "keras.Model", path: Path, batch: int | None = None) -> None:
    """Writes `model`, in float32, and what it says of itself.

    Args:
        model: A model as `build_model` makes it.
        path: The file to write.
        batch: How many rows it takes. Default: any.
    """
    import onnx

    from keras_mnist_sum.formats.signatures import input_specs
    from keras_mnist_sum.models.build import info_of

    model.export(
        path, format="onnx", verbose=False, input_signature=[input_specs(batch)]
    )
    exported = in_order(onnx.load(path), list(model.output), batch)
    info = info_of(model)
    if info:
        onnx.helper.set_model_props(exported, {KEY: info.to_json()})
    path.write_bytes(exported.SerializeToString())
    trial.remember("onnx_file", path)


def in_order(
    model: "onnx.ModelProto", outputs: list[str], batch: int | None = None
) -> "onnx.ModelProto":
    """The same model, its parts named and ordered by the graph alone.

    tf2onnx numbers names and orders nodes otherwise in each process. Here
    nodes follow what they depend on, output by output; the names of inputs and
    outputs stay, and a first axis of any size is called `batch`.

    Args:
        model: A model with our inputs.
        outputs: The names of its outputs, in their order.
        batch: How many rows it takes. Default: any.
    """
    import onnx

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

    for name in outputs:
        visit(name)
    for node in nodes:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for value in ends.values():
        rows = value.type.tensor_type.shape.dim[0]
        if batch:
            rows.dim_value = batch
        else:
            rows.dim_param = "batch"
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            KEY,
            [ends[name] for name in INPUT_SHAPES],
            [ends[name] for name in outputs],
            tensors,
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )


def open_file(path: Path, task: Task | None = None) -> OpenedModel:
    """Opens an ONNX file in ONNX Runtime, on the CPU, without TensorFlow.

    It is read as data: ONNX Runtime executes no code from a file, and it is
    tried before in a process of its own. Threads may share the model.

    Args:
        path: The file. It must hold its weights itself.
        task: As for `checked_model`.

    Raises:
        InputError: If it is missing, damaged or another kind of model, or
            ONNX Runtime is not installed.
    """
    check_file(path, _KIND, _may_be_one)
    return open_content(path, trial.read_tried("onnx_file", path, task), task)


def _may_be_one(file: BinaryIO) -> bool:
    """Whether the outermost fields are a message's, to its end, and one may be
    the graph (https://protobuf.dev/programming-guides/encoding/)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    tags = set()
    for _ in range(_MOST_FIELDS):
        tag = _varint(file)
        tags.add(tag)
        length = {0: 0, 1: 8, 5: 4}.get(tag % 8)
        if tag % 8 == 0:
            _varint(file)
        elif tag % 8 == 2:
            length = _varint(file)
        if tag < 8 or length is None:
            return False
        end = file.seek(length, os.SEEK_CUR)
        if end >= size:
            return end == size and _GRAPH in tags
    return False


def _varint(file: BinaryIO) -> int:
    number = 0
    for place in range(0, 70, 7):
        byte = (file.read(1) or b"\0")[0]
        number |= (byte % 128) << place
        if byte < 128:
            return number
    return -1


def open_content(
    path: Path, content: bytes, task: Task | None = None
) -> OpenedModel:
    """The same, of the `content` of a file that is believed."""
    # ONNX Runtime would write an id of this device to the user's cache folder
    # and look up a host to send events to. Who sets it otherwise decides.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with opening(path, _KIND):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Where weights in other files are looked for: not in the working
        # directory, but where there are none.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", os.devnull
        )
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # Callers have threads of their own.
        session = onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # It would print, and try the same again.
        )
        names = [output.name for output in session.get_outputs()]

        def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return dict(zip(names, session.run(names, arrays), strict=True))

        inputs, outputs = (
            {x.name: (free_axes(x.shape), _TYPES.get(x.type)) for x in side}
            for side in (session.get_inputs(), session.get_outputs())
        )
        said = session.get_modelmeta().custom_metadata_map.get(KEY)
        info = ModelInfo.from_json(said) if said else None
        return checked_model(path, *any_batch(run, inputs, outputs), info, task)
