"""MACPF (multi-agent conditional policy factorization) and the machinery that trains it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from macpf.policy import Policy, load_policy

__all__ = ["Policy", "load_policy"]


def __getattr__(name: str) -> Any:
    """Import PyTorch only for those who ask for a policy."""
    if name in __all__:
        from macpf.extras import require

        require("train", f"macpf.{name}")
        from macpf import policy

        return getattr(policy, name)
    raise AttributeError(f"module 'macpf' has no attribute {name!r}")
