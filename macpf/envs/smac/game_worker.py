"""One real game in a process of its own, with both ends of the pipe to it.

Only the worker imports the game's package. Worker and game ignore the signals that ask a run to stop, because the run
still finishes its episodes. They end when the run closes the pipe or its process ends.
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

#: Signals that ask a run to save and stop; SLURM sends them to every process of a job.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
#: Requests to a worker, besides a list of actions.
INFO, RESET = "info", "reset"
#: Seconds that a game has to close by itself; pysc2 takes three if the game ignores its SIGTERM.
GRACE = 5.0


class GameLost(Exception):
    """The game crashed or hangs, or its process ended."""


@dataclass(frozen=True)
class Order:
    """The game that a worker has to create.

    Attributes:
        game: ``module:class`` with the interface of SMAC's `StarCraft2Env`.
        arguments: its keyword arguments.
        sight_range: sight range of the agents, in cells; None for the game's own.
        ally_block: ``keep``, ``zero`` or ``drop`` the features of other agents in observations.
    """

    game: str
    arguments: dict[str, Any] = field(default_factory=dict)
    sight_range: float | None = None
    ally_block: str = "keep"


class Frame(NamedTuple):
    """The result of a reset or step of one game, with the fields of `macpf.envs.base.Step` without the batch axis.

    `visible` says which agent sees which other agent.

    `own_restarts` counts how often the package `smac` has restarted the game by itself since the worker started, up to
    the last finished battle.
    """

    obs: Float[np.ndarray, "N O"]
    state: Float[np.ndarray, " S"]
    available: Bool[np.ndarray, "N A"]
    visible: Bool[np.ndarray, "N N"]
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    own_restarts: int


class Refusal(NamedTuple):
    """The game cannot be created as ordered; another try would fail, too."""

    reason: str


class Crash(NamedTuple):
    """The game failed during a reset or step."""

    reason: str


class Game:
    """The run's end of the pipe: starts the worker, sends requests to it, and ends it.

    Args:
        order: what to play.
        seconds: time limit for an answer once the game runs.
        launch_seconds: time limit for the first frame. One game starts within a minute; many at once take longer.
    """

    def __init__(self, order: Order, seconds: float, launch_seconds: float) -> None:
        self.seconds, self.launch_seconds = seconds, launch_seconds
        self.own_restarts, self._runs, self._asked = 0, False, 0.0
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the game)
        self._pipe, theirs = Pipe()
        code = f"from macpf.envs.smac.game_worker import serve; serve({theirs.fileno()}, {os.getpid()})"
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with _signals_blocked():  # the worker inherits this, so no signal reaches it before it ignores them
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=os.environ | protobuf_environment() | {"PYTHONPATH": path},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # worker and game form a group that can be ended together
            )
        theirs.close()
        self.ask(order)

    @property
    def pid(self) -> int:
        """The worker's process id, and that of its process group."""
        return self._process.pid

    def ask(self, message: Any) -> None:
        """Send a request. If the worker has ended, `answer` reports it."""
        self._asked = time.monotonic()
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    def answer(self) -> Any:
        """Wait for the answer to the last request.

        Raises:
            GameLost: there is no answer, or it is late.
            ValueError: the game cannot be created as ordered.
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
        """Tell the worker to end; `kill` makes sure that it does."""
        self._pipe.close()

    def kill(self, grace: float = 0.0) -> None:
        """Kill worker and game, after `grace` seconds in which they may end by themselves."""
        self._pipe.close()
        if self._process.returncode is not None:
            return
        # The worker is not reaped before its group is killed; until then no other process can get its id.
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
    """The worker's end of the pipe: create the game and answer requests until the pipe closes."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)  # the game inherits it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    pipe = Connection(pipe_number)
    player: Player | None = None
    with contextlib.suppress(EOFError, OSError):  # the run has ended or closed the pipe
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
        os.killpg(0, signal.SIGKILL)  # this process, and any that the game has left


def _end_with(parent: int) -> None:
    """End this process when the run has ended, even if the game hangs and nothing reads the pipe."""
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


def make(order: Order) -> Any:
    """Create the game; the two myopic maps are ordinary maps with a shorter sight range."""
    module, _, name = order.game.partition(":")
    game = getattr(importlib.import_module(module), name)
    if order.sight_range is not None:
        game = short_sighted(game, order.sight_range, order.ally_block)
    return game(**order.arguments)


def short_sighted(game: type, sight_range: float, ally_block: str) -> type:
    """A subclass of SMAC's `StarCraft2Env` with this sight range, and `ally_block` as in `Order`."""

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
    """Plays one game, and tells termination from truncation at the time limit.

    SMAC reports both as terminal, but counts time-outs in its statistics. These divide by the number of battles, so
    they can only be read once a battle is over.
    """

    def __init__(self, game: Any) -> None:
        self.game, self.timeouts, self.own_restarts = game, 0, 0

    def play(self, request: Any) -> Frame:
        """Reset the game or play one joint action in it.

        Raises:
            RuntimeError: the game crashed, which SMAC reports as a finished episode with an empty info.
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
