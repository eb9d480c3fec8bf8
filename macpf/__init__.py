"""MACPF (multi-agent conditional policy factorization) and the machinery that trains it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from macpf.trained_policy import Policy, load_policy

__all__ = ["Policy", "load_policy"]


def __getattr__(name: str) -> Any:
    """Import PyTorch only for those who ask for a policy."""
    if name in __all__:
        from macpf.extras import lacking

        try:
            from macpf import trained_policy
        except ModuleNotFoundError as error:
            raise lacking(str(error.name), "train", f"macpf.{name}") from error
        return getattr(trained_policy, name)
    raise AttributeError(f"module 'macpf' has no attribute {name!r}")
