"""A model by the Open Inference Protocol: `mlserver start examples/mlserver`.

Needs the package alone, without extras, and mlserver.
"""

from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri

from keras_mnist_sum import InputError
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.pretrained import checked_path


class MnistSum(MLModel):
    """`image` FP32 (n, 28, 28, 1) and `number` FP32 (n, 10) to all outputs."""

    async def load(self) -> bool:
        # "parameters": {"uri": "FILE"} in model-settings.json; else a folder.
        path = Path(await get_model_uri(self.settings))
        file = checked_path("model.onnx") if path.is_dir() else path
        self._model = open_model(file)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        try:
            arrays = {
                each.name: NumpyCodec.decode_input(each).astype("float32")
                for each in payload.inputs
            }
            answers = self._model.predict(arrays)
        except (InputError, ValueError) as error:
            raise InferenceError(str(error)) from error
        outputs = [NumpyCodec.encode_output(*x) for x in answers.items()]
        return InferenceResponse(model_name=self.name, outputs=outputs)
