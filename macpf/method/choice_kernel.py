"""The loop over agents of `choose_in_order` as one Triton kernel, for CUDA or for Triton's interpreter."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from macpf.method.sampling import Mixture

#: Rows that one program of the kernel handles.
BLOCK = 32


def choose_in_one_kernel(
    scores: Float[Tensor, "R N A"],
    table: Float[Tensor, "N A A"],
    depends: Float[Tensor, "R N N"] | None,
    forced: Int[Tensor, "R N"] | None,
    mixture: Mixture | None = None,
) -> Int[Tensor, "R N"]:
    """The actions that `compiled_choice` returns, computed on the device of the tensors."""
    R, N, A = scores.shape
    chosen = torch.empty(R, N, dtype=torch.long, device=scores.device)
    nothing = scores  # fills arguments that the kernel never reads
    available, noise, share, over_all = mixture or (nothing, nothing, 0.0, False)
    weight = share if isinstance(share, Tensor) else torch.full((), share, device=scores.device)
    optional = (nothing if t is None else t.contiguous() for t in (depends, forced))
    tensors = (scores.contiguous(), table.contiguous(), *optional, available.contiguous(), noise.contiguous(), weight)
    _choose[(triton.cdiv(R, BLOCK),)](
        *tensors,
        chosen,
        R,
        N,
        A,
        P=triton.next_power_of_2(A),
        BLOCK=BLOCK,
        DEPENDS=depends is not None,
        FORCED=forced is not None,
        MIXED=mixture is not None,
        OVER_ALL=over_all,
    )
    return chosen


@triton.jit
def _choose(  # type: ignore[no-untyped-def]
    scores,
    table,
    depends,
    forced,
    available,
    noise,
    share,
    chosen,
    R,
    N,
    A,
    P: tl.constexpr,
    BLOCK: tl.constexpr,
    DEPENDS: tl.constexpr,
    FORCED: tl.constexpr,
    MIXED: tl.constexpr,
    OVER_ALL: tl.constexpr,
):
    r, a = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, P)[None, :]
    some = r < R
    inside = some[:, None] & (a < A)
    before = tl.zeros([BLOCK, P], dtype=tl.float32)
    for i in range(0, N):
        at = ((r * N + i) * A)[:, None] + a
        if DEPENDS:
            before = tl.zeros([BLOCK, P], dtype=tl.float32)
            for e in range(0, i):
                seen = some & (tl.load(depends + (r * N + i) * N + e, mask=some, other=0.0) != 0.0)
                earlier = tl.load(chosen + r * N + e, mask=seen, other=0)
                before += tl.load(table + ((e * A + earlier) * A)[:, None] + a, mask=seen[:, None] & (a < A), other=0.0)
        now = tl.load(scores + at, mask=inside, other=-float("inf")) + before
        if MIXED:
            allowed = tl.load(available + at, mask=inside, other=0) != 0
            counted = inside if OVER_ALL else allowed
            shifted = now - tl.max(tl.where(counted, now, -float("inf")), axis=1)[:, None]
            weight = tl.where(counted, tl.exp(shifted), 0.0)
            uniform = tl.load(share)
            policy = (1.0 - uniform) * weight / tl.sum(weight, axis=1)[:, None]
            policy += uniform / tl.sum(counted.to(tl.float32), axis=1)[:, None]
            drawn = tl.load(noise + at, mask=inside, other=0.0)
            now = tl.where(allowed, tl.log(policy) + drawn, -float("inf"))
        action = tl.argmax(now, axis=1).to(tl.int64)
        if FORCED:
            instead = tl.load(forced + r * N + i, mask=some, other=-1)
            action = tl.where(instead < 0, action, instead)
        tl.store(chosen + r * N + i, action, mask=some)
        if DEPENDS:
            tl.debug_barrier()  # later agents read the stored action
        else:
            before += tl.load(table + ((i * A + action) * A)[:, None] + a, mask=inside, other=0.0)
    return
