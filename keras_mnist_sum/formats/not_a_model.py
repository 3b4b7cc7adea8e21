"""What a path is that is no model, and what to name in its place."""

import itertools
import re
from pathlib import Path

_SAVE = "save it by model.save('model.keras')"
_OLD_KERAS = f"is of an older format of Keras: load it there, and {_SAVE}"
_OTHER_LIBRARY = "is of another library: export its model to a .onnx file"
# What a file with such a name is, and what to do.
_FILES = {
    r"\w{2,}:/.*": "is an address: download the file",
    r".*\.weights\.h5": "holds weights alone: build their model, load them, "
    f"and {_SAVE}",
    r".*\.(h5|hdf5)": _OLD_KERAS,
    r"(.*/)?saved_model\.pb": "is a part of a SavedModel: name its folder",
    r".*\.(pb|pbtxt)": "is a graph of TensorFlow: convert it to a .onnx file",
    r".*\.(pt|pth|bin|safetensors|gguf|msgpack)": _OTHER_LIBRARY,
    r".*\.(ort|mlmodel|mlpackage|engine|pte|pdmodel)": _OTHER_LIBRARY,
    r".*\.(ckpt.*|index|meta|data-\d+-of-\d+)|(.*/)?checkpoint": "is a "
    "checkpoint, weights alone: finish its run, or build their model, load "
    f"them, and {_SAVE}",
    r".*\.(pkl|pickle|joblib|dill)": "is a pickle, a program, and is not run: "
    f"load it where you trust it, and {_SAVE}",
    r".*\.(npz|npy|csv)": "holds arrays, and no model",
    r".*\.(json|ya?ml)": "holds no weights: name the run directory or the "
    "model's file",
    r".*\.(zip|tar|t?gz|bz2|xz|zst|7z|rar)": "is an archive: unpack it",
    r".*\.(png|jpe?g|gif|webp|bmp|tiff?)": "is a picture",
}
# How files begin, whatever their names.
_CONTENTS = {
    rb"PK\x03\x04": "is an archive: if it is a Keras model, call it .keras",
    rb"....TFL3": "is a LiteRT file: call it .tflite",
    rb"\x89HDF": _OLD_KERAS,
}
_KERAS_PARTS = ("config.json", "metadata.json", "model.weights.h5")
_MODEL_NAMES = re.compile(r"(?i).*\.(keras|onnx|tflite)")
_MOST_NAMES = 1000  # of a folder that are looked at


def what_it_is(path: Path) -> str:
    """What `path` is and what to do, as the end of `Received: PATH, which`.

    Args:
        path: Of a file or folder that is no model, or of nothing.

    Raises:
        OSError: If the system does not let it be read.
    """
    if path.is_dir():
        return _of_folder(path)
    known = _by_name(str(path))
    if path.with_name(f"{path.name}.index").is_file():  # TensorFlow's name
        return _by_name("checkpoint")
    if not path.exists():
        link = ", but as a link to nothing" * path.is_symlink()
        return f"does not exist{link}" + (f" and {known}" if known else "")
    if not path.is_file():
        return "is neither a file nor a folder"
    if known:
        return known
    with open(path, "rb") as file:
        start = file.read(8)
    for pattern, words in _CONTENTS.items():
        if re.match(pattern, start, re.DOTALL):
            return words
    return "is none of them"


def _by_name(name: str) -> str:
    for pattern, words in _FILES.items():
        if re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL):
            return words
    return ""


def is_unpacked_keras_file(folder: Path) -> bool:
    """Whether what a `.keras` file holds lies in `folder`, file by file."""
    return any((folder / name).is_file() for name in _KERAS_PARTS[1:])


def _of_folder(path: Path) -> str:
    found = [x.name for x in itertools.islice(path.iterdir(), _MOST_NAMES)]
    names = [name for name in found if name.isprintable()]  # A line stays one.
    if is_unpacked_keras_file(path):
        lacking = [name for name in _KERAS_PARTS if name not in names]
        if lacking:
            return f"is an unpacked .keras file without {', '.join(lacking)}"
        return (
            "is an unpacked .keras file: pack it in this folder, by zip -0 "
            f"model.keras {' '.join(_KERAS_PARTS)}"
        )
    if _MODEL_NAMES.fullmatch(path.name):
        return "is a folder, where a file has such a name"
    models = [x for name in sorted(names) if (x := _model_in(path, name))]
    if models:
        more = ", ..." * (len(models) > 3)
        return f"is none of them, but holds {', '.join(models[:3])}{more}"
    for name in sorted(names):
        if words := _by_name(name):
            return f"is none of them; {name} in it {words}"
    return "is none of them" if found else "is empty"


def _model_in(folder: Path, name: str) -> str:
    """The name of what may be a model in `folder`, if `name` is one."""
    path = folder / name
    if not path.is_dir():
        return name if _MODEL_NAMES.fullmatch(name) else ""
    if any((path / x).is_file() for x in ("model.keras", "saved_model.pb")):
        return name
    if any(path.glob("[0-9]*/saved_model.pb")):
        return name
    return ""
