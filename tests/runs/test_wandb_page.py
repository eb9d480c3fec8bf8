"""What W&B shows of a run, and that none of it is part of what the run is."""

import json

import pytest
from omegaconf import OmegaConf
from PIL import Image

from analysis.runs import load_runs
from macpf.records.ledger import Evaluation
from macpf.records.run_state import run_state
from macpf.records.sampled import KEY
from macpf.records.wandb_log import Logs
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.settings import ConfigError, TrackingSettings, check_run_settings
from macpf.runs.tracking import Tracker
from macpf.runs.wandb_page import MODEL, attach, described_config, picture_of, shown


@pytest.fixture
def ledger(ledger_at, tmp_path):
    return ledger_at(tmp_path / "ledger.jsonl", evaluations=1, env_steps=3)


def test_a_run_is_called_by_what_it_is(ledger):
    page = shown(ledger, 1, TrackingSettings("offline"))
    assert page["name"] == "qmix p0_12 seed=0"
    assert page["name"] != page["id"]
    assert page["group"] == "qmix-matrix_game-p0_12-ab12cd34"
    assert page["tags"] == ["qmix", "matrix_game", "p0_12", "builtin", "budget=smoke"]
    assert page["notes"] is None


def test_what_is_set_takes_the_place_of_it_and_tags_are_added(ledger):
    settings = TrackingSettings("offline", name="mine", group="ours", tags=("qmix", "t" * 64), notes="a\nb")
    page = shown(ledger, 1, settings)
    assert (page["name"], page["group"], page["notes"]) == ("mine", "ours", "a\nb")
    assert page["tags"] == ["qmix", "matrix_game", "p0_12", "builtin", "budget=smoke", "t" * 64]


def test_a_manifest_keeps_neither_paths_nor_budgets_that_were_not_chosen(configured):
    config = OmegaConf.to_container(configured("algo=qmix", "tracking.notes=x"), resolve=True)
    kept = described_config(config)
    assert {"outputs", "run", "tracking"}.isdisjoint(kept)
    assert "budgets" not in kept["env"]
    assert kept["budget"] == config["budget"]
    assert kept["profile"]["name"] == "paper"
    assert "budgets" in config["env"], "the configuration itself stays whole"


def test_tracking_is_no_part_of_what_a_run_is(configured):
    plain = configured("algo=qmix")
    dressed = configured("algo=qmix", "tracking.name=a", "tracking.tags=[b]", "tracking.media=true", "tracking.group=c")
    assert Identity.of(plain).key == Identity.of(dressed).key


def test_configurations_from_before_there_were_such_settings_still_fit(configured):
    cfg = configured("algo=qmix")
    cfg.tracking = {"mode": "offline", "project": "macpf", "entity": None}
    check_run_settings(cfg)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tracking.tags=one", "tracking.tags"),
        (f"tracking.tags=[{'t' * 65}]", "at most 64"),
        ("tracking.name=''", "tracking.name"),
        ("tracking.media=perhaps", "tracking.media"),
    ],
)
def test_what_wandb_would_not_take_is_refused_in_one_line(configured, override, said):
    with pytest.raises(ConfigError, match=said):
        check_run_settings(configured(override))


def test_samples_are_one_table_of_the_log_and_single_numbers_for_its_readers(ledger, tmp_path):
    samples = {f"sampled/{e}/{t}/{axis}": e + t / 3 for e in range(4) for t in range(6) for axis in "xy"}
    counts = {"env_step": 3.0, "clock/evaluation": 0.0, "clock/evaluation_after": -1.0, "clock/updates": 1.0}
    tracker = Tracker(TrackingSettings("offline"), ledger, attempt=1)
    tracker.log([counts | samples])
    tracker.finish(0, end="finished")
    (log,) = Logs.read(tmp_path, ledger.manifest.owner).files.values()
    assert [{key: row[key] for key in samples} for row in log.rows] == [samples]
    assert not any(key.startswith(f"{KEY}.") for key in log.rows[0])
    (table,) = log.tables
    assert json.loads(table.read_bytes())["columns"] == ["episode", "env step", "x", "y"]
    frame = load_runs(tmp_path).frame
    assert dict(zip(frame.metric, frame.value, strict=True)).items() >= samples.items()

    table.write_bytes(table.read_bytes().replace(b"0.33", b"0.34"))
    (damaged,) = Logs.read(tmp_path, ledger.manifest.owner).files.values()
    assert samples.keys().isdisjoint(damaged.rows[0])
    assert len(damaged.gaps) == 1


class Recorder:
    """Stands in for W&B's run; keeps what it is given."""

    def __init__(self):
        self.rows, self.artifacts = [], []

    def log(self, row):
        self.rows.append(row)

    def log_artifact(self, artifact):
        self.artifacts.append(artifact)


@pytest.fixture
def over(ledger, tmp_path):
    """A finished run's folder with what the two kinds of files are made of."""
    ledger.append(Evaluation(number=0, after=-1, values={"env_step": 3.0, "eval/independent/return": 2.5}))
    for name in MODEL:
        if not (tmp_path / name).exists():
            (tmp_path / name).touch()
    Image.new("P", (4, 4)).save(picture_of(tmp_path, "independent"))
    return ledger


def test_pictures_and_model_are_given_when_asked(over):
    page = Recorder()
    attach(page, over, TrackingSettings("offline", media=True, model=True))
    ((step, video),) = [(row["env_step"], row["episode/independent"]) for row in page.rows]
    assert (step, video._format) == (3.0, "gif")
    (artifact,) = page.artifacts
    assert (artifact.type, artifact.name) == ("model", f"model-{over.manifest.owner.wandb_id}")
    assert set(artifact.manifest.entries) == set(MODEL)
    assert artifact.metadata["eval/independent/return"] == 2.5


@pytest.mark.parametrize(("media", "model"), [(True, False), (False, True), (False, False)])
def test_and_only_then(over, media, model):
    page = Recorder()
    attach(page, over, TrackingSettings("offline", media=media, model=model))
    assert (len(page.rows), len(page.artifacts)) == (media, model)


def test_an_environment_without_pictures_costs_a_warning_and_nothing_else(configured, caplog):
    cfg = configured("algo=qmix", "tracking=offline", "tracking.media=true", "budget.env_steps=120")
    assert run(cfg) is not None
    assert "no picture of an episode" in caplog.text
    assert run_state(Identity.of(cfg).folder).state == "finished"
