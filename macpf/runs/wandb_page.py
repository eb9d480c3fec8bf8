"""What W&B shows of a run: name, group, tags, config, pictures and model. All of it is read from the run folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from macpf import names
from macpf.records.ledger import Ledger, Manifest
from macpf.runs.settings import TrackingSettings

#: W&B's limit for a tag.
LONGEST_TAG = 64
#: W&B's limit for the name of an artefact.
LONGEST_NAME = 128
#: Sections of a configuration about where a run is stored and how it is logged; its manifest leaves them out.
PLACES = ("outputs", "run", "mode", "policy", "evaluate", "tracking")
#: Keys of the environment that list possible choices.
OFFERS = ("budgets", "auto")

#: The files of a model artefact: all that is needed to play with the model again.
MODEL = ("checkpoint.pt", "config.yaml", "ledger.jsonl")


def described_config(config: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration as manifests and W&B keep it, without `PLACES` and `OFFERS`."""
    kept = {key: copy.deepcopy(value) for key, value in config.items() if key not in PLACES}
    for offer in OFFERS:
        kept["env"].pop(offer, None)
    return kept


def name_of(manifest: Manifest) -> str:
    """The default name of a run on W&B, e.g. ``macpf MMM2 seed=3``; the W&B id has the rest."""
    return f"{manifest.algo} {manifest.map} seed={manifest.seed}"


def tags_of(manifest: Manifest, more: tuple[str, ...] = ()) -> list[str]:
    """Tags to find a run by: algorithm, environment, map, backend, budget, profile, and `more`; long ones are cut."""
    profile = (manifest.config.get("profile") or {}).get("name")
    own = [manifest.algo, manifest.env, manifest.map, manifest.backend, f"budget={manifest.budget}"]
    own += [f"profile={profile}"] if profile else []
    return list(dict.fromkeys(tag[:LONGEST_TAG] for tag in (*own, *more)))


def shown(ledger: Ledger, attempt: int, settings: TrackingSettings) -> dict[str, Any]:
    """The arguments of ``wandb.init`` that describe the run."""
    manifest = ledger.manifest
    return {
        "project": settings.project,
        "entity": settings.entity,
        "id": manifest.owner.wandb_id,
        "name": settings.name or name_of(manifest),
        "group": settings.group or names.configuration(manifest.key),
        "job_type": "train",
        "tags": tags_of(manifest, settings.tags),
        "notes": settings.notes,
        "config": tracked_config(ledger, attempt),
    }


def tracked_config(ledger: Ledger, attempt: int) -> dict[str, Any]:
    """W&B's config of a run: its manifest under the names of `macpf.names`, and which attempt this is."""
    manifest = ledger.manifest
    newest = ledger.attempts[-1] if ledger.attempts else None
    return manifest.provenance | {
        names.ALGO: manifest.algo,
        names.ENV: manifest.env,
        names.MAP: manifest.map,
        names.BACKEND: manifest.backend,
        names.BUDGET: manifest.budget,
        names.SEED: manifest.seed,
        names.RUN_KEY: manifest.key,
        names.ORIGIN: manifest.origin,
        names.EVALUATIONS: manifest.evaluations,
        names.SCORE: manifest.score,
        names.LABELS: manifest.labels,
        names.FAMILY: manifest.family,
        names.TOTAL_ENV_STEPS: manifest.env_steps,
        names.PARAMETERS: manifest.parameters,
        names.CONFIG: manifest.config,
        names.ATTEMPT: attempt,
        names.COMMIT: newest.commit if newest else "unknown",
        names.HOST: newest.host if newest else "unknown",
        names.TORCH: newest.torch if newest else "unknown",
    }


def picture_of(folder: Path, policy: str) -> Path:
    """The path of the GIF of an episode played by a policy."""
    return folder / f"episode_{policy}.gif"


def attach(run: Any, ledger: Ledger, settings: TrackingSettings) -> None:
    """Log the pictures and the model of a finished run to W&B.

    Args:
        run: the open W&B run.
        ledger: the run's ledger; pictures and model lie beside it.
        settings: whether to log pictures (`media`) and the model (`model`).
    """
    import wandb

    manifest, folder = ledger.manifest, ledger.path.parent
    if settings.media and (pictures := dict(_pictures(ledger))):
        videos = {f"episode/{policy}": wandb.Video(str(path), format="gif") for policy, path in pictures.items()}
        run.log({names.ENV_STEP: ledger.rows[-1].values[names.ENV_STEP], **videos})
    if settings.model:
        model = wandb.Artifact(
            f"model-{manifest.owner.wandb_id}"[-LONGEST_NAME:],
            type="model",
            description=f"the final {manifest.algo} of {manifest.owner}",
            metadata={names.RUN_KEY: manifest.key, names.ORIGIN: manifest.origin, **final_scores(ledger)},
        )
        for file in MODEL:
            model.add_file(str(folder / file))
        run.log_artifact(model)


def _pictures(ledger: Ledger) -> Iterator[tuple[str, Path]]:
    for policy in ledger.manifest.labels:
        path = picture_of(ledger.path.parent, policy)
        if path.exists():
            yield policy, path


def final_scores(ledger: Ledger) -> dict[str, float]:
    """The score of each policy in the last row of results, by the score's name in the row."""
    scores = [names.score(policy, ledger.manifest.score) for policy in ledger.manifest.labels]
    return {name: ledger.rows[-1].values[name] for name in scores}
