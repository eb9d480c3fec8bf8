"""The outcome of a battle, and SMAC's reward for a step."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.compiled import compiled


@compiled
def judge(f, n, counts, w):
    """Compute the reward of a step from losses and deaths, and set in `counts` whether the battle is over."""
    N, U = w.shape[L.N_AGENTS], f.shape[1]
    enemies, enemy_deaths = losses(f, n, N, U)
    allies, ally_deaths = losses(f, n, 0, N)
    rules = w.rules
    damage = enemies + rules[L.DEATH_VALUE] * enemy_deaths
    if rules[L.ONLY_POSITIVE]:
        reward = abs(damage)  # as in SMAC, regenerated shields of enemies count as positive, too
    else:
        reward = damage - rules[L.NEGATIVE_SCALE] * (allies + rules[L.DEATH_VALUE] * ally_deaths)
    if rules[L.SPARSE]:
        reward = 0.0
    counts[L.STEPS] += 1
    outcome = verdict(n, w)
    if outcome == L.WON:
        counts[L.WON] = 1
        reward = 1.0 if rules[L.SPARSE] else reward + rules[L.WIN_VALUE]
    elif outcome == L.LOST:
        counts[L.LOST] = 1
        reward = -1.0 if rules[L.SPARSE] else reward + rules[L.DEFEAT_VALUE]
    counts[L.OVER] = outcome >= 0 or counts[L.STEPS] >= w.shape[L.LIMIT]
    counts[L.DECIDED] = outcome >= 0
    if rules[L.SCALE_TO] > 0:
        reward /= rules[L.MAX_REWARD] / rules[L.SCALE_TO]
    return reward


@compiled
def losses(f, n, first, end):
    """Health and shields lost since the last step, and deaths, of units first to end - 1; each death counts once."""
    lost, deaths = 0.0, 0
    for u in range(first, end):
        if n[L.COUNTED, u]:
            continue
        if n[L.ALIVE, u] == 0:
            n[L.COUNTED, u] = 1
            deaths += 1
            lost += f[L.PREVIOUS, u]
        else:
            now = np.float64(f[L.HEALTH, u]) + np.float64(f[L.SHIELD, u])
            lost += f[L.PREVIOUS, u] - now
            f[L.PREVIOUS, u] = now
    return lost, deaths


@compiled
def verdict(n, w):
    """L.WON, L.LOST, 0 for a draw, or -1 while the battle goes on; see `layout` for sides with only medivacs left."""
    N, U = w.shape[L.N_AGENTS], n.shape[1]
    allies = enemies = fighters = medivacs = 0
    for u in range(U):
        if n[L.ALIVE, u] == 0:
            continue
        medivac = w.stats[L.KIND, u] == L.MEDIVAC
        if u < N:
            allies += 1
            fighters += not medivac
        else:
            enemies += 1
            medivacs += medivac
    rule = w.shape[L.MMM]
    if (allies == 0 and enemies > 0) or (rule == L.SMAC_MEDICS and fighters == 0):
        return L.LOST
    if rule == L.ANY_MEDICS and fighters == 0 and enemies > medivacs:
        return L.LOST
    if (allies > 0 and enemies == 0) or (rule == L.SMAC_MEDICS and enemies == 1 and medivacs == 1):
        return L.WON
    if rule == L.ANY_MEDICS and enemies == medivacs:
        return L.WON if fighters > 0 else 0
    if allies == 0 and enemies == 0:
        return 0
    return -1
