"""One real game in a process of its own: both ends of the pipe.

The worker imports the game's package, so that nothing else has to. It and the game ignore the signals by which a run
is asked to stop: the run still finishes its episodes. They end when the run closes the pipe or is gone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from macpf.envs.smac.installation import protobuf_environment

#: By these a run is asked to save and stop; SLURM sends them to every process of a job.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
#: What a worker may be asked, beside playing a list of actions.
INFO, RESET = "info", "reset"
#: Seconds a game gets to close by itself; pysc2 takes three if the game ignores its SIGTERM.
GRACE = 5.0


class GameLost(Exception):
    """The game crashed, hangs, or its process is gone."""


@dataclass(frozen=True)
class Order:
    """What a worker is to play.

    Attributes:
        game: ``module:class`` with the interface of SMAC's `StarCraft2Env`.
        arguments: its keyword arguments.
        sight_range: how far agents see, in cells; None leaves it to the game.
        ally_block: ``keep``, ``zero`` or ``drop`` what observations say of other agents.
    """

    game: str
    arguments: dict[str, Any] = field(default_factory=dict)
    sight_range: float | None = None
    ally_block: str = "keep"


class Frame(NamedTuple):
    """One game after a reset or a step; the fields are those of `macpf.envs.base.Step` without the batch.

    `visible` says which agent sees which other agent.

    `own_restarts` counts how often the game's package restarted the game by itself since the worker started,
    as known after its last finished battle.
    """

    obs: Float[np.ndarray, "N O"]
    state: Float[np.ndarray, "S"]
    available: Bool[np.ndarray, "N A"]
    visible: Bool[np.ndarray, "N N"]
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    own_restarts: int


class Refusal(NamedTuple):
    """The game cannot be made from its order; trying again would not help."""

    reason: str


class Crash(NamedTuple):
    """The game failed while it was played."""

    reason: str


class Game:
    """The run's end: starts the worker, asks it, ends it.

    Args:
        order: what to play.
        seconds: how long an answer may take once the game runs.
        launch_seconds: how long the first frame may take: a game starts within a minute, many at once take longer.
    """

    def __init__(self, order: Order, seconds: float, launch_seconds: float) -> None:
        self.seconds, self.launch_seconds = seconds, launch_seconds
        self.own_restarts, self._runs, self._asked = 0, False, 0.0
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the game)
        self._pipe, theirs = Pipe()
        code = f"from macpf.envs.smac.game_worker import serve; serve({theirs.fileno()}, {os.getpid()})"
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with _signals_blocked():  # inherited, so no signal meets the worker before it ignores them
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=os.environ | protobuf_environment() | {"PYTHONPATH": path},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # worker and game are one group, so that none is left behind
            )
        theirs.close()
        self.ask(order)

    @property
    def pid(self) -> int:
        """The worker's process id, which is its group's, too."""
        return self._process.pid

    def ask(self, message: Any) -> None:
        """Send a request; that the worker is gone shows when the answer is read."""
        self._asked = time.monotonic()
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    def answer(self) -> Any:
        """Wait for the answer to the last request.

        Raises:
            GameLost: there is none, or not in time.
            ValueError: the game cannot be made as it was ordered.
        """
        seconds = self.seconds if self._runs else self.launch_seconds
        try:
            if not self._pipe.poll(max(0.0, self._asked + seconds - time.monotonic())):
                raise GameLost(f"no answer within {seconds:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self.kill()
            raise GameLost(f"its process ended with code {self._process.returncode}{self._last_words()}") from None
        if isinstance(answer, Refusal):
            raise ValueError(f"the real game cannot be set up: {answer.reason}")
        if isinstance(answer, Crash):
            raise GameLost(answer.reason)
        self._runs = self._runs or isinstance(answer, Frame)
        return answer

    def hang_up(self) -> None:
        """Tell the worker to end; `kill` makes sure."""
        self._pipe.close()

    def kill(self, grace: float = 0.0) -> None:
        """End worker and game, after giving them `grace` seconds to do so themselves."""
        self._pipe.close()
        if self._process.returncode is not None:
            return
        # The worker is not reaped before its group is killed: till then nobody else can have its number.
        ended, deadline = os.WEXITED | os.WNOHANG | os.WNOWAIT, time.monotonic() + grace
        while time.monotonic() < deadline and os.waitid(os.P_PID, self.pid, ended) is None:
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe_number: int, parent: int) -> None:
    """The worker's end: make the game that is ordered, answer until the pipe closes."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)  # the game inherits it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    pipe = Connection(pipe_number)
    player: Player | None = None
    with contextlib.suppress(EOFError, OSError):  # the run is gone or has hung up
        order = pipe.recv()
        while True:
            request = pipe.recv()
            if player is None:
                try:
                    player = Player(make(order))
                except Exception as error:
                    pipe.send(Refusal(f"{type(error).__name__}: {error}"))
                    continue
            try:
                answer = player.game.get_env_info() if request == INFO else player.play(request)
            except Exception as error:
                answer = Crash(f"{type(error).__name__}: {error}")
            pipe.send(answer)
    try:
        if player is not None:
            player.game.close()
    finally:
        os.killpg(0, signal.SIGKILL)  # itself, and what the game may have left


def _end_with(parent: int) -> None:
    """Follow the run even if the game hangs and nobody reads the pipe."""
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


def make(order: Order) -> Any:
    """Make the game; the two myopic maps are ordinary ones on which agents see less."""
    module, _, name = order.game.partition(":")
    game = getattr(importlib.import_module(module), name)
    if order.sight_range is not None:
        game = short_sighted(game, order.sight_range, order.ally_block)
    return game(**order.arguments)


def short_sighted(game: type, sight_range: float, ally_block: str) -> type:
    """A subclass of SMAC's `StarCraft2Env` whose agents see `sight_range` cells far and maybe no other agents."""

    class ShortSighted(game):
        def unit_sight_range(self, agent_id: int) -> float:
            return sight_range

        def _ally_block(self) -> slice:
            enemies, row = self.get_obs_enemy_feats_size()
            allies, ally_row = self.get_obs_ally_feats_size()
            start = self.get_obs_move_feats_size() + enemies * row
            return slice(start, start + allies * ally_row)

        def get_obs_agent(self, agent_id: int) -> np.ndarray:
            obs: np.ndarray = super().get_obs_agent(agent_id)
            if ally_block == "drop":
                return np.delete(obs, self._ally_block())
            if ally_block == "zero":
                obs[self._ally_block()] = 0.0
            return obs

        def get_obs_size(self) -> int:
            block = self._ally_block()
            size: int = super().get_obs_size()
            return size - (block.stop - block.start) if ally_block == "drop" else size

    return ShortSighted


class Player:
    """Plays one game and tells SMAC's endings apart.

    SMAC calls its time limit a terminal state, but counts it in its statistics. These divide by the number of
    battles, so they can be read only once a battle is over.
    """

    def __init__(self, game: Any) -> None:
        self.game, self.timeouts, self.own_restarts = game, 0, 0

    def play(self, request: Any) -> Frame:
        """Reset the game or play one joint action in it.

        Raises:
            RuntimeError: the game crashed; SMAC hides that behind a finished episode without information.
        """
        reward, over, info = 0.0, False, {"battle_won": False, "dead_allies": 0, "dead_enemies": 0}
        if request == RESET:
            self.game.reset()
        else:
            reward, over, info = self.game.step(request)
            if "battle_won" not in info:
                raise RuntimeError("the game crashed within a step")
        cut = over and self._was_timeout()
        return Frame(
            obs=np.asarray(self.game.get_obs(), dtype=np.float32),
            state=np.asarray(self.game.get_state(), dtype=np.float32),
            available=np.asarray(self.game.get_avail_actions(), dtype=bool),
            visible=np.asarray(self.game.get_visibility_matrix(), dtype=bool)[:, : self.game.n_agents],
            reward=float(reward),
            terminated=bool(over and not cut),
            truncated=bool(cut),
            info=dict(info),
            own_restarts=self.own_restarts,
        )

    def _was_timeout(self) -> bool:
        stats, before = self.game.get_stats(), self.timeouts
        self.timeouts, self.own_restarts = int(stats["timeouts"]), int(stats["restarts"])
        return self.timeouts > before
