# TensorFlow has no types. The partial ones that pyright brings are at odds with
# it, so pyright takes these, and knows as much of it as mypy does.
from typing import Any

def __getattr__(name: str) -> Any: ...
