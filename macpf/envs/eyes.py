"""Image observations of PettingZoo environments, as the networks see them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces
from jaxtyping import Float


class Eyes:
    """Downsamples pictures: each block of n x n pixels becomes its mean.

    Args:
        shape: height, width and channels of the downsampled picture.
        of_bytes: whether pixels are bytes.
        n: pixels along a side of a block.
        whole: height, width and channels of the environment's picture.
    """

    def __init__(self, shape: tuple[int, int, int], of_bytes: bool, n: int, whole: tuple[int, int, int]) -> None:
        self.shape, self.bytes, self.n, self.whole = shape, of_bytes, n, whole

    @classmethod
    def of(cls, id: str, shown: Mapping[str, spaces.Space], n: int) -> Eyes:
        """The downsampling for these observation spaces, by agent.

        Raises:
            ValueError: they are not pictures of one shape and type, or blocks of n x n pixels do not fit into them.
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
        """Size of a flattened downsampled picture."""
        return int(np.prod(self.shape))

    def look(self, picture: Float[np.ndarray, " X"]) -> Float[np.ndarray, " O"]:
        """A flattened picture, downsampled; pixels at the right and lower edge that fill no block are dropped."""
        height, width, channels = self.shape
        cut = picture.reshape(self.whole)[: height * self.n, : width * self.n]
        seen = cut.reshape(height, self.n, width, self.n, channels).mean(axis=(1, 3)).ravel()
        return seen.round() if self.bytes else seen

    def as_numbers(self, seen: np.ndarray) -> np.ndarray:
        """The picture as float32; bytes are divided by 255."""
        numbers: np.ndarray = seen.astype(np.float32)
        return numbers / np.float32(255.0) if self.bytes else numbers
