"""Play one episode of mpe2's simple spread with a policy that was trained here.

Usage: python examples/play_trained_policy.py outputs/mpe/simple_spread/macpf/<hash>/seed=0 [dependent]
"""

import sys

from mpe2 import simple_spread_v3

import macpf


def play(folder: str, policy_name: str = "independent", seed: int = 0) -> float:
    """The team's return in one episode."""
    policy = macpf.load_policy(folder, policy=policy_name)
    env = simple_spread_v3.parallel_env()
    observations, infos = env.reset(seed=seed)
    policy.reset(env)
    total = 0.0
    while env.agents:
        actions = policy.act(observations, infos)
        observations, rewards, _, _, infos = env.step(actions)
        total += sum(rewards.values())
    print(f"{policy}: return {total:.2f}")
    return total


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        print("type the folder of a run on simple_spread, e.g. one that examples/evaluate.sh makes", file=sys.stderr)
        sys.exit(2)
    play(*sys.argv[1:])
