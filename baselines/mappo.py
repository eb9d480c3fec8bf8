"""MAPPO (Yu et al., 2022), as in the authors' code (marlbenchmark/on-policy, de66d7a): the paper's policy gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from macpf.learning.algorithm import Algorithm, Memory, Number, Sizes, checked
from macpf.learning.central_inputs import CentralInputs, CentralLinear
from macpf.learning.chunks import Chunks, Part, stack_frames
from macpf.learning.networks import gumbel, joint_of, mask_unavailable, pick
from macpf.learning.normalisation import ValueNorm
from macpf.learning.optimisation import AdamOptimiser
from macpf.learning.pictures import first_layer
from macpf.learning.recurrence import by_agent, recur
from macpf.learning.returns import gae, masked_mean
from macpf.learning.schedules import Clock

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation
    from macpf.experience.packing import Packing

Module = TypeVar("Module", bound=nn.Module)
#: For each activation, its layer and the gain of the weights before it.
ACTIVATIONS: dict[str, tuple[type[nn.Module], float]] = {"relu": (nn.ReLU, math.sqrt(2.0)), "tanh": (nn.Tanh, 5 / 3)}


class PPONetwork(nn.Module):
    """A first linear layer, further hidden layers, a GRU with LayerNorm if recurrent, and a linear head.

    Every hidden layer, including the first, is followed by activation and LayerNorm. The module `first` includes the
    LayerNorm of the inputs.
    """

    def __init__(
        self,
        first: nn.Module,
        output_dim: int,
        *,
        hidden_dim: int,
        hidden_layers: int,
        recurrent: bool,
        activation: str,
        gain: float,
    ) -> None:
        super().__init__()
        act, body_gain = ACTIVATIONS[activation]
        layers = [first, act(), nn.LayerNorm(hidden_dim)]
        for _ in range(hidden_layers - 1):
            layers += [nn.Linear(hidden_dim, hidden_dim), act(), nn.LayerNorm(hidden_dim)]
        self.body = nn.Sequential(*layers)
        for module in self.body.modules():
            if isinstance(module, nn.Linear):
                orthogonal(module, body_gain)
        self.gru = orthogonal(nn.GRU(hidden_dim, hidden_dim), 1.0) if recurrent else None
        self.norm = nn.LayerNorm(hidden_dim) if recurrent else nn.Identity()
        self.head = orthogonal(nn.Linear(hidden_dim, output_dim), gain)

    def forward(
        self,
        inputs: Float[Tensor, "E I"] | CentralInputs,
        sizes: Sequence[int] | Packing,
        start: Float[Tensor, "M H"] | None,
    ) -> tuple[Float[Tensor, "E X"], Float[Tensor, "E H"] | None]:
        """Outputs and recurrent states after every entry of M sequences (order and `sizes` as in `recur`)."""
        x, states = self.body(inputs), None
        if self.gru is not None:
            x, _ = states, _ = recur(self.gru, x, sizes, start)
        return self.head(self.norm(x)), states


def orthogonal(module: Module, gain: float) -> Module:
    """Initialise weights orthogonally and biases with 0."""
    for p in module.parameters():
        nn.init.orthogonal_(p, gain) if p.dim() > 1 else nn.init.zeros_(p)
    return module


def clipped_policy_loss(
    log_ratio: Float[Tensor, " E"], advantage: Float[Tensor, " E"], active: Float[Tensor, " E"], clip: float
) -> Float[Tensor, ""]:
    """-E[min(ratio A, clip(ratio, 1 - c, 1 + c) A)] over the active entries (Schulman et al., 2017, eq. 7)."""
    ratio = log_ratio.exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
    return -masked_mean(surrogate, active)


def clipped_value_loss(
    value: Float[Tensor, " E"],
    old_value: Float[Tensor, " E"],
    target: Float[Tensor, " E"],
    mask: Float[Tensor, " E"],
    clip: float,
    delta: float,
) -> Float[Tensor, ""]:
    """The larger of two Huber losses: of the value, and of the old value moved towards it by at most `clip`.

    Source: marlbenchmark/on-policy, `r_mappo.py`.
    """
    clipped = old_value + (value - old_value).clamp(-clip, clip)
    losses = (F.huber_loss(v, target, reduction="none", delta=delta) for v in (value, clipped))
    return masked_mean(torch.maximum(*losses), mask)


def standardised(values: Float[Tensor, " E"], mask: Float[Tensor, " E"]) -> Float[Tensor, " E"]:
    """Values minus their mean, divided by their standard deviation; both are taken where the mask is 1."""
    mean = masked_mean(values, mask)
    return (values - mean) / (masked_mean((values - mean) ** 2, mask).sqrt() + 1e-5)


@dataclass(frozen=True)
class FrameMemory(Memory):
    """A memory that also holds `frames`: the inputs of the last K - 1 env steps, the newest first, F = (K - 1) I."""

    frames: Float[Tensor, "B N F"] | None = None


@dataclass(frozen=True)
class Samples:
    """The data that all epochs of an update share. Agent i in row r is entry r N + i; E = R N."""

    actor_inputs: Float[Tensor, "E I"]
    critic_inputs: CentralInputs
    actor_states: Float[Tensor, "EN H"] | None  # after each entry; then N zeros, the states before an episode
    critic_states: Float[Tensor, "EN H"] | None
    available: Bool[Tensor, "E A"]
    actions: Int[Tensor, " E"]
    active: Float[Tensor, " E"]
    log_probs: Float[Tensor, " E"]
    values: Float[Tensor, " E"]  # normalised
    returns: Float[Tensor, " E"]
    advantages: Float[Tensor, " E"]


@dataclass(frozen=True)
class Dealt:
    """Episodes, and the chunks of them for each gradient step."""

    episodes: EpisodeBatch
    parts: tuple[Part, ...]


class MAPPO(Algorithm):
    """One actor and one centralised critic for all agents, trained by PPO on fresh episodes.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream that samples actions and minibatches.
        gamma, gae_lambda: discount and lambda of the generalised advantages.
        lr: Adam's learning rate, for actor and critic.
        clip: largest global gradient norm of the actor, and of the critic.
        ratio_clip: largest change of the policy's probability ratio from 1, and of a value, before clipping.
        entropy: weight of the entropy bonus.
        huber_delta: error beyond which the value loss is linear, in units of normalised value.
        ppo_epochs: number of epochs, each of which uses all episodes.
        num_minibatches: number of minibatches in an epoch.
        hidden_dim, hidden_layers, activation: hidden layers of both networks, before GRU and head.
        gain: scale of the initial weights of the actor's head.
        recurrent: GRU in both networks or not.
        chunk_length: env steps through which gradients are backpropagated in a GRU.
        stacked_frames: number of env steps whose inputs a network sees at once.
        value_active_masks: exclude agents that are out of the game from the value loss.

    Raises:
        ValueError: stacked frames with pictures as observations.
    """

    on_policy = True
    policies = ("independent",)

    @checked
    def __init__(
        self,
        sizes: Sizes,
        device: str,
        seed: int,
        *,
        gamma: Annotated[float, Field(ge=0, le=1)],
        gae_lambda: Annotated[float, Field(ge=0, le=1)],
        lr: PositiveFloat,
        clip: PositiveFloat,
        ratio_clip: PositiveFloat,
        entropy: Annotated[float, Field(ge=0)],
        huber_delta: PositiveFloat,
        ppo_epochs: PositiveInt,
        num_minibatches: PositiveInt,
        hidden_dim: PositiveInt,
        hidden_layers: PositiveInt,
        activation: Literal["relu", "tanh"],
        gain: PositiveFloat,
        recurrent: bool,
        chunk_length: PositiveInt,
        stacked_frames: PositiveInt,
        value_active_masks: bool,
    ) -> None:
        super().__init__(sizes, device, seed)
        self.gamma, self.gae_lambda, self.ratio_clip, self.entropy = gamma, gae_lambda, ratio_clip, entropy
        self.huber_delta, self.ppo_epochs, self.num_minibatches = huber_delta, ppo_epochs, num_minibatches
        self.chunk_length = chunk_length if recurrent else 1
        self.stacked_frames, self.value_active_masks = stacked_frames, value_active_masks
        self.input_dim = sizes.obs_dim + sizes.n_actions + sizes.n_agents
        shape: dict[str, Any] = {
            "hidden_dim": hidden_dim,
            "hidden_layers": hidden_layers,
            "recurrent": recurrent,
            "activation": activation,
        }
        own_dim, state_dim = stacked_frames * self.input_dim, stacked_frames * sizes.state_dim
        if sizes.picture is not None and stacked_frames > 1:
            raise ValueError(f"stacked_frames={stacked_frames} does not stack pictures; use stacked_frames=1")
        of_agent = nn.Sequential(nn.LayerNorm(own_dim), first_layer(own_dim, hidden_dim, sizes.picture))
        self.actor = PPONetwork(of_agent, sizes.n_actions, **shape, gain=gain)
        self.critic = PPONetwork(CentralLinear(state_dim, own_dim, hidden_dim), 1, **shape, gain=1.0)
        self.value_norm = ValueNorm()
        self.to(device)
        self.optimiser = AdamOptimiser({"actor": self.actor, "critic": self.critic}, lr, clip)

    def start(self, batch_size: int) -> Memory:
        """Memory before the first env step of B episodes."""
        if self.stacked_frames == 1:
            return super().start(batch_size)
        past = (self.stacked_frames - 1) * self.input_dim
        frames = torch.zeros(batch_size, self.sizes.n_agents, past, device=self.device)
        return FrameMemory(super().start(batch_size).last_actions, None, frames)

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample every agent's policy."""
        logits, hidden, frames = self._logits(observation, memory)
        actions = (logits + gumbel(logits.shape, self.generator)).argmax(dim=-1)
        return actions, FrameMemory(actions, hidden, frames)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Every agent's most probable action."""
        logits, hidden, frames = self._logits(observation, memory)
        actions = logits.argmax(dim=-1)
        return actions, FrameMemory(actions, hidden, frames)

    @torch.no_grad()
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, " B *A"]]:
        """The product of the agents' policies at the first env step."""
        logits, *_ = self._logits(observation, self.start(len(observation.obs)))
        return {"independent": joint_of(logits.softmax(dim=-1))}

    def _logits(
        self, observation: Observation, memory: Memory
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "BN H"] | None, Float[Tensor, "B N F"] | None]:
        """Masked logits at one env step, and recurrent states and frames for the next one."""
        inputs, frames = self.inputs_now(observation, memory), None
        if isinstance(memory, FrameMemory) and memory.frames is not None:
            frames = torch.cat([inputs, memory.frames], dim=-1)[..., : -self.input_dim]
            inputs = torch.cat([memory.frames, inputs], dim=-1)
        B, N, _ = inputs.shape
        logits, hidden = self.actor(inputs.flatten(0, 1), (B * N,), memory.hidden)
        return mask_unavailable(logits.view(B, N, -1), observation.available), hidden, frames

    def prepared(self, batch: EpisodeBatch) -> Dealt:
        """The batch, and its division into minibatches of chunks for all epochs."""
        chunks = Chunks.of(batch, self.chunk_length)
        if self.num_minibatches == 1:
            return Dealt(batch, (chunks.on(self.device),) * self.ppo_epochs)
        epochs = (chunks.deal(self.num_minibatches, self.generator) for _ in range(self.ppo_epochs))
        return Dealt(batch, tuple(part.on(self.device) for parts in epochs for part in parts))

    def update(self, batch: Dealt, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """Make all epochs of PPO on fresh episodes; metrics are means over the gradient steps."""
        samples = self.samples_of(batch.episodes)
        steps = [self._step(samples, part) for part in batch.parts]
        return {name: torch.stack([step[name] for step in steps]).mean() for name in steps[0]}

    @torch.no_grad()
    def samples_of(self, batch: EpisodeBatch) -> Samples:
        """The behaviour policy's actions and log-probabilities, and the critic's values, returns and advantages.

        The parameters have not changed since the rollout, so recurrent states, probabilities and values are the same.
        """
        N = batch.actions.shape[1]
        own = self.inputs_of(batch)
        available, actions = batch.available.flatten(0, 1), batch.actions.flatten()
        active = (batch.available.sum(dim=-1) > 1) & (batch.filled > 0).unsqueeze(-1)
        actor_inputs = stack_frames(batch, own, self.stacked_frames).flatten(0, 1)
        critic_inputs = self._central(batch, own)
        sizes = by_agent(batch.sizes, N)
        logits, actor_states = self.actor(actor_inputs, sizes, None)
        values, critic_states = self.critic(critic_inputs, sizes, None)
        expected = self.value_norm.denormalise(values.view(-1, N))
        advantages = gae(batch, expected, self.gamma, self.gae_lambda)
        return Samples(
            actor_inputs,
            critic_inputs,
            None if actor_states is None else F.pad(actor_states, (0, 0, 0, N)),
            None if critic_states is None else F.pad(critic_states, (0, 0, 0, N)),
            available,
            actions,
            active=active.flatten().float(),
            log_probs=pick(mask_unavailable(logits, available).log_softmax(dim=-1), actions),
            values=values.squeeze(-1),
            returns=(advantages + expected).flatten(),
            advantages=standardised(advantages.flatten(), active.flatten().float()),
        )

    def _central(self, batch: EpisodeBatch, own: Float[Tensor, "R N I"]) -> CentralInputs:
        """Global state and own inputs of every agent; only its id if the agent is out of the game."""
        R, N, _ = own.shape
        playing = (batch.available.sum(dim=-1) > 1).to(own.dtype)
        seen = torch.cat([own[..., :-N] * playing.unsqueeze(-1), own[..., -N:]], dim=-1)
        return CentralInputs(
            state=stack_frames(batch, batch.state, self.stacked_frames),
            row=torch.arange(R, device=own.device).repeat_interleave(N),
            playing=playing.flatten(),
            own=stack_frames(batch, seen, self.stacked_frames).flatten(0, 1),
        )

    def _step(self, samples: Samples, part: Part) -> dict[str, Tensor]:
        """One gradient step of actor and critic on one minibatch of chunks."""
        s, e, sizes = samples, part.entries, part.sizes
        logits, _ = self.actor(s.actor_inputs[e], sizes, _before(s.actor_states, part))
        log_policy = mask_unavailable(logits, s.available[e]).log_softmax(dim=-1)
        log_ratio = pick(log_policy, s.actions[e]) - s.log_probs[e]
        policy_loss = clipped_policy_loss(log_ratio, s.advantages[e], s.active[e], self.ratio_clip)
        entropy = masked_mean(-(log_policy.exp() * log_policy).sum(dim=-1), s.active[e])

        values, _ = self.critic(s.critic_inputs[e], sizes, _before(s.critic_states, part))
        self.value_norm.update(s.returns[e])
        target = self.value_norm.normalise(s.returns[e])
        mask = s.active[e] if self.value_active_masks else torch.ones_like(target)
        value_loss = clipped_value_loss(
            values.squeeze(-1), s.values[e], target, mask, self.ratio_clip, self.huber_delta
        )
        # The two networks share no parameters, so one backward pass serves both losses.
        norms = self.optimiser.step(policy_loss - self.entropy * entropy + value_loss)
        clipped = ((log_ratio.exp() - 1.0).abs() > self.ratio_clip).float()
        return {
            "train/loss/policy": policy_loss.detach(),
            "train/loss/value": value_loss.detach(),
            "train/entropy": entropy.detach(),
            "train/clipped": masked_mean(clipped.detach(), s.active[e]),
        } | norms

    def get_extra_state(self) -> dict[str, Any]:
        """The random stream and the optimiser's state."""
        return super().get_extra_state() | {"optimiser": self.optimiser.rule.state_dict()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        super().set_extra_state(state)
        self.optimiser.rule.load_state_dict(state["optimiser"])


def _before(states: Float[Tensor, "EN H"] | None, part: Part) -> Float[Tensor, "M H"] | None:
    return None if states is None else states[part.before]
