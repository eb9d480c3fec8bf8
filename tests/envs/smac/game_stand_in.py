"""Stands in for SMAC's StarCraft2Env: its interface and manners, and the ways in which the real game fails."""

import os
import subprocess
import time
from pathlib import Path

import numpy as np

ENEMIES, ENEMY_ROW, ALLY_ROW = 3, 5, 5


class Skirmish:
    """Agents win by attacking enemy 0 (action 6) twice; an agent that stops (1) at step 1 loses the battle."""

    def __init__(self, map_name, seed, limit=5, log="", **faults):
        unknown = set(faults) - {"fault", "at", "once", "selves"}
        if unknown:
            raise TypeError(f"unexpected keyword argument {unknown.pop()!r}")
        self.map_name, self.seed, self.episode_limit, self.log = map_name, seed, limit, log
        self.fault, self.at, self.once = faults.get("fault"), faults.get("at", 2), faults.get("once", "")
        self.n_agents, self.n_actions = 3, 6 + ENEMIES
        self.battles_game = self.timeouts = self.steps = 0
        self.own_restarts = faults.get("selves", 0)
        self._note("made")

    def _note(self, event):
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{event} {os.getpid()} {self.map_name} {self.seed}\n")

    def _first(self):
        """With the option `once`, only one of all games fails, and once."""
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def unit_sight_range(self, agent_id):
        return 9

    def get_obs_move_feats_size(self):
        return 4

    def get_obs_enemy_feats_size(self):
        return ENEMIES, ENEMY_ROW

    def get_obs_ally_feats_size(self):
        return self.n_agents - 1, ALLY_ROW

    def get_obs_size(self):
        return 4 + ENEMIES * ENEMY_ROW + (self.n_agents - 1) * ALLY_ROW + 1

    def get_obs_agent(self, agent_id):
        """Parts can be told apart: 1 moves, sight range enemies, 3 allies, 4 + agent itself."""
        enemies = np.full(ENEMIES * ENEMY_ROW, self.unit_sight_range(agent_id))
        allies = np.full((self.n_agents - 1) * ALLY_ROW, 3)
        return np.concatenate([np.ones(4), enemies, allies, [4 + agent_id]]).astype(np.float32)

    def get_obs(self):
        return [self.get_obs_agent(agent) for agent in range(self.n_agents)]

    def get_state(self):
        return np.full(48, self.steps, dtype=np.float32)

    def get_avail_actions(self):
        return [[0] + [1] * (self.n_actions - 2) + [0] for _ in range(self.n_agents)]

    def get_visibility_matrix(self):
        """In every step one agent less sees the next one; everybody sees the enemies."""
        matrix = np.zeros((self.n_agents, self.n_agents + ENEMIES))
        matrix[range(self.n_agents - 1), range(1, self.n_agents)] = 1
        matrix[: self.steps] = 0
        matrix[:, self.n_agents :] = 1
        return matrix

    def get_env_info(self):
        return {
            "state_shape": 48,
            "obs_shape": self.get_obs_size(),
            "n_actions": self.n_actions,
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
            "agent_features": ["health", "energy/cooldown", "rel_x", "rel_y"],
            "enemy_features": ["health", "rel_x", "rel_y"],
        }

    def get_stats(self):
        return {
            "win_rate": 0 / self.battles_game,  # SMAC's, too, divides by zero before the first battle is over
            "timeouts": self.timeouts,
            "restarts": self.own_restarts,
        }

    def reset(self):
        self.steps = self.hits = 0
        return self.get_obs(), self.get_state()

    def step(self, actions):
        assert all(type(action) is int for action in actions)
        self.steps += 1
        if self.fault and self.steps == self.at and self._first():
            if self.fault == "die":
                print("Segmentation fault in the game", flush=True)
                os._exit(3)
            if self.fault == "hang":
                time.sleep(600)
            if self.fault == "raise":
                raise ConnectionError("websocket closed")
            return 0, True, {}  # what SMAC returns after a crash
        self.hits += sum(action == 6 for action in actions)
        won = self.hits >= 2 * self.n_agents
        lost = self.steps == 1 and 1 in actions
        cut = not (won or lost) and self.steps >= self.episode_limit
        self.battles_game += won or lost or cut
        self.timeouts += cut
        info = {"battle_won": won, "dead_allies": 3 * lost, "dead_enemies": 3 if won else self.hits // 3}
        return float(self.hits), won or lost or cut, info

    def close(self):
        self._note("closed")


class WithProgram(Skirmish):
    """Starts a program of its own, as the real one does, and notes its process id."""

    def reset(self):
        program = subprocess.Popen(["sleep", "600"])
        with open(self.log, "a") as file:
            file.write(f"program {program.pid}\n")
        return super().reset()
