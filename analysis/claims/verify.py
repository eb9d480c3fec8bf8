"""``python -m analysis verify table1-best``: train the runs that a claim still needs, and judge it."""

import difflib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import AnalysisError, style
from analysis.claims.claim import CONTRADICTED, SUPPORTED, Claim
from analysis.claims.verdicts import CLAIMS, gather, ledger, readable
from analysis.runs import Runs
from macpf.choices import sweep_params

#: Exit codes of the command; 2 is for requests that cannot be answered.
EXIT = {SUPPORTED: 0, CONTRADICTED: 1}
UNDECIDED_EXIT = 3


def claim_of(id: str) -> Claim:
    """The claim with an id.

    Raises:
        AnalysisError: there is no such claim.
    """
    by_id = {claim.id: claim for claim in CLAIMS}
    if id not in by_id:
        near = difflib.get_close_matches(id, by_id, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "`python -m analysis claims` lists them"
        raise AnalysisError(f"the paper has no claim {id}: {hint}")
    return by_id[id]


def sweep(claim: Claim) -> list[str]:
    """The overrides that restrict the experiment's sweep to what the claim needs."""
    params = sweep_params(claim.experiment)
    algos = [algo for algo in params["algo"].split(",") if style.label(algo) in claim.players]
    changes = {"algo": algos, "map": [map_ for map_ in params.get("map", "").split(",") if map_ in claim.maps]}
    return [f"{key}={','.join(values)}" for key, values in changes.items() if values]


def train(claim: Claim, runs: Path, budget: str, backend: str | None, more: Sequence[str]) -> None:
    """Train the missing runs below a folder, with `more` arguments for ``macpf.runs.reproduce`` and ``run.py``.

    Raises:
        AnalysisError: the training was refused.
    """
    command = [sys.executable, "-m", "macpf.runs.reproduce", claim.experiment, "--runs", str(runs), "--budget", budget]
    command += ["--backend", backend] if backend else []
    done = subprocess.run([*command, *sweep(claim), *more], check=False).returncode
    if done not in (0, 1):  # 1: some runs failed, and were named
        raise AnalysisError(f"the runs of {claim.id} were not trained (exit code {done}); see the lines above")


def verdict(claim: Claim, runs: Runs, budget: str, backend: str | None) -> int:
    """Judge a claim and print the verdict; returns 0 (supported), 1 (contradicted) or 3 (undecided)."""
    table = ledger(gather(runs, budget, backend), [claim])
    print(readable(table))
    return EXIT.get(table["our verdict"].iloc[0].split(" ")[0], UNDECIDED_EXIT)
