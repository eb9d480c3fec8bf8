"""A run's folder follows from what changes its results, and from nothing else."""

from macpf.runs.identity import Identity, Seeds


def test_the_folder_says_what_was_run(configured, tmp_path):
    identity = Identity.of(configured("algo=qmix", "map=p4_12", "seed=7"))
    parts = identity.folder.relative_to(tmp_path).parts
    assert parts[:3] == ("matrix_game", "p4_12", "qmix")
    assert parts[4] == "seed=7"
    assert identity.key == f"qmix-matrix_game-p4_12-{parts[3]}-s7"


def test_what_does_not_change_results_does_not_change_the_hash(configured):
    same = ["seed=3", "device=cpu", "threads=2", "tracking=offline", "checkpoint.every_seconds=1"]
    hashes = {Identity.of(configured(override)).config_hash for override in [*same, "seed=0"]}
    assert len(hashes) == 1


def test_what_changes_results_changes_the_hash(configured):
    different = ["algo.learner.lr=1", "map.payoff=[[1]]", "budget.env_steps=7", "env.parallel=4", "env.backend=other"]
    hashes = {Identity.of(configured(override)).config_hash for override in [*different, "seed=0"]}
    assert len(hashes) == 1 + len(different)


def test_random_streams_are_never_shared():
    seeds = [value for k in range(100) for value in vars(Seeds.of(k)).values()]
    assert len(set(seeds)) == 500
    assert Seeds.of(3) == Seeds.of(3)
