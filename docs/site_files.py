"""What the site shows: the pages of the checkout, in their places.

MkDocs takes what lies in docs/. Here are the pages above it too, and the files that any
page links to, so that every link is the same on the site as in the checkout.
"""

import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_LINK = re.compile(r"\]\(([^)#:\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by MkDocs, see mkdocs.yml."""
    root = pathlib.Path(config.config_file_path).parent
    pages = {*root.glob("*.md"), *root.glob("docs/**/*.md")}
    linked = {
        (page.parent / link).resolve()
        for page in pages
        for link in _LINK.findall(page.read_text(encoding="utf-8"))
    }
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for path in sorted(pages | {path for path in linked if path.is_file()}):
        place = path.relative_to(root).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files
