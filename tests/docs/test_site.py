"""The documentation builds as a site: every link and anchor leads somewhere, and nothing is loaded from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(config: Path, to: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(to)]
    environment = {k: v for k, v in os.environ.items() if k != "REPOSITORY_URL"} | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "site"
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_in_the_site_and_in_its_navigation(site):
    front = (site / "index.html").read_text()
    pages = [page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")]
    places = [str(page.parent if page.name == "README" else page) for page in pages]
    for place in [*places, "contributing", "changelog"]:
        assert (site / place / "index.html").exists()
        assert f'href="{place}/"' in front


def test_links_to_files_of_the_repository_lead_to_pages_that_show_them(site):
    page = (site / "add_an_environment" / "index.html").read_text()
    assert 'href="../source/macpf/envs/base.py/"' in page
    assert "EnvSpec" in (site / "source/macpf/envs/base.py/index.html").read_text()
    assert "weight" in (site / "source/tests/parity/index.html").read_text()


def test_nothing_is_loaded_from_another_server(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preload|preconnect|icon)"[^>]*href="([^"]*)"', text)
        assert loaded
        assert not [place for place in loaded if re.match(r"(?:https?:)?//", place)], page


def test_lists_are_lists_there_too():
    """GitHub begins a list without an empty line before it, Python-Markdown does not."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
        assert not re.findall(r"^(?![-*|\s]|\d+\. ).+\n(?:[-*]|\d+\.) .*", text, flags=re.M), page.name


@pytest.mark.parametrize("link", ["gone.md", "there.md#gone", "/there.md", "there"])
def test_a_broken_link_fails_the_build(tmp_path, link):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# There\n")
    (tmp_path / "docs" / "index.md").write_text(f"# Here\n\n[a link]({link})\n")
    settings = f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: docs\nhooks: []\nextra_css: []\nnav: [index.md, there.md]\n"
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert link.split("#")[-1] in done.stderr
