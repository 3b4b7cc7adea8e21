"""What `mkdocs build` does with pages that are also read on their own."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from mkdocs.structure.files import Files

_ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s]*)\)")


def on_files(files: Files, config: Any) -> Files:
    """Makes the README the first page."""
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((?!docs/|http|#)", "](../", text)
    text = text.replace("](docs/", "](").replace('"docs/', '"')
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Keeps the words of links to files that are not in the site, and `1 ± 2`
    in one line."""
    return _LINK.sub(r"\1", markdown).replace(" ± ", "\u00a0±\u00a0")
