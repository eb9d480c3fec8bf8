"""Plot the learning curve of every method in a folder of runs: the mean over seeds and the range of the seeds.

Usage: python examples/plot_a_curve.py [FOLDER OF RUNS] [FIGURE]

`python -m analysis curves` draws the curves of the paper. This file shows how to read the numbers themselves.
"""

import sys

import matplotlib.pyplot as plt

from analysis.runs import load_runs


def plot(folder: str = "outputs", figure: str = "curve.png", metric: str = "eval/independent/return") -> None:
    """Draw one curve for each algorithm and map; unfinished runs are left out."""
    runs = load_runs(folder)
    whole = runs.report[runs.report["counts"]]["run"]
    values = runs.frame[(runs.frame["metric"] == metric) & runs.frame["run"].isin(whole)]
    drawing, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for (algo, map_name), group in values.groupby(["algo", "map"], observed=True):
        by_step = group.groupby("env_step")["value"]
        (line,) = axes.plot(by_step.mean(), label=f"{algo} on {map_name}, {group['seed'].nunique()} seeds")
        axes.fill_between(by_step.min().index, by_step.min(), by_step.max(), alpha=0.2, color=line.get_color())
    axes.set(xlabel="env steps", ylabel=metric)
    axes.legend()
    drawing.savefig(figure)
    print(f"wrote {figure}")


if __name__ == "__main__":
    plot(*sys.argv[1:])
