"""How long a budget's runs are meant to be."""

from functools import cache

from omegaconf import OmegaConf

from macpf.configuration import CONF


@cache
def full_length(env: str, budget: str) -> int | None:
    """Env steps that a budget promises in an environment, None if `conf/` does not know them."""
    path = CONF / "env" / f"{env}.yaml"
    if not env or not path.exists():
        return None
    steps = OmegaConf.select(OmegaConf.load(path), f"budgets.{budget}.env_steps")
    return None if steps is None else int(steps)
