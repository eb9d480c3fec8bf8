"""Image observations: a small convolutional network in place of a trunk's first layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

#: Channels of the 3 x 3 convolutions. A convolution has stride 2 if both sides of its input are at least HALVED_FROM.
CHANNELS, HALVED_FROM = (16, 32, 32), 8


class PictureLinear(nn.Module):
    """Linear([convolved pictures, rest of the input]) for inputs that begin with flattened pictures.

    Args:
        input_dim: size of an input, pictures included.
        output_dim: size of an output.
        picture: height, width and channels of each picture.
        count: number of pictures at the beginning of an input.
    """

    def __init__(self, input_dim: int, output_dim: int, picture: tuple[int, int, int], count: int = 1) -> None:
        super().__init__()
        height, width, channels = self.picture = picture
        self.count = count
        layers: list[nn.Module] = []
        for more in CHANNELS:
            stride = 2 if min(height, width) >= HALVED_FROM else 1
            layers += [nn.Conv2d(channels, more, 3, stride, padding=1), nn.ReLU()]
            height, width, channels = (height - 1) // stride + 1, (width - 1) // stride + 1, more
        self.eyes = nn.Sequential(*layers, nn.Flatten())
        self.pixels = count * picture[0] * picture[1] * picture[2]
        self.linear = nn.Linear(count * height * width * channels + input_dim - self.pixels, output_dim)

    def forward(self, inputs: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch H"]:
        """Outputs of the layer."""
        lead = inputs.shape[:-1]
        pictures = inputs[..., : self.pixels].reshape(-1, *self.picture).permute(0, 3, 1, 2)
        seen = self.eyes(pictures).view(*lead, -1)
        return self.linear(torch.cat([seen, inputs[..., self.pixels :]], dim=-1))


def first_layer(
    input_dim: int, output_dim: int, picture: tuple[int, int, int] | None = None, count: int = 1
) -> nn.Module:
    """A linear layer; if inputs begin with pictures, these are convolved first."""
    if picture is None:
        return nn.Linear(input_dim, output_dim)
    return PictureLinear(input_dim, output_dim, picture, count)
