#!/usr/bin/env bash
# Train MACPF for a minute on a particle task, and evaluate both its policies with another seed, 40 episodes by the
# paper's rules and 40 by mpe2's. Usage: examples/evaluate.sh [FOLDER FOR RUNS] [MORE ARGUMENTS OF THE TRAINING]
set -e
python=${PYTHON:-python}
run_py=$(dirname "$0")/../run.py
outputs=${1:-outputs/examples}
shift || true

"$python" "$run_py" algo=macpf env=mpe budget=smoke tracking=disabled outputs="$outputs" "$@"
run=$(ls -d "$outputs"/mpe/simple_spread/macpf/*/seed=0 | head -1)
# A sweep; leave -m and the second value out for one evaluation.
"$python" "$run_py" -m mode=evaluate run="$run" seed=1 env.rules=paper,mpe2 evaluate.episodes=40 tracking=disabled \
    hydra/launcher=basic
