"""The GRU of `recurrence.py` as one Triton kernel for all time steps, for CUDA or for Triton's interpreter.

One program processes a block of sequences from first to last step and loads the weights once. With one kernel for each
step, launching would take most of the time. Products are as precise as float32's ("tf32x3": three products of halves).
The products with the inputs and the weights' gradients need no loop over time and stay outside the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from macpf.experience.packing import Packing

#: Sequences that one program handles: the smallest number that tensor cores multiply at once.
BLOCK = 16


def recur_in_one_kernel(
    x: Float[Tensor, "*K E I"],
    start: Float[Tensor, "*K M H"],
    weights: Sequence[Tensor],
    packing: Packing,
) -> tuple[Float[Tensor, "*K E H"], Float[Tensor, "*K M H"]]:
    """`recur` for a packing, also with several sets of weights, each of which has its own inputs.

    Args:
        x: inputs of the rows.
        start: states before the first step.
        weights: input weights [*K, 3H, I], state weights [*K, 3H, H] and their biases, [*K, 3H] each, as in `nn.GRU`.
        packing: packing of the rows, the same for all sets.

    Returns:
        The states after every row (0 in rows that belong to no sequence), and the states after each sequence's last
        row, through which no gradient flows.
    """
    H, (w_input, w_state, b_input, b_state) = start.shape[-1], weights
    bias = b_input + torch.nn.functional.pad(b_state[..., : 2 * H], (0, H))
    gates = x @ w_input.transpose(-1, -2) + bias.unsqueeze(-2)
    lead = gates.shape[:-2]
    several = [t.reshape(-1, *t.shape[len(lead) :]) for t in (gates, start, w_state, b_state[..., 2 * H :])]
    states, last = _Recurrence.apply(*several, packing.starts, packing.lengths())
    return states.view(*lead, *states.shape[1:]), last.view(*lead, *last.shape[1:])


class _Recurrence(torch.autograd.Function):
    """h' = (1 - z) n + z h with r, z = sigmoid(g + W h), n = tanh(g + r (W h + b)); g is the part from the inputs."""

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, start: Tensor, w_state: Tensor, b_n: Tensor, starts: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        K, E, _ = gates.shape
        _, M, H = start.shape
        gates, start, w_state, b_n = (t.contiguous() for t in (gates, start, w_state, b_n))
        activations, candidates, last = torch.empty_like(gates), gates.new_empty(K, E, H), torch.empty_like(start)
        states, before = gates.new_zeros(K, E, H), gates.new_zeros(K, E, H)
        tensors = (gates, w_state, b_n, start, starts, lengths, activations, candidates, before, states, last)
        _forward[triton.cdiv(M, BLOCK), K](*tensors, M, E, **_sizes(H))
        ctx.save_for_backward(w_state, starts, lengths, activations, candidates, before)
        ctx.mark_non_differentiable(last)
        return states, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        w_state, starts, lengths, activations, candidates, before = ctx.saved_tensors
        K, E, H = before.shape
        M = len(lengths)
        # Gradients of W_hn h, r, z and n, in this order: the first three are those of W h, the last three of the gates.
        inner, carried = before.new_zeros(K, E, 4 * H), before.new_empty(K, M, H)
        tensors = (gradients[0].contiguous(), w_state, starts, lengths, activations, candidates, before, inner, carried)
        _backward[triton.cdiv(M, BLOCK), K](*tensors, M, E, **_sizes(H))
        of_weights = (inner[..., : 3 * H].transpose(1, 2) @ before).roll(-H, dims=1)
        return inner[..., H:], carried, of_weights, inner[..., :H].sum(dim=1), None, None


def _sizes(H: int) -> dict[str, Any]:
    return {"H": H, "P": max(triton.next_power_of_2(H), 16), "BLOCK": BLOCK, "num_warps": 8}


@triton.jit
def _multiply(x, w):  # type: ignore[no-untyped-def]
    return tl.dot(x, w, input_precision="tf32x3")


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    gates,
    w_state,
    b_n,
    start,
    starts,
    lengths,
    activations,
    candidates,
    before,
    states,
    last,
    M,
    E,
    H: tl.constexpr,
    P: tl.constexpr,
    BLOCK: tl.constexpr,
):
    m, k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1).to(tl.int64)
    i, j = tl.arange(0, P)[:, None], tl.arange(0, P)[None, :]
    w = w_state + k * 3 * H * H + j * H + i  # transposed
    square = (i < H) & (j < H)
    w_r = tl.load(w, mask=square, other=0.0)
    w_z = tl.load(w + H * H, mask=square, other=0.0)
    w_n = tl.load(w + 2 * H * H, mask=square, other=0.0)
    bias = tl.load(b_n + k * H + j, mask=j < H, other=0.0)
    inside = (m < M)[:, None] & (j < H)
    at_sequence = (k * M + m)[:, None] * H + j
    h = tl.load(start + at_sequence, mask=inside, other=0.0)
    n_steps = tl.load(lengths + m, mask=m < M, other=0)
    for t in range(0, tl.max(n_steps, axis=0)):
        going = inside & (t < n_steps)[:, None]
        row = (k * E + tl.load(starts + t) + m)[:, None]
        gate, at = row * 3 * H + j, row * H + j
        r = tl.sigmoid(tl.load(gates + gate, mask=going, other=0.0) + _multiply(h, w_r))
        z = tl.sigmoid(tl.load(gates + gate + H, mask=going, other=0.0) + _multiply(h, w_z))
        candidate = _multiply(h, w_n) + bias
        n = tl.load(gates + gate + 2 * H, mask=going, other=0.0) + r * candidate
        n = 2 * tl.sigmoid(2 * n) - 1
        new = n + z * (h - n)
        tl.store(activations + gate, r, mask=going)
        tl.store(activations + gate + H, z, mask=going)
        tl.store(activations + gate + 2 * H, n, mask=going)
        tl.store(candidates + at, candidate, mask=going)
        tl.store(before + at, h, mask=going)
        tl.store(states + at, new, mask=going)
        h = tl.where(going, new, h)
    tl.store(last + at_sequence, h, mask=inside)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    gradients,
    w_state,
    starts,
    lengths,
    activations,
    candidates,
    before,
    inner,
    carried,
    M,
    E,
    H: tl.constexpr,
    P: tl.constexpr,
    BLOCK: tl.constexpr,
):
    m, k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1).to(tl.int64)
    i, j = tl.arange(0, P)[:, None], tl.arange(0, P)[None, :]
    w = w_state + k * 3 * H * H + i * H + j
    square = (i < H) & (j < H)
    w_r = tl.load(w, mask=square, other=0.0)
    w_z = tl.load(w + H * H, mask=square, other=0.0)
    w_n = tl.load(w + 2 * H * H, mask=square, other=0.0)
    inside = (m < M)[:, None] & (j < H)
    n_steps = tl.load(lengths + m, mask=m < M, other=0)
    back = tl.zeros([BLOCK, P], dtype=tl.float32)
    longest = tl.max(n_steps, axis=0)
    for s in range(0, longest):
        t = longest - 1 - s
        going = inside & (t < n_steps)[:, None]
        row = (k * E + tl.load(starts + t) + m)[:, None]
        gate, at = row * 3 * H + j, row * H + j
        r = tl.load(activations + gate, mask=going, other=0.0)
        z = tl.load(activations + gate + H, mask=going, other=0.0)
        n = tl.load(activations + gate + 2 * H, mask=going, other=0.0)
        candidate = tl.load(candidates + at, mask=going, other=0.0)
        h = tl.load(before + at, mask=going, other=0.0)
        whole = tl.load(gradients + at, mask=going, other=0.0) + back
        kept = whole * z
        dn = (whole - kept) * (1 - n * n)
        dc = dn * r
        dr = dc * candidate * (1 - r)
        dz = whole * (h - n) * (z - z * z)
        place = row * 4 * H + j
        tl.store(inner + place, dc, mask=going)
        tl.store(inner + place + H, dr, mask=going)
        tl.store(inner + place + 2 * H, dz, mask=going)
        tl.store(inner + place + 3 * H, dn, mask=going)
        new = kept + _multiply(dc, w_n) + _multiply(dr, w_r) + _multiply(dz, w_z)
        back = tl.where(going, new, back)
    tl.store(carried + (k * M + m)[:, None] * H + j, back, mask=inside)
