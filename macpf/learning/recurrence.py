"""A GRU over episodes of different lengths, at a cost proportional to the steps played, without padding.

PyTorch's own GRU takes such rows as a PackedSequence, but on the CPU its backward pass is then 4 to 10 times slower
than with padding: every step's gradient is added to a tensor as large as the whole batch. Here the backward pass is
explicit: one small matrix product for each step, and one large one for each weight at the end. The elementwise work of
a step is compiled; as separate operations on slices of columns it took longer than the products. On CUDA the whole
recurrence is one kernel (`recurrence_kernel.py`), or cuDNN's if the CPU knows the sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from macpf.experience.packing import Packing


def recur(
    gru: nn.GRU, x: Float[Tensor, "R I"], sizes: Sequence[int] | Packing, start: Float[Tensor, "M H"] | None
) -> tuple[Float[Tensor, "R H"], Float[Tensor, "M H"]]:
    """Run one GRU layer over M sequences.

    Args:
        gru: the layer; provides the weights.
        x: inputs, ordered by time first and by sequence second, with the longest sequence first.
        sizes: how many sequences have a first, second, ... step: M = sizes[0] >= sizes[1] >= ..., with sum R. Or the
            same as a packing; the states of rows that belong to no sequence are then 0.
        start: states before the first step; None: zeros.

    Returns:
        The states after every step, and the states after each sequence's last step.
    """
    weights: Any = (gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
    if not isinstance(sizes, Sequence):
        start = x.new_zeros(sizes.size, gru.hidden_size) if start is None else start
        if sizes.kernels:
            from macpf.learning.recurrence_kernel import recur_in_one_kernel  # Triton comes with CUDA builds only

            return recur_in_one_kernel(x, start, weights, sizes)
        of_rows = sizes.sizes()
        states, last = recur(gru, x[: sum(of_rows)], of_rows, start)
        return F.pad(states, (0, 0, 0, len(x) - len(states))), last
    if start is None:
        start = x.new_zeros(sizes[0], gru.hidden_size)
    if not x.is_cpu:
        # cuDNN wants the weights in one contiguous block, and otherwise warns at every call that it copies them.
        joined = torch.cat([w.flatten() for w in weights]).split([w.numel() for w in weights])
        views = [part.view_as(w) for part, w in zip(joined, weights, strict=True)]
        states, last = torch.gru(x, torch.tensor(sizes), start.unsqueeze(0), views, True, 1, 0.0, True, False)
        return states, last.squeeze(0)
    if len(sizes) == 1:
        return (states := torch.gru_cell(x, start, *weights)), states
    states = _Recurrence.apply(x, start, *weights, tuple(sizes))
    return states, last_states(states, sizes)


def by_agent(sizes: Sequence[int] | Packing, n_agents: int) -> Sequence[int] | Packing:
    """The sizes after every row was split into consecutive rows, one for each agent."""
    return [n_agents * size for size in sizes] if isinstance(sizes, Sequence) else sizes.times(n_agents)


def last_states(states: Float[Tensor, "R H"], sizes: Sequence[int]) -> Float[Tensor, "M H"]:
    """The states after each sequence's last step."""
    ends = [*accumulate(sizes)]
    follows = [*sizes[1:], 0]
    pieces = [states[end - n + m : end] for end, n, m in zip(ends, sizes, follows, strict=True) if n > m]
    return torch.cat(pieces[::-1])


class _Recurrence(torch.autograd.Function):
    """h' = (1 - z) n + z h with r, z = sigmoid(W_i x + W_h h), n = tanh(W_in x + r (W_hn h)), as in `torch.nn.GRU`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        start: Tensor,
        w_input: Tensor,
        w_state: Tensor,
        b_input: Tensor,
        b_state: Tensor,
        sizes: tuple[int, ...],
    ) -> Tensor:
        H = start.shape[1]
        w_rz, w_n, b_n = w_state[: 2 * H].t(), w_state[2 * H :].t(), b_state[2 * H :]
        bias = torch.cat([b_input[: 2 * H] + b_state[: 2 * H], b_input[2 * H :]])
        gates = torch.addmm(bias, x, w_input.t())  # overwritten with r, z and n
        states, candidates = x.new_empty(len(x), H), x.new_empty(len(x), H)  # candidates are W_hn h
        steps = (tensor.split(sizes) for tensor in (gates, candidates, states))
        h = start
        for gate, candidate, after in zip(*steps, strict=True):
            h = h[: len(gate)]
            gate[:, : 2 * H].addmm_(h, w_rz).sigmoid_()
            torch.addmm(b_n, h, w_n, out=candidate)
            _propose(gate.numpy(), candidate.numpy())
            gate[:, 2 * H :].sigmoid_()
            _blend(gate.numpy(), h.numpy(), after.numpy())
            h = after
        ctx.sizes = sizes
        ctx.save_for_backward(x, start, w_input, w_state, gates, candidates, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, start, w_input, w_state, gates, candidates, states = ctx.saved_tensors
        sizes, H = ctx.sizes, states.shape[1]
        before = torch.cat([start, *(h[:n] for h, n in zip(states.split(sizes), sizes[1:], strict=False))])
        # Gradients of W_hn h, r, z and n, in this order: the first three are those of W_h h, the last three of W_i x.
        inner = x.new_empty(len(x), 4 * H)
        w_nrz = w_state.roll(H, dims=0)
        carried = x.new_zeros(sizes[0], H)
        steps = [x.split(sizes) for x in (gradients[0].contiguous(), gates, candidates, before, inner)]
        for dh, gate, candidate, h, gradient in zip(*(reversed(step) for step in steps), strict=True):
            kept = carried[: len(dh)]
            _differentiate(dh.numpy(), gate.numpy(), candidate.numpy(), h.numpy(), kept.numpy(), gradient.numpy())
            kept.addmm_(gradient[:, : 3 * H], w_nrz)
        of_state, of_input, summed = inner[:, : 3 * H], inner[:, H:], inner.sum(dim=0)
        return (
            of_input @ w_input if ctx.needs_input_grad[0] else None,
            carried if ctx.needs_input_grad[1] else None,
            of_input.t() @ x,
            (of_state.t() @ before).roll(-H, dims=0),
            summed[H:],
            summed[: 3 * H].roll(-H, dims=0),
            None,
        )


@njit(cache=True)
def _propose(gates: Any, candidates: Any) -> None:
    """Twice n before its activation: tanh(x) = 2 sigmoid(2 x) - 1, and PyTorch's sigmoid is five times as fast."""
    H = candidates.shape[1]
    for row in range(len(gates)):
        gate, candidate = gates[row], candidates[row]
        for k in range(H):
            n = gate[2 * H + k] + gate[k] * candidate[k]
            gate[2 * H + k] = n + n


@njit(cache=True)
def _blend(gates: Any, before: Any, after: Any) -> None:
    """Compute n from the sigmoid, and the new states."""
    H = before.shape[1]
    for row in range(len(gates)):
        gate, h, new = gates[row], before[row], after[row]
        for k in range(H):
            n = 2 * gate[2 * H + k] - 1
            gate[2 * H + k] = n
            new[k] = n + gate[H + k] * (h[k] - n)


@njit(cache=True)
def _differentiate(dh: Any, gates: Any, candidates: Any, before: Any, carried: Any, inner: Any) -> None:
    """Gradients within a step, from the gradients of its states: the direct ones plus those `carried` from later steps.

    `carried` is overwritten with the gradient that reaches the previous states through z h.
    """
    H = candidates.shape[1]
    for row in range(len(gates)):
        own, back, gate = dh[row], carried[row], gates[row]
        candidate, h, gradient = candidates[row], before[row], inner[row]
        for k in range(H):
            r, z, n = gate[k], gate[H + k], gate[2 * H + k]
            whole = own[k] + back[k]
            kept = whole * z
            dn = (whole - kept) * (1 - n * n)
            dc = dn * r
            back[k] = kept
            gradient[k] = dc
            gradient[H + k] = dc * candidate[k] * (1 - r)
            gradient[2 * H + k] = whole * (h[k] - n) * (z - z * z)
            gradient[3 * H + k] = dn
