"""The weights of a trained run: the parameters of its networks and a description, without any training state.

A weights file is in the safetensors format, which contains only numbers and runs no code when it is read. Its metadata
contain the algorithm and its settings, the sizes of the environment, the run, and the checksum of the weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from macpf.envs.base import EnvSpec
from macpf.learning.algorithm import Algorithm, Sizes
from macpf.records import ledger as records
from macpf.records.files import Damaged, complaint, write_atomically
from macpf.records.ledger import Ledger, Manifest
from macpf.records.owner import Foreign
from macpf.records.run_state import FINISHED, run_state
from macpf.runs import checkpoint

#: The folder in which a run keeps weights, and the suffix of their files.
FOLDER, SUFFIX = "weights", ".safetensors"
#: The key of our entry in a file's metadata.
_ENTRY = "macpf"
_SAME = "take weights of the same algorithm with the same networks"


class Unusable(ValueError):
    """The weights do not exist or do not fit; the message says why and what to do."""


class About(BaseModel):
    """The description of weights.

    Attributes:
        key, origin: the run that made them (`macpf.records.owner.Owner`).
        algo, env, map, seed: names of the run's algorithm, environment and map, and its seed.
        env_steps: env steps of training before they were saved; -1 if unknown.
        learner: ``_target_`` and the arguments of the algorithm.
        spec: sizes of the environment (`macpf.envs.base.EnvSpec`).
        digest: checksum of the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal[1] = 1
    key: str
    origin: str
    algo: str
    env: str
    map: str
    seed: int
    env_steps: int = Field(ge=-1)
    learner: dict[str, Any]
    spec: dict[str, Any]
    digest: str

    def __str__(self) -> str:
        return f"{self.algo} on {self.env}/{self.map} seed={self.seed} after {self.env_steps:,} env steps"

    @property
    def sizes(self) -> EnvSpec:
        """The sizes for which the networks were made.

        Raises:
            Unusable: they are no sizes of an environment.
        """
        return _sizes(self.spec, self)


@dataclass(frozen=True)
class Weights:
    """The parameters of all networks, including targets, by their names in the algorithm, and their description."""

    about: About
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, state: Mapping[str, Any], manifest: Manifest, spec: EnvSpec, env_steps: int) -> Weights:
        """The weights in an algorithm's state, copied to the CPU."""
        tensors = {name: t.detach().cpu().clone() for name, t in state.items() if isinstance(t, Tensor)}
        about = About(
            **{name: getattr(manifest, name) for name in ("key", "origin", "algo", "env", "map", "seed")},
            env_steps=env_steps,
            learner=manifest.config["algo"]["learner"],
            spec=dataclasses.asdict(spec),
            digest=digest_of(tensors),
        )
        return cls(about, tensors)

    def save(self, path: Path) -> None:
        """Write a weights file atomically."""
        metadata = {_ENTRY: self.about.model_dump_json()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.torch.save(self.tensors, metadata))

    def put_into(self, algorithm: Algorithm) -> None:
        """Load these weights into an algorithm; its optimiser and random stream do not change.

        Raises:
            Unusable: names or shapes differ.
        """
        own = {name: value for name, value in algorithm.state_dict().items() if isinstance(value, Tensor)}
        for name in sorted(own.keys() ^ self.tensors.keys()):
            what = f"lack its parameter {name}" if name in own else f"have a parameter {name} that it lacks"
            raise Unusable(f"the weights of {self.about} do not fit this algorithm: they {what}; {_SAME}")
        for name, there in self.tensors.items():
            if there.shape != own[name].shape:
                shapes = f"{list(there.shape)} there and {list(own[name].shape)} here"
                raise Unusable(f"the weights of {self.about} do not fit this algorithm: {name} is {shapes}; {_SAME}")
        algorithm.load_state_dict(self.tensors, strict=False)

    def make(self, device: str = "cpu") -> Algorithm:
        """The algorithm of these weights, ready to act.

        Raises:
            Unusable: the algorithm does not exist here, or it has changed since.
        """
        settings = dict(self.about.learner)
        module, _, name = str(settings.pop("_target_", "")).rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise Unusable(f"{self.about}: its algorithm {module}.{name} is not here ({error})") from error
        if not (isinstance(kind, type) and issubclass(kind, Algorithm)):  # a file may name anything
            raise Unusable(f"{self.about}: {module}.{name} is no algorithm of this suite")
        before, sizes = torch.get_rng_state(), cast(Sizes, self.about.sizes)
        try:
            algorithm = kind(sizes=sizes, device=device, seed=0, **settings)
        except (ValueError, TypeError) as error:
            line = " ".join(str(error).split())
            raise Unusable(f"{self.about}: {module}.{name} does not take its settings ({line})") from error
        finally:
            torch.set_rng_state(before)
        self.put_into(algorithm)
        return algorithm


def _sizes(spec: Mapping[str, Any], of: object) -> EnvSpec:
    picture = spec.get("picture")
    try:
        return EnvSpec(**{**spec, "picture": None if picture is None else tuple(picture)})
    except (TypeError, ValueError) as error:
        raise Unusable(f"{of}: the sizes of its environment are wrong ({error}); take other weights") from error


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """A checksum over names, types, shapes and numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def load(place: Path, name: str | int | None = None) -> Weights:
    """The weights in a weights file, or of a run.

    Args:
        place: a weights file, or a run folder.
        name: name of saved weights of the run (`kept`), or their env step; None: those of its newest checkpoint.

    Raises:
        Unusable: there are none.
        checkpoint.Unreadable, Damaged: there are, but they cannot be read.
    """
    if place.is_file():
        if name is not None:
            raise Unusable(f"{place} is a file of weights, which holds no checkpoint={name}; name a run folder")
        return read(place)
    try:
        manifest = Ledger.read(place / records.NAME).manifest
    except FileNotFoundError as error:
        if place.suffix == SUFFIX:
            names = ", ".join(kept(place.parent.parent)) or "no weights"
            raise Unusable(f"there is no file {place}; its run kept {names}") from error
        form = "outputs/<env>/<map>/<algo>/<hash>/seed=<k>"
        raise Unusable(f"{place} is not a run folder; name one of the form {form}") from error
    if name is not None:
        weights = read(path_of(place, name))
        owner = manifest.owner
        if (weights.about.key, weights.about.origin) != (owner.key, owner.origin):
            raise Foreign(f"{path_of(place, name)} belongs to the run {weights.about.key}, not to {owner}")
        return weights
    state = checkpoint.load(place / "checkpoint.pt", manifest.owner)
    if state is None:
        raise Unusable(f"{place} has no checkpoint yet; wait for the run to save one")
    spec = _sizes(state["spec"], place) if "spec" in state else _spec_by_playing(manifest)
    return Weights.of(state["algorithm"], manifest, spec, state["clock"]["env_steps"])


def to_begin_with(place: str) -> Weights:
    """The weights with which a new run begins: those of a finished run, or in a weights file.

    Raises:
        Unusable: they do not exist, are damaged, or may still change.
    """
    path = Path(place)
    if path.is_dir() and (state := run_state(path).state) != FINISHED and (path / records.NAME).exists():
        raise Unusable(
            f"{place} is {state}, and its weights may still change; name weights that it kept "
            f"({FOLDER}/step=<n>{SUFFIX} in its folder), or wait until it is finished"
        )
    try:
        return load(path)
    except (checkpoint.Unreadable, Damaged) as error:
        raise Unusable(str(error)) from error


def kept(folder: Path) -> list[str]:
    """The names of the weights that a run has saved, by their env steps."""
    found = [path.stem for path in (folder / FOLDER).glob(f"*{SUFFIX}")]
    return sorted(found, key=lambda name: (_step_in(name) is None, _step_in(name) or 0, name))


def name_of(env_step: int) -> str:
    """The name of weights saved at an env step."""
    return f"step={env_step}"


def path_of(folder: Path, name: str | int) -> Path:
    """The path of saved weights of a run.

    Raises:
        Unusable: it has none of this name; the message lists those that exist.
    """
    text = str(name)
    text = name_of(int(text)) if text.isdecimal() else text
    if text not in (there := kept(folder)):
        choices = (
            f"choose one of: {', '.join(there)}" if there else "it has kept none (checkpoint.keep=[...] keeps some)"
        )
        raise Unusable(f"checkpoint={name} is not kept in {folder}; {choices}")
    return folder / FOLDER / f"{text}{SUFFIX}"


def read(path: Path) -> Weights:
    """A weights file.

    Raises:
        Unusable: there is none, or it is not a weights file of this suite.
        Damaged: its content is not what was written.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
    except FileNotFoundError as error:
        raise Unusable(f"there is no file {path}") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror or error})") from error
    except safetensors.SafetensorError as error:
        raise Damaged(f"{path} is damaged, or no file of weights ({error})") from error
    if entry is None:
        raise Unusable(f"{path} does not say what its weights are of; use a file that this suite wrote")
    try:
        about = About.model_validate_json(entry)
    except ValidationError as error:
        raise Damaged(f"{path} is damaged ({complaint(error)})") from error
    if about.digest != digest_of(tensors):
        raise Damaged(f"{path} is damaged (its checksum does not match)")
    return Weights(about, tensors)


def _step_in(name: str) -> int | None:
    step = name.removeprefix("step=")
    return int(step) if step.isdecimal() else None


def _spec_by_playing(manifest: Manifest) -> EnvSpec:
    """The sizes of a run whose checkpoint was made before checkpoints included them."""
    settings = dict(manifest.config["env"]["make"])
    module, _, name = settings.pop("_target_").rpartition(".")
    spec: EnvSpec = getattr(importlib.import_module(module), name)(**settings, batch_size=1, seed=0).spec
    return spec
