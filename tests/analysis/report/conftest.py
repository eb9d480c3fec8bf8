"""Pages made from real offline W&B runs, and a Chromium to open them in where there is one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from analysis.report.page import write_report
from analysis.runs import load_runs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def write_evaluations(write_run) -> Callable[..., Path]:
    """Write a run with one score for each evaluation, 100 env steps apart."""

    def write(root: Path, scores: list[float], env: str = "smac", **options: Any) -> Path:
        score = "win_rate" if env == "smac" else "return"
        options = {"algo": "qmix", "map": "MMM2", "seed": 0, "backend": "embedded", "config_hash": "ab12cd34"} | options
        rows = []
        for k, value in enumerate(scores):
            rows.append({"env_step": 100 * k, f"eval/independent/{score}": value, "time/wall_seconds": 100.0 * k})
            rows[-1] |= {"train/loss/td": 4.0 / (k + 1)} if k else {}
            if options["algo"].startswith("macpf"):
                joint = {f"eval/dependent/joint/{i}_{j}": 0.1 * (i + j) for i in range(2) for j in range(3)}
                rows[-1] |= {f"eval/dependent/{score}": value, **(joint if env == "matrix_game" else {})}
        key = "-".join((options["algo"], env, options["map"], options["config_hash"], f"s{options['seed']}"))
        settings = {"map": {"payoff": [[8, -12, -12], [-12, 4, -12]]}, "budget": {"eval_interval": 100}}
        extra = {"env": env, "run_key": key, "config": settings}
        return write_run(root, rows, **({"total": 100 * (len(scores) - 1), "extra": extra} | options))

    return write


@pytest.fixture(scope="session")
def page(write_evaluations, tmp_path_factory, quick_reports) -> Path:
    """A page with something in every section: two backends, a smoke run, a game and an animation."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_evaluations(root, [0.0, 0.2, 0.4, 0.6], seed=seed)
        write_evaluations(root, [0.1, 0.3, 0.5, 0.9], algo="macpf", seed=seed)
    write_evaluations(root, [0.5, 0.6], backend="starcraft", config_hash="5c5c5c5c")
    write_evaluations(root, [0.0, 0.1], map="8m", budget="smoke")
    write_evaluations(root, [-12.0, 8.0], env="matrix_game", map="p4_12", algo="macpf", backend="builtin")
    frames = [Image.new("P", (40, 30), colour) for colour in (1, 2)]
    deep = root / ("a_long_name_without_a_break" * 6)
    deep.mkdir()
    frames[0].save(deep / "random_3m.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    path = root / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        quick_reports(patch)
        write_report(load_runs(root), path, root)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium to open the page in; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()
