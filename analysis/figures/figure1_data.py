"""What Figure 1 shows, as numbers: the game, where sampled episodes went, and which goals they reached."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import AnalysisError
from analysis.evidence import Evidence
from macpf import names
from macpf.choices import sweep_params

ENV = sweep_params("figure1")["env"]
#: Title and method of each panel, in the paper's order; the policy is the one that acts in training.
PANELS = {
    "central": ("(a) centralised control", "CENTRAL"),
    "fop": ("(b) FOP", "FOP"),
    "macpf": ("(c) MACPF, dependent", "MACPF_DEP"),
}
#: An episode reaches a goal if it ends at most this far from it, in units of the point's step.
REACH = 1.5
_FOLDER = names.sampled(0, 0, "x").split("/")[0] + "/"


@dataclass(frozen=True)
class Game:
    """The multi-goal game with the settings that the runs logged (`conf/env/multigoal.yaml`)."""

    goals: NDArray[np.float64]  # [4, 2]
    step: float
    box: float
    peak: float
    width: float

    @classmethod
    def of(cls, selection: Evidence) -> "Game":
        """The game that all of these runs played; `select` has made sure that it is the same.

        Raises:
            AnalysisError: the runs did not log it.
        """
        run, config = next(iter(selection.configs.items()))
        try:
            made = config[names.CONFIG][names.ENV]["make"]
            distance, *rest = (float(made[name]) for name in ("goal_distance", "step", "box", "peak", "width"))
        except (KeyError, TypeError, ValueError) as error:
            raise AnalysisError(f"run {run} does not say its game (config.env.make): --exclude {run}") from error
        return cls(distance * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]), *rest)

    def reward_at(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """The reward, a mixture of Gaussians, at places [..., 2]."""
        squared = ((place[..., None, :] - self.goals) ** 2).sum(axis=-1)
        total: NDArray[np.float64] = self.peak * np.exp(-squared / (2 * self.width**2)).sum(axis=-1)
        return total


def episodes_of(selection: Evidence) -> pd.DataFrame:
    """Every place in the episodes that the panels' runs logged last: algo, seed, episode, t, x, y, in this order."""
    runs = selection.report["run"][selection.report[names.ALGO].isin(list(PANELS))]
    lines = selection.frame[selection.frame["metric"].str.startswith(_FOLDER) & selection.frame["run"].isin(runs)]
    lines = lines[lines[names.ENV_STEP] == lines.groupby("run")[names.ENV_STEP].transform("max")]
    parts = lines["metric"].str.split("/", expand=True)
    if lines.empty:
        return pd.DataFrame(columns=[names.ALGO, names.SEED, "episode", "t", "x", "y"])
    lines = lines.assign(episode=parts[1].astype(int), t=parts[2].astype(int), number=parts[3])
    index = [names.ALGO, names.SEED, "episode", "t"]
    wide = lines.pivot(index=index, columns="number", values="value")[["x", "y"]]
    return wide.reset_index().rename_axis(None, axis=1)


def reached(episodes: pd.DataFrame, game: Game) -> pd.DataFrame:
    """One line for each run: algo, method, seed, episodes, ends at east, north, west, south and none, goals, return.

    ``goals`` counts the goals at which some episode ends; ``return`` is the mean over episodes, not discounted.
    """
    lines = []
    for (algo, seed), run in episodes.groupby([names.ALGO, names.SEED], sort=False):
        places = run.sort_values(["episode", "t"])
        ends = places.groupby("episode")[["x", "y"]].last().to_numpy()
        near = np.linalg.norm(ends[:, None] - game.goals, axis=-1) <= REACH * game.step
        counts = dict(zip(("east", "north", "west", "south"), near.sum(axis=0).tolist(), strict=True))
        paid = game.reward_at(places[places["t"] > 0][["x", "y"]].to_numpy()).sum() / len(ends)
        lines.append(
            {names.ALGO: algo, "method": PANELS[str(algo)][1], names.SEED: seed, "episodes": len(ends)}
            | counts
            | {"none": int((~near.any(axis=1)).sum()), "goals": int(near.any(axis=0).sum()), "return": float(paid)}
        )
    return pd.DataFrame(lines)
