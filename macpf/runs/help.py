"""What ``python run.py --help`` and ``macpf train --help`` say, read from conf/ without Hydra, which starts slowly."""

from __future__ import annotations

import textwrap
from collections import defaultdict

import yaml

from macpf import suite
from macpf.choices import choices
from macpf.extensions import find

#: The groups whose choices are listed, besides environments and maps.
GROUPS = ("algo", "budget", "profile", "tracking", "experiment", "hydra/launcher")
WIDTH = 110

TEXT = """\
Train MACPF or a baseline, one run or a sweep.

One run:     python run.py algo=macpf env=matrix_game seed=3
A sweep:     python run.py -m algo=macpf,fop,qmix env=matrix_game seed=0,1,2,3,4
A figure:    python run.py -m +experiment=figure4
A search:    python run.py -m hydra/sweeper=optuna 'algo.learner.lr=tag(log,interval(1e-4,1e-2))' env=matrix_game
Evaluate:    python run.py mode=evaluate run=outputs/<env>/<map>/<algo>/<hash>/seed=<k> evaluate.episodes=1000
A picture:   python run.py mode=render run=outputs/<env>/<map>/<algo>/<hash>/seed=<k>
On SLURM:    python run.py -m hydra/launcher=slurm algo=macpf,qmix seed=0,1
Same command again: finished runs are skipped, interrupted ones go on.

== Environments (env=...) and their maps (map=...) ==
{maps}

== Other groups (group=choice) ==
{groups}

== Keys one would change (key=value) ==
profile=release             as the algorithm's authors ran it on SMAC, update by update, not as the paper says
seed=0                      every random stream grows from it
budget=paper|laptop|archive|smoke   how long to train; budget.env_steps=5000 changes one number
tracking=offline            W&B log on this disk only; online, disabled; tracking.tags=[a,b] and more: docs/wandb.md
algo.learner.lr=0.001       any setting of the algorithm; --cfg job shows them all
checkpoint.keep=[1000]      keep the weights at an env step; checkpoint.keep_every=1000: again and again
init_from=<folder>          begin with the weights of a trained run
outputs=outputs             the root of all run folders
device=auto                 cpu, cuda (plays on the CPU, learns on the GPU), cuda-only
checkpoint.every_seconds=60 seconds of work that a power cut may cost
hydra.launcher.n_jobs=2     processes of a sweep (default: all cores)

--cfg job                   show the composed configuration and stop
--why KEY                   which file and line a setting is from, and what it overrode, e.g.
                            run.py --why algo.learner.alpha algo=macpf env=smac map=MMM2
--hydra-help                options of Hydra's own
Figures and tables: python -m analysis --help"""


def text() -> str:
    """The whole help."""
    groups = {group: choices(group) for group in GROUPS}
    return suite.as_typed(TEXT).format(maps=_listed(maps_by_env()), groups=_listed(groups))


def maps_by_env() -> dict[str, list[str]]:
    """The maps of each environment, from their files. Broken files and files without ``env`` are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in choices("map"):
        try:
            path = find("map", name)
            content = yaml.load(path.read_text(encoding="utf-8"), _LOADER) if path else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if isinstance(content, dict) and content.get("env"):
            found[str(content["env"])].append(name)
    return {env: found[env] for env in choices("env")}


#: The loader in C is ten times as fast, but not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _listed(groups: dict[str, list[str]]) -> str:
    indent = 2 + max(map(len, groups))
    lines = (f"{group + ':':<{indent}}{', '.join(names)}" for group, names in groups.items())
    wrapped = (
        textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
        for line in lines
    )
    return "\n".join(wrapped)
