"""The paper's own numbers go through the rules first; every rule can support, contradict and leave undecided."""

import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import analysis.__main__ as command
from analysis import paper
from analysis.claims import simulation
from analysis.claims.calibrated import PValues, all_of, at_least
from analysis.claims.claim import CONTRADICTED, FIGURE_ONLY, SUPPORTED, UNDECIDED
from analysis.claims.table_claims import TableClaim
from analysis.claims.verdicts import CLAIMS, entry, gather, ledger, lines_of, published
from analysis.claims.verify import sweep
from analysis.evidence import Experiment
from analysis.run_facts import full_length
from macpf import names
from tests.analysis import synthetic
from tests.analysis.synthetic import make_runs

BY_ID = {claim.id: claim for claim in CLAIMS}
TABLE_CLAIMS = [claim for claim in CLAIMS if isinstance(claim, TableClaim)]
METHODS = BY_ID["table2-macpf"].methods


def table(name, seeds=5, spread=1.0, **means):
    """The paper's table as if it were ours, with some means changed: ``MACPF__MMM2=0.1``."""
    lines = published(name)
    lines = lines.assign(seeds=seeds, std=lines["std"] * spread)
    for key, mean in means.items():
        method, _, map_ = key.partition("__")
        lines.loc[(lines["method"] == method) & (lines["map"] == map_), "mean"] = mean
    return lines.assign(bold=paper.marks(lines))


def surely(name, **means):
    """The same, of a hundred runs that hardly differ."""
    return table(name, 100, 0.01, **means)


def one_seed_less(lines, claim):
    """The same lines, but the claim's first method lacks a seed (on its first map)."""
    short = lines["method"] == claim.methods[0]
    if claim.maps:
        short &= lines["map"] == claim.maps[0]
    if "seeds" in lines:
        return lines.assign(seeds=lines["seeds"].where(~short, 4))
    return lines[~(short & (lines["seed"] == 0))]


def ends(method, seeds=5, optimum=0, worse=0, nan=0, both=0):
    line = {"method": method, "seeds": seeds, "optimum": optimum, "worse": worse, "nan": nan, "both": both}
    return pd.DataFrame([line | {"suboptimal": seeds - optimum - worse - nan}])


def three_end(**counts):
    """Five seeds of each of the three methods, so many of them at the optimum."""
    return pd.concat([ends(method, optimum=counts.get(method, 0)) for method in ("QMIX", "QPLEX", "FOP")])


def both_end(macpf, fop):
    return pd.concat([ends("MACPF", **macpf), ends("FOP", **fop)])


def lost(*counts):
    """Runs of FOP with 20 episodes, so many of which end at no goal."""
    return pd.DataFrame({"method": "FOP", "seed": range(len(counts)), "none": counts, "episodes": 20, "goals": 1})


def goals(method, *counts):
    return pd.DataFrame({"method": method, "seed": range(len(counts)), "none": 0, "episodes": 20, "goals": counts})


def curves(claim, spread=0.02, finals=None, **levels):
    """Five runs of each method on each map around a level, all scores alike; `finals` are the final ones."""
    lines = []
    for method in claim.methods:
        for map_ in claim.maps:
            for seed, noise in enumerate(np.linspace(-spread, spread, 5)):
                scores = dict.fromkeys(("training", "early", "middle", "late", "final"), levels[method] + noise)
                scores["final"] = (finals or {}).get(method, levels[method]) + noise
                lines.append({"map": map_, "method": method, "seed": seed, **scores})
    return pd.DataFrame(lines)


def against_all(claim, macpf, others=0.4, **more):
    return curves(claim, **{"MACPF": macpf, **dict.fromkeys(("QMIX", "QPLEX", "FOP", "MAPPO"), others), **more})


def policies_that_differ_by_run(claim):
    """MACPF's policies at one level on average, but up to 0.1 apart in single runs."""
    narrow = curves(claim, spread=0.0, MACPF=0.5, MACPF_DEP=0.5)
    wide = curves(claim, spread=0.1, MACPF=0.5, MACPF_DEP=0.5)
    return pd.concat([narrow[narrow["method"] == "MACPF"], wide[wide["method"] == "MACPF_DEP"]])


C = BY_ID
#: Every method of Table 2 at 0.5 on every map, but those named here.
EVEN = {f"{method}__{map_}": 0.5 for method in METHODS for map_ in Experiment.read("table2").maps}
#: By claim: lines that support it, lines that contradict it, and lines that are complete and leave it open.
CASES = {
    "figure1-central": (
        goals("CENTRAL", 4, 4, 2, 3, 4),
        goals("CENTRAL", 1, 0, 1, 1, 1),
        goals("CENTRAL", 4, 4, 1, 4, 4),
    ),
    "figure1-fop-modes": (goals("FOP", 0, 1, 0, 0, 1), goals("FOP", 2, 2, 2, 3, 2), goals("FOP", 0, 1, 0, 0, 2)),
    "figure1-macpf": (
        goals("MACPF_DEP", 2, 2, 4, 4, 4),
        goals("MACPF_DEP", 1, 1, 1, 1, 0),
        goals("MACPF_DEP", 2, 2, 4, 4, 0),
    ),
    "figure1-fop": (lost(20, 11, 15, 12, 20), lost(0, 3, 3, 0, 2), lost(20, 11, 15, 12, 9), lost(0, 3, 3, 0, 10)),
    "figure4-both-optima": (ends("MACPF_DEP", both=5), ends("MACPF_DEP", 20, both=3), ends("MACPF_DEP", both=3)),
    "figure5-best": (surely("table2"), surely("table2", MACPF__MMM2=0.1), table("table2")),
    "figure5-corridor": (
        surely("table2", MACPF__corridor=0.66),
        surely("table2", QMIX__corridor=0.3),
        surely("table2", MACPF__corridor=0.6),  # less than 0.65, and what the paper's 0.69 ± 0.35 leaves open
        table("table2"),
    ),
    "figure5-myopic": (
        surely("table2"),
        surely("table2", MACPF__8m_vs_9m_myopic=0.5, MACPF__10m_vs_11m_myopic=0.3),
        table("table2"),
    ),
    "table2-macpf": (table("table2"), table("table2", **{key: 0.5 for key in EVEN if "MACPF" in key})),
    "table2-qmix": (surely("table2"), table("table2", **EVEN)),
    "table2-qplex": (table("table2", **{key: 0.0 for key in EVEN if "QPLEX" in key}), table("table2", **EVEN)),
    "table2-mappo": (table("table2", **{key: 0.0 for key in EVEN if "MAPPO" in key}), table("table2", **EVEN)),
    "table2-fop": (surely("table2"), table("table2", **EVEN)),
    "figure8-matches": (
        surely(
            "table2", **{key: 0.6 for key in EVEN if "MACPF" in key} | {key: 0.5 for key in EVEN if "MACPF" not in key}
        ),
        surely("table2", MACPF__8m=0.5),
        surely("table2"),  # the paper's own numbers do not bear it out, and so ours need not
    ),
    "smac-fop": (table("table2", MACPF__3s_vs_3z=0.9995), surely("table2", MACPF__8m=0.5), surely("table2")),
    "mpe-fop": (
        surely("table1"),
        surely("table1", FOP__line_control=-15.0),
        table("table1", MACPF__simple_spread=-126.0),
    ),
    "table1-best": (surely("table1"), surely("table1", MACPF__simple_spread=-135.0), table("table1")),
    "table1-margin": (
        table("table1", 1000),
        surely("table1", MACPF__simple_spread=-135.0),
        table("table1"),
    ),
    "matrix-fop": (
        both_end({"optimum": 5}, {"optimum": 1}),
        both_end({"optimum": 1}, {"optimum": 5}),
        both_end({"optimum": 5}, {"optimum": 4}),
        both_end({"optimum": 5}, {"optimum": 1, "nan": 1}),
        both_end({"optimum": 1, "nan": 1}, {"optimum": 5}),
    ),
    "figure4-macpf": (
        ends("MACPF", optimum=5),
        ends("MACPF", 50, optimum=17),
        ends("MACPF", optimum=4),
        ends("MACPF", optimum=4, nan=1),
    ),
    "figure4-macpf-dep": (
        ends("MACPF_DEP", optimum=5),
        ends("MACPF_DEP", optimum=1, worse=4),
        ends("MACPF_DEP", optimum=3, worse=1, nan=1),
        ends("MACPF_DEP", nan=5),
    ),
    "figure4-most": (
        three_end(),
        pd.concat([ends("QMIX", 8, optimum=8), *(ends(method) for method in ("QPLEX", "FOP"))]),
        three_end(QPLEX=3),
        three_end().assign(nan=[3, 0, 0], suboptimal=[2, 5, 5]),
    ),
    "figure4-qmix": (ends("QMIX"), ends("QMIX", seeds=50, optimum=31), ends("QMIX", optimum=1), ends("QMIX", nan=1)),
    "figure4-mappo": (ends("MAPPO"), ends("MAPPO", worse=5), ends("MAPPO", nan=5)),
    "figure4-qtran-safe": (ends("QTRAN", optimum=2), ends("QTRAN", worse=4), ends("QTRAN", optimum=2, nan=1)),
    "figure4-qplex": (ends("QPLEX", optimum=3), ends("QPLEX", 50, optimum=0), ends("QPLEX", optimum=5)),
    "figure4-qtran": (
        ends("QTRAN", optimum=1),
        ends("QTRAN", 50, optimum=50),
        ends("QTRAN", optimum=0),
        ends("QTRAN", 50, optimum=32),
        ends("QTRAN", optimum=1, nan=1),
    ),
    "figure4-fop": (
        ends("FOP", 20, optimum=9),
        ends("FOP", 50, optimum=50),
        ends("FOP", optimum=5),
        ends("FOP", 50, optimum=40, nan=10),
    ),
    "figure4-qplex-worse": (ends("QPLEX", worse=1), ends("QPLEX", 50, worse=50), ends("QPLEX", worse=0)),
    "figure4-fop-worse": (ends("FOP", worse=2), ends("FOP", 50, worse=0), ends("FOP", worse=0)),
    "figure5-hard": (
        against_all(C["figure5-hard"], 0.8),
        against_all(C["figure5-hard"], 0.8, QMIX=0.9),
        against_all(C["figure5-hard"], 0.8, QMIX=0.8),
    ),
    "figure5-super-hard": (
        against_all(C["figure5-super-hard"], 0.4, finals={"MACPF": 0.8}),
        against_all(C["figure5-super-hard"], 0.8, MAPPO=0.9),
        against_all(C["figure5-super-hard"], 0.4, finals={"MACPF": 0.3}),
    ),
    "figure6-same": (
        curves(C["figure6-same"], MACPF=0.5, MACPF_DEP=0.53),
        curves(C["figure6-same"], MACPF=0.5, MACPF_DEP=0.6),
        policies_that_differ_by_run(C["figure6-same"]),
    ),
    "figure7-control": (
        curves(C["figure7-control"], MACPF=0.8, MACPF_CONTROL=0.7),
        curves(C["figure7-control"], MACPF=0.7, MACPF_CONTROL=0.8),
        curves(C["figure7-control"], MACPF=0.7, MACPF_CONTROL=0.69),
    ),
    "figure9-similar": (
        curves(C["figure9-similar"], MACPF=0.8, MACPF_NONLINEAR=0.78),
        curves(C["figure9-similar"], MACPF=0.8, MACPF_NONLINEAR=0.6),
        curves(C["figure9-similar"], MACPF=0.8, MACPF_NONLINEAR=0.71),
    ),
    "figure9-super-hard": (
        curves(C["figure9-super-hard"], MACPF=0.8, MACPF_NONLINEAR=0.6),
        curves(C["figure9-super-hard"], MACPF=0.6, MACPF_NONLINEAR=0.8),
        curves(C["figure9-super-hard"], MACPF=0.8, MACPF_NONLINEAR=0.8),
    ),
    "figure9-attention": (
        curves(C["figure9-attention"], MACPF=0.8, MACPF_NONLINEAR=0.75, MACPF_ATT=0.4),
        curves(C["figure9-attention"], MACPF=0.8, MACPF_NONLINEAR=0.45, MACPF_ATT=0.4),
        curves(C["figure9-attention"], MACPF=0.8, MACPF_NONLINEAR=0.75, MACPF_ATT=0.65),
    ),
}


def test_every_claim_has_its_cases():
    assert sorted(BY_ID) == sorted(CASES)
    assert len(BY_ID) == len(CLAIMS)


@pytest.mark.parametrize("id", CASES)
def test_a_claim_is_supported_contradicted_or_undecided(id):
    claim, (yes, no, *open_) = BY_ID[id], CASES[id]
    assert entry(claim, yes)["our verdict"] == SUPPORTED
    assert entry(claim, no)["our verdict"] == CONTRADICTED
    short = entry(claim, one_seed_less(yes, claim))
    assert (short["our verdict"], short["runs missing"]) == (UNDECIDED, 1)
    for lines in open_:
        complete = entry(claim, lines)
        assert (complete["our verdict"], complete["runs missing"]) == (UNDECIDED, 0)
        assert complete["evidence"]
        assert complete["test"]


@pytest.mark.parametrize("claim", TABLE_CLAIMS, ids=lambda claim: claim.id)
def test_both_errors_of_a_verdict_stay_below_five_percent(claim):
    """Tables drawn from the paper's are seldom contradicted, and those of methods that are alike seldom supported."""
    truth = claim.published()
    for seeds, draws in ((5, 500), (12, 150)):
        noise = 3 * (0.05 * 0.95 / draws) ** 0.5
        exact = claim.verdicts(simulation.drawn(truth, seeds, np.random.default_rng(10), draws))
        assert exact.contradicted.mean() <= 0.05
        for method in ("MACPF", "FOP"):  # whichever all others are like
            alike = simulation.drawn(simulation.alike(truth, method), seeds, np.random.default_rng(11), draws)
            assert claim.verdicts(alike).supported.mean() <= 0.05 + noise


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS if claim.experiment == "figure4"], ids=lambda claim: claim.id
)
def test_counts_of_seeds_drawn_from_the_papers_shares_are_seldom_contradicted(claim):
    random, truth = np.random.default_rng(0), published("figure4")
    ways, verdicts = ["optimum", "suboptimal", "worse"], []
    for _ in range(150):
        drawn = np.stack([random.multinomial(5, shares / 5) for shares in truth[ways].to_numpy()])
        lines = truth.assign(**dict(zip(ways, drawn.T, strict=True)), both=truth["optimum"])
        verdicts.append(claim.judged(lines).verdict)
    assert verdicts.count(CONTRADICTED) <= 0.05 * len(verdicts)


@pytest.mark.parametrize(("unread", "verdict"), [(0, CONTRADICTED), (6, UNDECIDED)])
def test_a_policy_that_was_not_logged_says_nothing_of_both_optima(unread, verdict):
    lines = ends("MACPF_DEP", 6, optimum=6).assign(unread=unread)
    assert BY_ID["figure4-both-optima"].judged(lines).verdict == verdict


def test_power_is_what_a_simulation_gives_and_the_seeds_needed_reach_it():
    claim = BY_ID["mpe-fop"]
    drawn = simulation.drawn(claim.published(), 5, np.random.default_rng(1), 2000)
    assert claim.power(5) == pytest.approx(claim.verdicts(drawn).supported.mean(), abs=0.05)
    needed = int(claim.seeds_needed())
    assert claim.power(needed) >= 0.8 > claim.power(needed - 1)
    falling = BY_ID["figure4-qtran"]  # the power of an exact test goes up and down
    needed = int(falling.seeds_needed())
    assert falling.power(10) > 0.8 > falling.power(12)
    assert falling.power(needed - 1) < 0.8 <= min(falling.power(n) for n in (*range(needed, 21), 25, 30, 40))
    assert BY_ID["smac-fop"].seeds_needed() == "no number is enough"  # the paper's table is against it
    assert BY_ID["figure5-best"].seeds_needed().startswith("more than")
    assert np.isnan(BY_ID["figure7-control"].power(5))
    assert BY_ID["figure4-macpf"].power(5) == 1.0


def test_a_tree_of_comparisons_has_the_p_values_of_partial_conjunctions():
    tests = [PValues(np.array([p]), np.array([1 - p])) for p in (0.01, 0.02, 0.3)]
    assert (all_of(tests).none[0], at_least(1, tests).none[0]) == pytest.approx((0.3, 0.03))
    assert at_least(2, tests).none[0] == pytest.approx(0.04)
    assert at_least(2, tests).true[0] == 1.0
    assert all_of(tests).true[0] == 1.0  # three times 0.7, cut


def test_the_calibration_command_prints_every_table_claim(capsys):
    assert command.main(["calibration", "--draws", "20"]) == 0
    printed = capsys.readouterr().out
    assert all(claim.id in printed for claim in TABLE_CLAIMS)


@pytest.mark.parametrize(("verdict", "code"), [(SUPPORTED, 0), (CONTRADICTED, 1), (UNDECIDED, 3)])
def test_verify_says_the_verdict_with_its_exit_code(verdict, code, monkeypatch, tmp_path, capsys):
    trained = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: trained.append(command) or SimpleNamespace(returncode=0)
    )
    end = {SUPPORTED: 0.0, CONTRADICTED: 8.0, UNDECIDED: 8.0}[verdict]
    runs = make_runs(*(matrix_run("qmix", seed, end if seed or verdict == CONTRADICTED else 0.0) for seed in range(5)))
    if verdict == UNDECIDED:
        runs = make_runs(*(matrix_run("qmix", seed, 0.0) for seed in range(4)))
    monkeypatch.setattr(command, "load_runs", lambda *_: runs)
    assert command.main(["verify", "figure4-qmix", "--runs", str(tmp_path), "--yes", "threads=1"]) == code
    assert trained[0][2:] == [
        *("macpf.runs.reproduce", "figure4", "--runs", str(tmp_path), "--budget", "paper"),
        *("algo=qmix", "--yes", "threads=1"),
    ]
    assert f"ours:  {verdict}" in capsys.readouterr().out


def test_verify_knows_what_there_is(tmp_path, capsys):
    assert command.main(["verify", "table1-bst", "--runs", str(tmp_path)]) == 2
    assert "did you mean table1-best" in capsys.readouterr().err
    assert sweep(BY_ID["smac-fop"])[0] == "algo=macpf,fop"
    assert sweep(BY_ID["figure5-corridor"]) == ["algo=macpf,fop,qmix,qplex", "map=corridor"]
    assert sweep(BY_ID["figure1-macpf"]) == ["algo=macpf"]


def test_the_smoke_form_of_verify_trains_and_leaves_the_claim_undecided(tmp_path, capsys):
    arguments = ["verify", "figure4-qmix", "--budget", "smoke", "--runs", tmp_path, "--out", tmp_path, "--yes"]
    launcher = ["--launcher", "local", "hydra.launcher.n_jobs=1"]  # trains in the process of the sweep
    assert command.main([*map(str, arguments), *launcher]) == 3
    assert len(list(tmp_path.rglob("ledger.jsonl"))) == 1
    assert "undecided (no finished runs" in capsys.readouterr().out


def test_the_papers_numbers_bear_out_its_counts_but_not_three_sentences():
    found = ledger({}).set_index("id")
    contradicted = found[found["paper's numbers"] == CONTRADICTED]
    assert sorted(contradicted.index) == ["figure4-most", "figure8-matches", "smac-fop"]
    assert contradicted.loc["figure8-matches", "paper's evidence"].startswith("10 of 12; not on 3s_vs_3z (0.974; FOP")
    counts = {method: found.loc[f"table2-{method}", "paper's evidence"] for method in ("macpf", "qmix", "qplex")}
    assert counts == {"macpf": "16 of 18", "qmix": "7 of 18", "qplex": "8 of 18"}
    assert (found.loc["table2-mappo", "paper's evidence"], found.loc["table2-fop", "paper's evidence"]) == (
        "9 of 18",
        "5 of 18",
    )
    without = {claim.id for claim in CLAIMS if claim.experiment not in ("table1", "table2", "figure4")}
    assert set(found.index[found["paper's numbers"] == FIGURE_ONLY]) == without | {"figure4-both-optima"}
    assert (found["our verdict"] == UNDECIDED).all()
    assert found.loc["table2-macpf", "runs missing"] == 450
    assert found.loc["figure6-same", "runs missing"] == 20


def test_a_budget_that_is_not_the_papers_is_named():
    evidence = gather(make_runs(*(matrix_run("macpf", seed, 8.0, budget="laptop") for seed in range(5))))
    (found,) = ledger(evidence, [BY_ID["figure4-macpf"]]).to_dict("records")
    assert (found["our verdict"], found["evidence"]) == ("supported (laptop)", "5 of 5 seeds (backend builtin)")


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_the_experiments_ask_for_every_cell_of_the_papers_tables(name):
    experiment, lines = Experiment.read(name), paper.table(name)
    assert set(experiment.maps) == set(lines["map"])
    assert set(experiment.algos) == set(lines["algo"])
    assert len(experiment.seeds) == paper.SEEDS


PAYOFF = [[8, -12], [-12, 8]]


def make_run(*arguments, **options):
    """A run of its budget's length, whatever the number of its evaluations."""
    frame, line = synthetic.make_run(*arguments, **options)
    return frame, line | {"total": full_length(line["env"], line["budget"])}


def matrix_run(algo, seed, end, dependent=None, optima=(0.5, 0.5), **changes):
    extra = {names.joint(names.DEPENDENT, (i, i)): p for i, p in enumerate(optima)}
    settings = {"map": {"payoff": PAYOFF}}
    options = {"env": "matrix_game", "backend": "builtin", "score": "return", "settings": settings} | changes
    dependent = None if dependent is None else [0.0, dependent]
    return make_run([0.0, end], algo, "p0_12", seed, dependent=dependent, extra=extra, **options)


def judged(evidence, *ids):
    """The ledger's lines of these claims alone; the others would take longer, and each is judged by itself."""
    return ledger(evidence, [BY_ID[id] for id in ids]).set_index("id")


def test_the_matrix_game_is_judged_by_how_each_seed_ends():
    runs = [matrix_run("qmix", seed, -12.0 if seed else 8.0) for seed in range(5)]
    runs += [matrix_run("macpf", seed, 8.0, dependent=8.0, optima=(0.9 - 0.1 * seed, 0.09)) for seed in range(5)]
    ids = ("qmix", "macpf", "macpf-dep", "both-optima")
    found = judged(gather(make_runs(*runs)), *(f"figure4-{id}" for id in (*ids, "fop")))
    verdicts = {id: found.loc[f"figure4-{id}", "our verdict"] for id in ids}
    assert verdicts == {"qmix": CONTRADICTED, "macpf": SUPPORTED, "macpf-dep": SUPPORTED, "both-optima": CONTRADICTED}
    assert found.loc["figure4-qmix", "evidence"] == "0 of 5 seeds (backend builtin)"
    assert found.loc["figure4-fop", "runs missing"] == 5


def test_runs_that_are_not_whole_judge_nothing_and_smoke_runs_neither():
    runs = [matrix_run("qmix", seed, 0.0) for seed in range(4)]
    runs += [
        matrix_run("qmix", 4, 0.0, state="incomplete"),
        *(matrix_run("fop", s, 8.0, budget="smoke") for s in range(5)),
    ]
    found = judged(gather(make_runs(*runs)), "figure4-qmix", "figure4-fop", "figure4-macpf")
    assert found.loc["figure4-qmix", ["our verdict", "runs missing"]].tolist() == [UNDECIDED, 1]
    assert found.loc["figure4-fop", ["our verdict", "runs missing"]].tolist() == [UNDECIDED, 5]
    left_out = "QMIX seed 4 (incomplete, 2 of 2 evaluations)"
    assert found.loc["figure4-qmix", "evidence"] == f"4 of 5 runs. Left out: {left_out}"
    assert "Left out" not in found.loc["figure4-macpf", "evidence"]  # which is not about QMIX
    asked = judged(gather(make_runs(*runs).with_incomplete()), "figure4-qmix").loc["figure4-qmix"]
    assert asked[["our verdict", "runs missing"]].tolist() == [SUPPORTED, 0]
    assert asked["evidence"].endswith(f"Not whole, but counted on request: {left_out}")


def test_runs_by_other_rules_are_not_judged():
    runs = [make_run([-130.0], "qmix", "simple_spread", seed, env="mpe", score="return") for seed in range(5)]
    for _, line in runs:
        line["total"] = line["config"]["total_env_steps"] = 2_000_000
        line["config"]["config"]["env"] = {"rules": "mpe2"}
    assert "env.rules=mpe2, whose returns are on another scale" in gather(make_runs(*runs))["table1"].refused


def test_where_every_run_diverged_the_claims_name_them():
    evidence = gather(make_runs(matrix_run("qmix", 0, np.nan)).with_incomplete())
    line = judged(evidence, "figure4-qmix").loc["figure4-qmix"]
    assert line[["our verdict", "runs missing"]].tolist() == [UNDECIDED, 5]
    missing = "Missing: QMIX on p0_12 (seeds 1 to 4)"
    assert line["evidence"] == f"no finished runs. {missing}. Left out: QMIX seed 0 (diverged)"


def smac_runs(**changes):
    """Five seeds on the maps of Figure 6; the dependent policy is one percent better."""
    curve = np.linspace(0, 0.9, 12)
    return [
        make_run(curve + 0.01 * seed, "macpf", map_, seed, dependent=list(curve + 0.01 * seed + 0.01), **changes)
        for map_ in Experiment.read("figure6").maps
        for seed in range(5)
    ]


def test_curves_are_read_from_the_runs():
    evidence = gather(make_runs(*smac_runs(budget="laptop")))
    one = lines_of(evidence["figure6"]).set_index(["map", "method", "seed"]).loc[("MMM2", "MACPF", 2)]
    curve = np.linspace(0, 0.9, 12) + 0.02
    assert one["training"] == pytest.approx(curve.mean())
    assert one["final"] == pytest.approx(curve[-5:].mean())
    assert one[["early", "middle", "late"]].tolist() == pytest.approx([c.mean() for c in np.split(curve, 3)])
    found = judged(evidence, "figure6-same")
    assert found.loc["figure6-same", "our verdict"] == "supported (laptop)"
    assert "MMM2 late +0.01 [+0.01, +0.01]" in found.loc["figure6-same", "evidence"]


def test_budgets_are_never_mixed_and_smoke_is_no_budget_to_choose():
    runs = [*smac_runs(), make_run([0.1] * 6, "qmix", "MMM2", budget="smoke")]
    assert "figure6" in gather(make_runs(*runs))
    runs.append(make_run([0.1] * 6, "qmix", "MMM2", budget="laptop"))
    evidence = gather(make_runs(*runs))
    assert "table2" in evidence
    assert evidence["figure6"].budget == "paper"  # which has no QMIX
    refused = judged(evidence, "table2-macpf").loc["table2-macpf"]
    assert refused[["our verdict", "runs missing"]].tolist() == [UNDECIDED, 450]
    assert "--budget laptop" in refused["evidence"]
    assert not gather(make_runs(*runs), budget="paper")["table2"].refused


def test_runs_that_no_claim_names_do_not_matter():
    runs = [matrix_run("qmix", seed, 0.0) for seed in range(5)]
    for algo in ("vdn", "macpf_att"):
        frame, line = matrix_run(algo, 0, 8.0)
        other = f"{algo}-matrix_game-p0_12-ffffffff-s0"
        runs += [(frame, line), (frame.assign(run=other), line | {"run": other})]
    evidence = gather(make_runs(*runs))
    assert lines_of(evidence["figure4"])["method"].tolist() == ["QMIX"]
    assert judged(evidence, "figure4-qmix").loc["figure4-qmix", "our verdict"] == SUPPORTED


def test_an_experiment_that_is_refused_leaves_the_others_alone():
    frame, line = matrix_run("qmix", 0, 0.0)
    other = "qmix-matrix_game-p0_12-ffffffff-s0"
    twice = [(frame, line), (frame.assign(run=other), line | {"run": other})]
    found = judged(gather(make_runs(*twice, *smac_runs())), "figure4-qmix", "figure6-same")
    assert "qmix on p0_12 was run in 2 configurations" in found.loc["figure4-qmix", "evidence"]
    assert found.loc["figure6-same", "our verdict"] == SUPPORTED


def test_runs_of_a_changed_length_judge_nothing():
    runs = [matrix_run("qmix", seed, 0.0) for seed in range(5)]
    runs[4] = (runs[4][0], runs[4][1] | {"total": 5000})
    found = judged(gather(make_runs(*runs)), "figure4-qmix")
    assert found.loc["figure4-qmix", ["our verdict", "runs missing"]].tolist() == [UNDECIDED, 1]


def test_a_lost_evaluation_is_left_out_of_a_runs_mean_and_a_run_that_diverged_altogether():
    (frame, line), *others = smac_runs()
    lost = frame[(frame["env_step"] != 300) | (frame["metric"] != names.score(names.INDEPENDENT, "win_rate"))]
    evidence = gather(make_runs((lost, line | {"state": "incomplete"}), *others).with_incomplete())
    one = lines_of(evidence["figure6"]).set_index(["map", "method", "seed"]).loc[(line["map"], "MACPF", 0)]
    curve = np.linspace(0, 0.9, 12)
    assert one["training"] == pytest.approx(np.delete(curve, 3).mean())
    assert one[["early", "middle"]].tolist() == pytest.approx([curve[:3].mean(), curve[4:8].mean()])
    diverged = line | {"state": "diverged", "counts": False}
    evidence = gather(make_runs((frame, diverged), *others).with_incomplete())
    found = judged(evidence, "figure6-same").loc["figure6-same"]
    assert found[["our verdict", "runs missing"]].tolist() == [UNDECIDED, 1]
    assert found["evidence"] == f"19 of 20 runs. Left out: MACPF on {line['map']} seed 0 (diverged)"


def test_a_run_that_counts_on_request_and_never_came_so_far_decides_nothing():
    (frame, line), *others = smac_runs()
    early = frame[frame["env_step"] < 400]
    evidence = gather(make_runs((early, line | {"state": "short", "env_step": 300}), *others).with_incomplete())
    found = judged(evidence, "figure6-same").loc["figure6-same"]
    assert (found["our verdict"], found["runs missing"]) == (UNDECIDED, 0)
    assert found["evidence"].startswith(f"NaN: MACPF on {line['map']}, MACPF_DEP on {line['map']}")


@pytest.mark.parametrize("methods", [["QMIX"], ["MACPF", "QMIX", "QPLEX", "FOP", "MAPPO"]])
def test_a_mean_that_is_nan_decides_nothing(methods):
    lines = table("table2", **{f"{method}__MMM2": np.nan for method in methods})
    found = pd.DataFrame([entry(claim, lines) for claim in CLAIMS if claim.experiment == "table2"]).set_index("id")
    judged = found.loc[["table2-macpf", "table2-qmix", "figure5-best"]]
    assert set(judged["our verdict"]) == {UNDECIDED}
    assert set(judged["evidence"]) == {"NaN: " + ", ".join(f"{method} on MMM2" for method in methods)}
    assert "NaN" not in found.loc["figure8-matches", "evidence"]  # MMM2 is not one of its maps


def test_the_command_prints_the_ledger_and_writes_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "load_runs", lambda *_: make_runs(*smac_runs()))
    assert command.main(["claims", "--out", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "claims.csv", keep_default_na=False)
    assert list(written["id"]) == [claim.id for claim in CLAIMS]
    assert len((tmp_path / "claims.md").read_text().splitlines()) == len(CLAIMS) + 2
    printed = capsys.readouterr().out
    assert "37 claims: 36 undecided, 1 supported." in printed
