"""A GRU over episodes of different lengths that costs what was played and nothing for padding.

PyTorch's own GRU takes such rows as a PackedSequence, but on the CPU its backward pass is then 4 to 10 times slower
than with padding: every step's gradient is added to a tensor as large as the whole batch. Here the backward pass is
written out: one small matrix product for each step, and one large one for each weight at the end. On CUDA, cuDNN does
this already, and is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


def recur(
    gru: nn.GRU, x: Float[Tensor, "R I"], sizes: Sequence[int], start: Float[Tensor, "M H"] | None
) -> tuple[Float[Tensor, "R H"], Float[Tensor, "M H"]]:
    """Run one GRU layer over M sequences.

    Args:
        gru: holds the weights.
        x: inputs, ordered by time first; the rows of one time are ordered as the sequences, longest sequence first.
        sizes: how many sequences have a first, second, ... step: M = sizes[0] >= sizes[1] >= ..., with sum R.
        start: states before the first step, zeros if None.

    Returns:
        The states after every step, and those after each sequence's last one.
    """
    if start is None:
        start = x.new_zeros(sizes[0], gru.hidden_size)
    if x.is_cuda:
        packed, last = gru(PackedSequence(x, torch.tensor(sizes)), start.unsqueeze(0))
        return packed.data, last.squeeze(0)
    weights: Any = (gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
    if len(sizes) == 1:
        return (states := torch.gru_cell(x, start, *weights)), states
    states = _Recurrence.apply(x, start, *weights, tuple(sizes))
    return states, last_states(states, sizes)


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
        gates = torch.addmm(b_input, x, w_input.t())  # becomes r, z and n
        w_state_t = w_state.t()
        states, candidates = x.new_empty(len(x), H), x.new_empty(len(x), H)  # the latter are W_hn h
        h = start
        for here, of_n, after in zip(gates.split(sizes), candidates.split(sizes), states.split(sizes), strict=True):
            h = h[: len(here)]
            recurrent = torch.addmm(b_state, h, w_state_t)
            r_and_z = here[:, : 2 * H].add_(recurrent[:, : 2 * H]).sigmoid_()
            of_n.copy_(recurrent[:, 2 * H :])
            n = here[:, 2 * H :].addcmul_(r_and_z[:, :H], of_n)
            n.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)  # tanh, in a fifth of the time of PyTorch's
            h = torch.lerp(n, h, r_and_z[:, H:], out=after)
        ctx.sizes = sizes
        ctx.save_for_backward(x, start, w_input, w_state, gates, candidates, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, start, w_input, w_state, gates, candidates, states = ctx.saved_tensors
        sizes, H = ctx.sizes, states.shape[1]
        w_rz, w_n = w_state[: 2 * H], w_state[2 * H :]
        before = torch.cat([start, *(h[:n] for h, n in zip(states.split(sizes), sizes[1:], strict=False))])
        of_gates = torch.empty_like(gates)  # gradients of W_i x; for r and z those of W_h h as well
        of_candidates = torch.empty_like(candidates)  # gradients of W_hn h: r stands between it and n
        steps = [x.split(sizes) for x in (gradients[0], gates, candidates, before, of_gates, of_candidates)]
        carried = x.new_empty(0, H)
        for dh, gate, candidate, h, of_gate, of_candidate in zip(*(reversed(step) for step in steps), strict=True):
            if len(carried):
                dh = torch.cat([dh[: len(carried)] + carried, dh[len(carried) :]])
            r, z, n = gate.split(H, dim=1)
            dr, dz, dn = of_gate.split(H, dim=1)
            torch.mul(dh, h - n, out=dz)
            kept = dh * z
            torch.mul(dh - kept, 1.0 - n * n, out=dn)
            torch.mul(dn, candidate, out=dr)
            torch.mul(dn, r, out=of_candidate)
            r_and_z = gate[:, : 2 * H]
            of_gate[:, : 2 * H].mul_(r_and_z - r_and_z * r_and_z)
            carried = kept.addmm_(of_gate[:, : 2 * H], w_rz).addmm_(of_candidate, w_n)
        of_recurrent = (of_gates[:, : 2 * H], of_candidates)
        return (
            of_gates @ w_input if ctx.needs_input_grad[0] else None,
            carried if ctx.needs_input_grad[1] else None,
            of_gates.t() @ x,
            torch.cat([g.t() @ before for g in of_recurrent]),
            of_gates.sum(dim=0),
            torch.cat([g.sum(dim=0) for g in of_recurrent]),
            None,
        )
