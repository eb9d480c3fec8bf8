"""Pictures that PettingZoo's agents observe, as they are shown to the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces
from jaxtyping import Float


class Eyes:
    """How pictures are seen: n x n pixels as their mean.

    Args:
        shape: height, width and channels of what is seen.
        of_bytes: whether pixels are bytes.
        n: pixels along a side that become one.
        whole: shape of what the environment shows.
    """

    def __init__(self, shape: tuple[int, int, int], of_bytes: bool, n: int, whole: tuple[int, int, int]) -> None:
        self.shape, self.bytes, self.n, self.whole = shape, of_bytes, n, whole

    @classmethod
    def of(cls, id: str, shown: Mapping[str, spaces.Space], n: int) -> Eyes:
        """For these observation spaces.

        Raises:
            ValueError: they are no pictures, or of different shapes, or no n x n pixels fit into them.
        """
        whole = {space.shape for space in shown.values()}
        kinds = {space.dtype for space in shown.values()}
        (shape, *more), (kind, *_) = whole, kinds
        if more or len(kinds) > 1 or shape is None or len(shape) != 3 or kind is None or kind.kind not in "uf":
            found = next(iter(shown.values()))
            raise ValueError(f"env.id={id}: {found} is no picture [H, W, C] for all agents; use env.make.pictures=null")
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= min(shape[:2]):
            raise ValueError(f"env.make.pictures={n} fits no picture of {shape[0]} x {shape[1]}; use 1, or null")
        return cls((shape[0] // n, shape[1] // n, shape[2]), kind == np.uint8, n, shape)

    @property
    def dim(self) -> int:
        """Numbers of what is seen."""
        return int(np.prod(self.shape))

    def look(self, picture: Float[np.ndarray, "X"]) -> Float[np.ndarray, "O"]:
        """A flattened picture as it is seen; what does not fill n x n pixels at its ends is left out."""
        height, width, channels = self.shape
        cut = picture.reshape(self.whole)[: height * self.n, : width * self.n]
        seen = cut.reshape(height, self.n, width, self.n, channels).mean(axis=(1, 3)).ravel()
        return seen.round() if self.bytes else seen

    def as_numbers(self, seen: np.ndarray) -> np.ndarray:
        """Float32; bytes from 0 to 1."""
        numbers: np.ndarray = seen.astype(np.float32)
        return numbers / np.float32(255.0) if self.bytes else numbers
