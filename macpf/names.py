"""The names under which a run writes what it measured, for the side that writes and the side that reads.

This module imports nothing, so the analysis can use it without loading torch.

A run logs one W&B row per evaluation. Every row holds ``ENV_STEP``. Metric names are flat, with ``/``:

- ``eval/<policy>/<score>``: mean over the evaluation episodes of one greedy policy. ``<policy>`` is
  ``independent`` for every algorithm, and ``dependent`` too for MACPF. ``<score>`` is what the environment
  calls its score (``return`` or ``win_rate``). ``eval/<policy>/episode_length``, and each number that the environment
  tells of an episode (``battle_won``, ``success``), likewise.
- ``eval/<policy>/joint/<a_1>_<a_2>``: probability that the (stochastic) policy gives to a joint action in the
  first state of an evaluation episode; only where the joint action space is small.
- ``sampled/<episode>/<env step>/<number>``: where episodes of the final, sampled behaviour policy went, in a run's last
  row; only of environments that say what to track. W&B has them as one table, see ``macpf.records.sampled``.
- ``train/...``: losses and gradient norms, averaged over the updates since the previous row, and the score of
  the exploring episodes.
- ``clock/episodes``, ``clock/updates``: the other two counters of the run's clock.
- ``clock/evaluation``, ``clock/evaluation_after``: the number of this row, from 0 on, and of the row before it (-1 for
  the first), so that a reader sees what is missing.
- ``time/...``: wall-clock figures, the only metrics that two runs of the same seed may disagree on.
"""

ENV_STEP = "env_step"
INDEPENDENT = "independent"
DEPENDENT = "dependent"
EPISODES = "clock/episodes"
UPDATES = "clock/updates"
EVALUATION = "clock/evaluation"
EVALUATION_AFTER = "clock/evaluation_after"
WALL_SECONDS = "time/wall_seconds"
STEPS_PER_SECOND = "time/env_steps_per_second"
TIME_PREFIX = "time/"

#: Keys of the W&B run's config, beside the whole resolved Hydra configuration under ``CONFIG``.
ALGO, ENV, MAP, BACKEND, BUDGET, SEED = "algo", "env", "map", "backend", "budget", "seed"
#: ``<algo>-<env>-<map>-<config hash>-s<seed>``: follows from the settings that change results, and from nothing else.
RUN_KEY = "run_key"
#: Drawn when the run was first begun: the same for all its attempts, another one where somebody else ran the same key.
ORIGIN = "origin"
#: How many rows a whole run has, see ``macpf.records.numbering.missing``.
EVALUATIONS = "evaluations"
#: What the environment calls its score; what figures call each policy that is evaluated; of what this is a variant.
SCORE, LABELS, FAMILY = "score", "labels", "family"
#: 1 for a run's first start, then 2, 3, ... each time it goes on from a checkpoint.
ATTEMPT = "attempt"
TOTAL_ENV_STEPS = "total_env_steps"
COMMIT = "commit"
#: Of the newest attempt: its kind of machine, and PyTorch's version.
HOST, TORCH = "host", "torch"
CONFIG = "config"
#: Trainable numbers of each module that has some, by its path in the algorithm (``actor.trunk.gru``).
PARAMETERS = "parameters"
#: How W&B's ids of evaluations begin that were made after training (``mode=evaluate``), and the key of their config.
#: They have no ``RUN_KEY``: no reader takes them for training.
EVALUATE, EVALUATED = "evaluate-", "evaluated"
#: Summary keys: how a run ended (``finished``, ``untrained``, ``diverged``), and why it diverged.
END, WHY = "end", "why"
#: Summary key that runs made before there was ``END`` set to 1 when they reached their budget.
DONE = "done"


def configuration(run_key: str) -> str:
    """A run's key without its seed: one group holds all seeds of a configuration."""
    return run_key.rsplit("-s", 1)[0]


def score(policy: str, name: str) -> str:
    """Metric name of a greedy policy's mean score, e.g. ``eval/independent/return``."""
    return f"eval/{policy}/{name}"


def joint(policy: str, actions: tuple[int, ...]) -> str:
    """Metric name of the probability of one joint action, e.g. ``eval/dependent/joint/0_3``."""
    return f"eval/{policy}/joint/{'_'.join(map(str, actions))}"


def sampled(episode: int, step: int, number: str) -> str:
    """Metric name of a tracked number in an episode of the final policy, e.g. ``sampled/3/25/x``."""
    return f"sampled/{episode}/{step}/{number}"
