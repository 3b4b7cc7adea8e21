"""Converts a SavedModel to Core ML, which only macOS runs: `python ... MODEL`.

Prints the name and shape of each output.
"""

import sys

import coremltools
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])  # It owns the weights.
model = coremltools.convert(
    [loaded.signatures["serve"]],
    source="tensorflow",
    inputs=[
        coremltools.TensorType("image", (1, 28, 28, 1)),
        coremltools.TensorType("number", (1, 10)),
    ],
    convert_to="mlprogram",
)
for output in model.get_spec().description.output:
    print(output.name, list(output.type.multiArrayType.shape))
