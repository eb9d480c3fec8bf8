"""Makes the site of the pages in docs/ and of the files of the repository that they link to.

The pages are written for a reader of the repository: a link to `../macpf/envs/base.py` is right there. In the site such
a file becomes a page of its own below `source/`, so that every link works without a server that holds the repository.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Files of the repository that are pages of the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".sh": "bash", ".cff": "yaml", ".js": "javascript"}


def place_of(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/") + ("/README.md" if (ROOT / path).is_dir() else "")
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def links_of(path: str, text: str) -> set[str]:
    """The files of the repository that a page links to."""
    return {posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target, _ in LINK.findall(text)}


def rewritten(path: str, text: str) -> str:
    """The page with links as the site has them; code is left alone."""

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
        if target.startswith("..") or not (ROOT / target).exists():
            return match[0]  # the build names it as broken
        return posixpath.relpath(place_of(target), posixpath.dirname(place_of(path)) or ".") + (match[2] or "")

    return "".join(part if FENCE.match(part) else LINK.sub(moved, part) for part in FENCE.split(text))


def page_of_file(path: str) -> str:
    """A page that shows a file of the repository, or lists a folder."""
    head = f"---\nsearch: {{exclude: true}}\nhide: [toc]\n---\n\n# {path}\n\n"
    if (ROOT / path).is_dir():
        return head + "\n".join(listed(path, name) for name in names_in(path)) + "\n"
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"{head}````{LANGUAGES.get(Path(path).suffix, 'text')}\n{text}\n````\n"


def names_in(folder: str) -> list[str]:
    """What lies in a folder, without caches and hidden files."""
    return sorted(name for name in os.listdir(ROOT / folder) if not name.startswith((".", "__pycache__")))


def listed(folder: str, name: str) -> str:
    """A line of a folder's list, with a link where the file has a page."""
    path = f"{folder}/{name}"
    if (ROOT / path).is_dir() or not can_be_shown(path):
        return f"- `{name}`"
    return f"- [`{name}`]({posixpath.relpath(place_of(path), posixpath.dirname(place_of(folder)))})"


def can_be_shown(path: str) -> bool:
    """Whether a file or folder of the repository gets a page."""
    return (ROOT / path).is_dir() or (Path(path).suffix in LANGUAGES | {".csv": "", ".md": "", ".toml": "", "": ""})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and those of linked files; a linked folder shows the files in it."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()] + list(PAGES)
    known = set(waiting)
    while waiting:
        path = waiting.pop()
        text = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else page_of_file(path)
        if not path.startswith("docs/"):
            files.append(File.generated(config, place_of(path), content=text))
        if (ROOT / path).is_dir():
            linked = {f"{path}/{name}" for name in names_in(path) if not (ROOT / path / name).is_dir()}
        else:
            linked = links_of(path, FENCE.sub("", text)) if path.endswith(".md") else set()
        for target in sorted(linked - known):
            if not target.startswith(("docs/", "..")) and (ROOT / target).exists() and can_be_shown(target):
                known.add(target)
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the site has the files."""
    uri = page.file.src_uri
    if uri.startswith("source/") and not uri.endswith("README.md"):
        return markdown
    here = {place: path for path, place in PAGES.items()}.get(uri)
    here = here or (uri.removeprefix("source/") if uri.startswith("source/") else f"docs/{uri}")
    return rewritten(here, markdown)
