"""The names under which a run logs what it measured, shared by the code that writes and the code that reads logs.

This module imports nothing, so the analysis can use it without loading torch.

A run logs one W&B row per evaluation. Every row holds ``ENV_STEP``. Metric names are flat, with ``/``:

- ``eval/<policy>/<score>``: mean over the evaluation episodes of one greedy policy. ``<policy>`` is
  ``independent`` for every algorithm, and ``dependent`` too for MACPF. ``<score>`` is the environment's name of its
  score (``return`` or ``win_rate``). ``eval/<policy>/episode_length`` and the numbers that the environment reports for
  an episode (``battle_won``, ``success``) are also such means.
- ``eval/<policy>/joint/<a_1>_<a_2>``: probability that the (stochastic) policy gives to a joint action in the
  first state of an evaluation episode; only where the joint action space is small.
- ``sampled/<episode>/<env step>/<number>``: tracked numbers of sampled episodes of the final behaviour policy, in a
  run's last row; only for environments that name numbers to track. W&B has them as one table, see
  ``macpf.records.sampled``.
- ``train/...``: losses and gradient norms, averaged over the updates since the previous row, and the score of
  the exploring episodes.
- ``clock/episodes``, ``clock/updates``: the other two counters of the run's clock.
- ``clock/evaluation``, ``clock/evaluation_after``: the number of this row, from 0 on, and of the row before it (-1 for
  the first), so that missing rows are noticed.
- ``time/...``: wall-clock figures, the only metrics in which two runs of the same seed may differ.
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
#: ``<algo>-<env>-<map>-<config hash>-s<seed>``: depends only on settings that change results.
RUN_KEY = "run_key"
#: Drawn at random when the run first began: the same for all its attempts; somebody else's run of the key has another.
ORIGIN = "origin"
#: How many rows a complete run has, see ``macpf.records.numbering.missing``.
EVALUATIONS = "evaluations"
#: The environment's name of its score; the names in figures of evaluated policies; the algorithm this is a variant of.
SCORE, LABELS, FAMILY = "score", "labels", "family"
#: 1 for a run's first start, then 2, 3, ... each time it resumes from a checkpoint.
ATTEMPT = "attempt"
TOTAL_ENV_STEPS = "total_env_steps"
COMMIT = "commit"
#: The kind of machine and PyTorch's version of the newest attempt.
HOST, TORCH = "host", "torch"
CONFIG = "config"
#: Settings left out of a run's config hash: those that do not change results, and the seed, which has its own place in
#: the run key.
NOT_RESULTS = (
    *("mode", "run", "policy", "seed", "device", "accelerate", "threads"),
    *("outputs", "tracking", "checkpoint", "profile", "evaluate"),
)
#: The number of trainable parameters of each module that has any, by its path in the algorithm (``actor.trunk.gru``).
PARAMETERS = "parameters"
#: The beginning of W&B's ids of evaluations made after training (``mode=evaluate``), and a key of their config.
#: They have no ``RUN_KEY``, so no reader takes them for training runs.
EVALUATE, EVALUATED = "evaluate-", "evaluated"
#: Summary keys: how a run ended (``finished``, ``untrained``, ``diverged``), and why it diverged.
END, WHY = "end", "why"
#: Summary key of runs made before ``END`` existed; they set it to 1 when they reached their budget.
DONE = "done"


def configuration(run_key: str) -> str:
    """A run's key without its seed, which all seeds of a configuration share."""
    return run_key.rsplit("-s", 1)[0]


def score(policy: str, name: str) -> str:
    """Metric name of a greedy policy's mean score, e.g. ``eval/independent/return``."""
    return f"eval/{policy}/{name}"


def joint(policy: str, actions: tuple[int, ...]) -> str:
    """Metric name of the probability of one joint action, e.g. ``eval/dependent/joint/0_3``."""
    return f"eval/{policy}/joint/{'_'.join(map(str, actions))}"


def sampled(episode: int, step: int, number: str) -> str:
    """Metric name of a tracked number in a sampled episode of the final policy, e.g. ``sampled/3/25/x``."""
    return f"sampled/{episode}/{step}/{number}"
