"""Converts a SavedModel for TensorFlow.js: `python ... MODEL FOLDER`."""

import sys
import types

# The converter imports these, and needs them for other models.
forests = types.ModuleType("tensorflow_decision_forests")
jax = types.ModuleType("tensorflowjs.converters.jax_conversion")
vars(jax)["convert_jax"] = None
sys.modules.update({forests.__name__: forests, jax.__name__: jax})

from tensorflowjs.converters.converter import convert  # noqa: E402

convert(
    [
        "--input_format=tf_saved_model",
        "--signature_name=serve",
        *sys.argv[1:],
    ]
)
