"""Frames of an environment as an animated GIF."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import UInt8

from macpf.extras import require

if TYPE_CHECKING:
    from PIL import Image

Frame: TypeAlias = UInt8[np.ndarray, "H W 3"]
#: Milliseconds for which a frame is shown, and how often the last frame is repeated.
FRAME_TIME, STAYS = 120, 16
#: Number of palette colours taken from the first frame, and levels of red, green and blue for colours of later frames.
FIRST_COLOURS, LATER_LEVELS = 131, (0, 64, 128, 192, 255)


def as_gif(frames: Iterable[Frame]) -> bytes:
    """An endless animation that pauses on its last frame; frames are read one by one and not kept.

    All frames share one palette. With separate palettes, the background would flicker and every frame would be stored
    in full.

    Raises:
        macpf.extras.MissingExtra: Pillow is not installed.
    """
    require("render", "an animation")
    from PIL import Image  # imported late, as only pictures need it

    pictures = (Image.fromarray(frame) for frame in frames)
    first = next(pictures)
    palette = _palette(first)

    def rest() -> Iterator[Image.Image]:
        last = first
        for picture in pictures:
            last = picture.quantize(palette=palette, dither=Image.Dither.NONE)
            yield last
        for _ in range(STAYS):  # equal frames are stored once
            yield last

    file = io.BytesIO()
    first.quantize(palette=palette, dither=Image.Dither.NONE).save(
        file, format="GIF", save_all=True, append_images=rest(), duration=FRAME_TIME, loop=0
    )
    return file.getvalue()


def _palette(first: Image.Image) -> Image.Image:
    from PIL import Image

    colours = first.quantize(FIRST_COLOURS, dither=Image.Dither.NONE).getpalette() or []
    cube = [level for r in LATER_LEVELS for g in LATER_LEVELS for b in LATER_LEVELS for level in (r, g, b)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours[: 3 * FIRST_COLOURS] + cube)
    return palette
