# ruff: noqa: E501  a table of what is typed reads best in long lines
"""Inputs that no command may take, made from a table: what is typed, and what the folders of a user hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

#: A command's arguments after `python run.py`; OWN stands for a folder of configuration with one broken file.
Malformed = tuple[str, list[str]]

CHOICES = {
    "algo": "qmix",
    "env": "smac",
    "map": "p0_20",
    "budget": "smoke",
    "tracking": "offline",
    "profile": "release",
}
NO_CHOICE = (
    "null",
    "3",
    "",
    "1.5",
    "true",
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "[a]",
    "[]",
    "{a:1}",
    "nope",
    "'a b'",
    ".x",
)
COUNTS = ("seed", "threads", "env.parallel", "env.eval_parallel", "budget.env_steps", "budget.eval_interval",
          "budget.eval_episodes", "algo.learner.hidden_dim", "algo.learner.target_interval", "algo.replay.capacity",
          "algo.replay.batch", "algo.replay.burn_in", "algo.replay.updates_per_episode")  # fmt: skip
NO_COUNT = ("nan", "inf", "-inf", "-1", "1.5", "x", "", "null", "[1]", "{a:1}", "9223372036854775808", "1e400", "'1 2'")
NUMBERS = ("algo.learner.lr", "algo.learner.gamma", "algo.learner.clip", "algo.learner.alpha.start",
           "algo.learner.alpha.end", "checkpoint.every_seconds")  # fmt: skip
NO_NUMBER = ("nan", "inf", "-inf", "-1", "x", "", "null", "[1]", "{a:1}", "1e999", "5:3")
KEYS = (*COUNTS, *NUMBERS, "device", "mode", "outputs", "policy", "tracking.project", "tracking.mode", "env.backend",
        "map.payoff", "algo.learner.recurrent", "algo.learner.mixer", "env.bootstrap_at_limit")  # fmt: skip
SYNTAX = (
    "=", "=3", "seed", "seed==", "seed=[", "seed=]", "seed={", "seed='", 'seed="', "seed=\\", "seed=[1,", "seed=(", "seed=1)",
    "seed=${", "seed=${seed}", "seed=${nope}", "seed=${oc.env:NO_SUCH_VARIABLE}", "seed=${oc.decode:'['}", "seed=:",
    "seed=a=b", "+", "++", "~", "~seed", "~seed=0", "~threads", "~algo", "~env.make", "~budget.env_steps", "~nope", "+seed=3",
    "+algo=qmix", "+algo@mine=qmix", "algo@mine=qmix", "algo:a=qmix", "seed@x=3", "seed=0,1", "seed=choice(1,2)",
    "seed=range(1,3)", "seed=interval(0,1)", "seed=int(x)", "seed=nope(3)", "seed=extend_list(1)", "a.b.c=3", "seed.x=3",
    "outputs=", "outputs= ", "run=", "outputs=null", "--nope", "-x", "--cfg", "--cfg nope", "--info nope",
    "hydra.searchpath=3", "hydra.searchpath=[file:///no/such/folder]", "hydra/launcher=nope", "hydra/launcher=../x",
    "hydra.launcher.n_jobs=x", "hydra/sweeper=nope", "hydra.nope=3", "seed=" + 2000 * "[", "seed=é", "séed=3",
    "seed=0x10", "seed=1_0_", "seed=٣x", "env.make=null", "env.make=3", "env.make._target_=nope.Nope", "env.make._target_=3",
    "algo.learner=null", "algo.learner._target_=os.nope", "algo.learner._target_=json.dumps", "algo.replay=null", "env.kwargs=3",
    "algo.replay=3", "budget={a:1}", "env={name:x}", "checkpoint=null", "checkpoint=5", "policy=dependent", "run=x", "tracking=null", "map.payoff=[]", "map.payoff=[[1,2],[3]]",
    "map.payoff=[[1,nan]]", "map.payoff=x", "map.name=..", "map.name=a/b", "map.name=", "budget.name=..", "algo.name=a/b",
    "env.name=../x", "env.backend=../x", "device=tpu", "device=null", "mode=play", "mode=null", "threads=100000",
    "env.parallel=100001", "env.eval_parallel=33", "budget.eval_episodes=33", "budget.eval_episodes=32000000",
    "tracking.project=a/b", "tracking.project=a#b", "tracking.project=a:b", "tracking.project=", "tracking.project=null",
    "tracking.project=" + 200 * "a", "tracking.entity=3", "tracking.mode=on", "algo.learner.alpha.per=weeks",
    "algo.learner.alpha.factor=2", "algo.learner.mixer=cubic", "algo.learner.recurrent=5", "mode=render run=no_such_folder",
    "mode=render policy=nope", "map=8m", "env=smac map=p0_12", "seeed=3",
)  # fmt: skip
#: Settings that each may be, but not together.
TOGETHER = (
    "algo.replay.capacity=64", "algo.replay.burn_in=6000", "algo.replay.batch=6000", "algo.replay.batch=5000 budget=smoke",
    "algo.replay.burn_in=4000 budget=smoke", "budget.env_steps=50", "algo=mappo algo.rollout.env_steps=30000",
    "algo=mappo budget.env_steps=20", "algo=mappo env=mpe budget.env_steps=2000", "algo=qmix budget.env_steps=10",
    "algo=mappo env=multigoal budget.env_steps=1000", "algo=mappo ~algo.rollout", "algo=mappo +algo.replay.batch=3",
    "+algo.rollout.env_steps=3", "~algo.replay", "algo=qmix algo.learner.epsilon.start=1.5", "algo.learner.alpha.end=2",
)  # fmt: skip
SWEEPS = (
    "seed=", "algo=", "seed=range(0,0)", "seed=range(3,1)", "seed=range(0,3,0)", "seed=range(0,1,1e-300)", "seed=choice()",
    "seed=range(0,100000000)", "seed=0,x", "seed=0,0", "seed=0,-1", "algo=qmix,nope", "algo=qmix,..", "algo=qmix,null",
    "algo=glob(nope*)", "algo=glob()", "seed=glob(*)", "map=p0_12,8m", "seed=interval(0,1)", "algo.learner.lr=interval(0.1,1)",
    "algo.learner.lr=0.1,nan", "algo.learner.lr=0.1,inf", "mode=render", "--cfg job", "hydra.launcher.n_jobs=0",
    "hydra.launcher.n_jobs=x", "seed=0,9223372036854775808", "+sede=0,1", "+env.paralel=3,4", "outputs=", "~algo",
    "seed=shuffle(0)", "seed=sort(x)", "+experiment=nope", "+experiment=../x", "+experiment=figure4,nope", "seed=tag(a)",
    "algo.replay.capacity=64,200", "budget.env_steps=50,60", "threads=1,0", "device=cpu,tpu", "algo.learner.lr=range(-1,0)",
)  # fmt: skip
FILES = {
    "tab": b"name: own\n\tenv_steps: 1\n",
    "twice": b"name: own\nname: own\n",
    "bracket": b"name: [own\n",
    "brace": b"name: {own\n",
    "quote": b"name: 'own\n",
    "latin": b"name: \xe9\xff\n",
    "binary": bytes(range(256)),
    "nul": b"name: own\0\n",
    "list": b"- name\n- own\n",
    "scalar": b"own\n",
    "two": b"name: own\n---\nname: own\n",
    "norway": b"no: 3\nname: own\n",
    "octal": b"name: own\nenv_steps: 0100\n",
    "sixty": b"name: own\nenv_steps: 1:30\n",
    "itself": b"name: own\nenv: &a [*a]\n",
    "unknown alias": b"name: *own\n",
    "bomb": b"name: own\na0: &a0 [1]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (k, k, b",".join([b"*a%d" % (k - 1)] * 10)) for k in range(1, 12)),
    "deep": b"name: " + 3000 * b"[" + 3000 * b"]" + b"\n",
    "object": b"name: !!python/object/apply:os.system ['true']\n",
    "tag": b"name: !own x\n",
    "indent": b"name: own\n  env: x\n",
    "nothing": b"",
    "loop": b"name: ${name}\n",
    "nowhere": b"name: ${nope.nope}\n",
    "infinite": b"name: own\nenv_steps: .inf\neval_interval: 1\neval_episodes: 32\n",
    "default of itself": b"defaults:\n  - own\nname: own\n",
    "default nowhere": b"defaults:\n  - nope\nname: own\n",
}


def malformed() -> Iterator[Malformed]:
    """All of them, each with a name; always the same ones in the same order."""
    chance = random.Random(0)
    for group, value in product(CHOICES, NO_CHOICE):
        yield f"choice {group}={value}", [f"{group}={value}"]
    for key, value in [*product(COUNTS, NO_COUNT), *product(NUMBERS, NO_NUMBER)]:
        yield f"number {key}={value}", [f"{key}={value}"]
    for key, plus in product(KEYS, ("", "+", "++")):
        wrong = mistyped(key, chance)
        yield f"key {plus}{wrong}", [f"{plus}{wrong}=1"]
    for text in (*SYNTAX, *TOGETHER):
        yield f"text {text[:60]}", text.split(" ") if "= " not in text else [text]
    for text in SWEEPS:
        yield f"sweep {text}", ["-m", *text.split(" ")]
    for _ in range(60):
        noise = "".join(chance.choice("[]{}()'\"$,:\\=~+@ *&!|<>%") for _ in range(chance.randint(1, 8)))
        yield f"noise seed={noise}", [f"seed={noise}"]
    for name, group in product(FILES, ("budget", "algo")):
        yield f"file {group} {name}", [f"{group}=own", f"hydra.searchpath=[file://OWN/{name}]"]


def mistyped(key: str, chance: random.Random) -> str:
    """A key with one letter of its last part left out, doubled or changed places, and none that there is."""
    above, dot, last = key.rpartition(".")
    at = chance.randrange(len(last) - 1)
    doubled = last[:at] + last[at] + last[at:]
    swapped = last[:at] + last[at + 1] + last[at] + last[at + 2 :]
    wrong = chance.choice([last[:at] + last[at + 1 :], doubled, swapped])
    return f"{above}{dot}{wrong if wrong != last else doubled}"


def write_files(folder: Path) -> None:
    """Folders of configuration, each with one broken file for an algorithm and a budget."""
    for name, content in FILES.items():
        for group in ("budget", "algo"):
            path = folder / name / group / "own.yaml"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
