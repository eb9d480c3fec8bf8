"""Published runs: ``results/<study>`` in the repository, written from logs and read back as a source of runs.

    manifest.yaml      the runs of the study, fixed before the first is trained
    runs.parquet       a row for each run, including those that diverged or are not finished
    evaluations.parquet   every number that they logged: run, row, env_step, metric, value
    archive.json       checksums of the manifest and of both parquet files, written last

An unfinished run can be published and updated later. Once a run is over, it never changes. If `publish` is killed, the
archive is as it was before or as it would be after it.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from filelock import FileLock
from pyarrow import parquet
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from analysis import AnalysisError, paper
from analysis.parser import COMMANDS
from analysis.run_facts import IDENTITY, full_length, integer, of_budget
from analysis.runs import BEGUN_TWICE, CRASHED, DIVERGED, FINISHED, INCOMPLETE, UNTRAINED, Runs, begun_twice
from analysis.sources import EVALUATIONS, INDEX, REMEDY, RUNS, VALUES, Reference, Segment, studies
from macpf import names
from macpf.records.files import Damaged, complaint, read_record, write_atomically

MANIFEST = "manifest.yaml"
#: Largest size of an archive, which is part of the repository.
MOST_BYTES = 20_000_000
#: Columns of the evaluations: those of a segment's values, and the run.
_VALUES = VALUES.append(pa.field("run", pa.string()))
#: Columns of the runs: what a run is, how it ended, where it was made, and the checksum of its numbers.
_TOLD = (*IDENTITY, "origin", "state", "found", "expected", "attempts", "gaps", "lost_bytes", "commit", "note")
_COLUMNS = ("run", *_TOLD, names.HOST, names.TORCH, "seconds", "config", "digest")
#: Ending of a file that replaces another as soon as the checksums name it.
_NEXT = ".next"
#: States of runs that are over.
_OVER = (FINISHED, DIVERGED, UNTRAINED)


def _distinct(names: list[Any]) -> list[Any]:
    if not names or len(set(names)) < len(names):
        raise ValueError(f"name at least one, and each once, not {names}")
    return names


def _known_claims(ids: list[str]) -> list[str]:
    known = {claim["id"] for claim in paper.claims()}
    if lost := [id for id in ids if id not in known]:
        raise ValueError(f"{lost[0]} is no claim; `python -m analysis claims` lists them")
    return ids


def _known_commands(commands: list[str]) -> list[str]:
    if lost := [command for command in commands if command.partition(" ")[0] not in COMMANDS]:
        raise ValueError(f"{lost[0]} is no command of `python -m analysis`")
    return commands


class Manifest(BaseModel):
    """The runs of a study and the question that they answer, fixed before the first run.

    Attributes:
        question: the question, in one sentence.
        command: the command that trains the runs.
        fixed: the date and the commit at which the manifest was written.
        env, maps, algos, seeds, budget: those of the runs.
        configurations: how many configurations of each algorithm there are, e.g. in a grid of settings.
        endpoint: the number by which runs are compared.
        claims: ids of the claims that the study tests, as in `python -m analysis claims`.
        draw: commands of the analysis that draw the results.
    """

    model_config = ConfigDict(extra="forbid")

    question: str
    command: str
    fixed: str
    env: str
    maps: Annotated[list[str], AfterValidator(_distinct)]
    algos: Annotated[list[str], AfterValidator(_distinct)]
    seeds: Annotated[list[int], AfterValidator(_distinct)]
    budget: str
    configurations: Annotated[int, Field(ge=1)] = 1
    endpoint: str
    claims: Annotated[list[str], AfterValidator(_known_claims)]
    draw: Annotated[list[str], AfterValidator(_known_commands)]

    @classmethod
    def read(cls, study: Path) -> "Manifest":
        """Read the manifest of a study.

        Raises:
            AnalysisError: it is missing or invalid.
        """
        path = study / MANIFEST
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except FileNotFoundError:
            raise AnalysisError(
                f"{path} is missing: write which runs the study is made of before they are trained"
            ) from None
        except OSError as error:
            raise AnalysisError(
                f"{path} cannot be read ({error.strerror}); name the folder of a study, e.g. results/table1"
            ) from error
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            why = complaint(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
            raise AnalysisError(f"{path} is no manifest of a study: {why}") from error

    @property
    def checksum(self) -> str:
        """A checksum of all that it fixes; how results are drawn is free."""
        fixed = self.model_dump(exclude={"draw"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    @property
    def planned(self) -> int:
        """The number of runs that it names."""
        return len(self.maps) * len(self.algos) * len(self.seeds) * self.configurations

    def names(self, report: pd.DataFrame) -> "pd.Series[bool]":
        """Which lines of a report (`Runs.report`) are runs of the study."""
        chosen = (report[names.ENV] == self.env) & of_budget(report, self.budget)
        chosen &= report[names.MAP].isin(self.maps) & report[names.ALGO].isin(self.algos)
        return chosen & report[names.SEED].isin(self.seeds)

    def refuse_others(self, report: pd.DataFrame) -> None:
        """Require that runs which it names differ in no other way than it says.

        Raises:
            AnalysisError: a run has another length than the budget (which is one of the settings that several
                configurations may differ in), or there are two backends, or more configurations of an algorithm than
                the manifest has.
        """
        length = full_length(self.env, self.budget) if self.configurations == 1 else None
        for run, total in report[["run", "total"]].itertuples(index=False):
            if length not in (None, total):
                raise AnalysisError(
                    f"{run} was made for {total:,} env steps and not for the {length:,} of budget={self.budget}: leave "
                    f"it out with --exclude {run}"
                )
        if (backends := report[names.BACKEND].unique()).size > 1:
            runs = report.drop_duplicates(names.BACKEND)["run"].head(2)
            raise AnalysisError(
                f"{' and '.join(runs)} were made with different backends ({', '.join(sorted(backends))}), which a "
                f"study never mixes: leave one kind out, e.g. --exclude {names.configuration(runs.iloc[1])}"
            )
        for (map_, algo), group in report.groupby([names.MAP, names.ALGO]):
            kinds = sorted(set(map(names.configuration, group["run"])))
            if len(kinds) > self.configurations:
                raise AnalysisError(
                    f"{algo} on {map_} has {len(kinds)} configurations, and {self.configurations} in the manifest: "
                    f"leave out what is not the study's, e.g. --exclude {kinds[-1]}"
                )


class _Index(BaseModel):
    """Checksums of an archive's files, by file name, and of its manifest (empty in archives before 2026-11-28)."""

    layout: Literal[1]
    files: dict[str, str]
    manifest: str = ""


class Published(NamedTuple):
    """What `publish` did: the numbers of new, updated and unchanged runs, and all runs that the archive now has."""

    new: int
    grew: int
    known: int
    report: pd.DataFrame


def publish(runs: Runs, study: Path) -> Published:
    """Add the runs that a study's manifest names to its archive.

    Raises:
        AnalysisError: there is no manifest; the archive is new and the manifest names none of the runs that were
            evaluated; a run is there with two origins; the archive has another version of a run that is over, e.g. of
            another origin, or other evaluations of one that is not; or it would grow too large.
    """
    manifest = Manifest.read(study)
    with FileLock(study / ".lock"):  # two commands may publish at the same time
        return _publish(runs, study, manifest)


def _publish(runs: Runs, study: Path, manifest: Manifest) -> Published:
    old, old_values = _read(study) if studies(study) else (pd.DataFrame(), _VALUES.empty_table())
    chosen = runs.report[manifest.names(runs.report) & (runs.report["found"] > 0)]
    if twice := begun_twice(chosen):
        raise AnalysisError(f"{' and '.join(twice)} {BEGUN_TWICE}: publish a folder that has one of them")
    lines, tables, counts = [], [], Counter[str]()
    kept = {line["run"]: line for line in old.to_dict("records")}
    for line in chosen.to_dict("records"):
        values = runs.frame[runs.frame["run"] == line["run"]][[names.ENV_STEP, "metric", "value"]]
        entry = _entry(line, runs.configs[line["run"]], values)
        there = kept.get(entry["run"])
        if there is not None:
            before = _of_run(old_values, entry["run"])
            _check_digest(study, there, before)
            if not _replaces(entry, there, study):
                counts["known"] += 1
                continue
            _check_growth(study, entry, there, before, values)
        counts["new" if there is None else "grew"] += 1
        kept.pop(entry["run"], None)
        lines.append(entry)
        tables.append(_table(entry["run"], values))
    table = pd.DataFrame([*kept.values(), *lines])
    if table.empty:
        raise AnalysisError(
            f"no run to publish: {study / MANIFEST} names {manifest.env} on {', '.join(manifest.maps)} with "
            f"{', '.join(manifest.algos)} and budget={manifest.budget}; none of them has been evaluated there"
        )
    if lines:
        totals = [integer(json.loads(config), names.TOTAL_ENV_STEPS) for config in table["config"]]
        manifest.refuse_others(table.assign(total=totals))
    if lines or any(study.glob(f"*{_NEXT}")):
        stays = old_values.filter(pc.is_in(old_values["run"], pa.array(list(kept), pa.string())))
        _write(study, manifest, table.sort_values("run"), pa.concat_tables([stays, *tables]))
    return Published(counts["new"], counts["grew"], counts["known"], table)


def _replaces(entry: Mapping[Any, Any], there: Mapping[Any, Any], study: Path) -> bool:
    """Whether a run replaces the one of its key in the archive, as it is further.

    An older or damaged copy of the same run does not. A run that is not over may begin anew with another origin, as its
    folder may be lost, but not to get other results: it has to be as far.
    """
    same_origin = there["origin"] == entry["origin"]
    if same_origin and there["digest"] == entry["digest"] and there["state"] == entry["state"]:
        return False
    if same_origin and (entry["found"] < there["found"] or (there["state"] in _OVER and entry["state"] not in _OVER)):
        return False
    if there["state"] in _OVER or entry["found"] < there["found"]:
        kinds = [f"origin {run['origin'][:8]}, {run['state']}, {run['found']} evaluations" for run in (there, entry)]
        raise AnalysisError(
            f"{study} has {entry['run']} ({kinds[0]}), and this one ({kinds[1]}) is another: a run that is over never "
            f"changes in an archive, and others only grow; leave it out with --exclude {entry['run']}"
        )
    return True


def _check_digest(study: Path, line: Mapping[Any, Any], values: pd.DataFrame) -> None:
    if line["digest"] != _digest(values):
        raise AnalysisError(
            f"{study} holds other numbers of {line['run']} than were published: its digest is another; {REMEDY}"
        )


def _check_growth(
    study: Path, entry: Mapping[Any, Any], there: Mapping[Any, Any], before: pd.DataFrame, after: pd.DataFrame
) -> None:
    """Require that a run which grows repeats its published evaluations.

    A run that was killed and resumed has a further attempt, which goes back to the last checkpoint. On another machine
    it may differ from there on, but not from the start.
    """
    if there["origin"] != entry["origin"]:
        return
    both = _evaluations(before).merge(_evaluations(after), "left", ["number", "metric"], suffixes=("", "_now"))
    if (lost := both["env_step_now"].isna()).any():
        raise AnalysisError(
            f"{study} has an evaluation of {entry['run']} that this log lacks, at env step "
            f"{both['env_step'][lost].min():,}; leave it out with --exclude {entry['run']}"
        )
    other = both["number"][(both["value"] != both["value_now"]) & ~(both["value"].isna() & both["value_now"].isna())]
    resumed = entry["attempts"] > there["attempts"] and other.min() > both["number"].min()
    if len(other) and not resumed:
        raise AnalysisError(
            f"{study} has other evaluations of {entry['run']} from env step "
            f"{both['env_step'][other.index].min():,} on, and a published run only grows; leave it out with --exclude "
            f"{entry['run']}"
        )


def _evaluations(values: pd.DataFrame) -> pd.DataFrame:
    """A run's evaluations: number (older logs: env_step), env_step, metric, value."""
    values = values.astype({"metric": str})
    numbers = values[values["metric"] == names.EVALUATION].drop_duplicates(names.ENV_STEP)
    rows = values[values["metric"].str.startswith("eval/")]
    number = rows[names.ENV_STEP].map(numbers.set_index(names.ENV_STEP)["value"]).fillna(rows[names.ENV_STEP])
    return rows.assign(number=number)


def _entry(line: dict[Any, Any], config: dict[str, Any], values: pd.DataFrame) -> dict[str, Any]:
    seconds = values[values["metric"] == names.WALL_SECONDS]["value"]
    return {
        "run": str(line["run"]).partition("@")[0],
        **{key: line[key] for key in _TOLD},
        **{key: str(config.get(key, "")) for key in (names.HOST, names.TORCH)},
        "seconds": float(seconds.max()),
        "config": json.dumps(config, sort_keys=True, default=str),
        "digest": _digest(values),
    }


def _digest(values: pd.DataFrame) -> str:
    """A checksum of a run's numbers: env_step, metric, value."""
    text = values.sort_values([names.ENV_STEP, "metric"]).to_csv(index=False, float_format="%.17g")
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _of_run(values: pa.Table, run: str) -> pd.DataFrame:
    found = values.filter(pc.equal(values["run"], run)).select([names.ENV_STEP, "metric", "value"])
    return found.to_pandas().astype({"metric": str})


def _table(run: str, values: pd.DataFrame) -> pa.Table:
    values = values.sort_values(names.ENV_STEP, kind="stable").astype({"metric": object})
    rows = values[names.ENV_STEP].ne(values[names.ENV_STEP].shift()).cumsum() - 1
    columns = values.assign(row=rows, run=run)
    # Column by column, as pyarrow would make a whole frame's NaN a missing value.
    return pa.table({name: columns[name].to_numpy() for name in _VALUES.names}).cast(_VALUES)


def _write(study: Path, manifest: Manifest, runs: pd.DataFrame, values: pa.Table) -> None:
    # Sorting by metric and splitting the bytes of numbers makes the file a third smaller.
    packed = {"use_dictionary": ["run", "metric"], "use_byte_stream_split": ["value"]}
    tables = {
        RUNS: pa.Table.from_pandas(runs, preserve_index=False),
        EVALUATIONS: _sorted(values, ["metric", "run", "row"]),
    }
    files = {}
    for name, table in tables.items():
        buffer, how = pa.BufferOutputStream(), packed if name == EVALUATIONS else {}
        parquet.write_table(table.combine_chunks(), buffer, compression="zstd", compression_level=19, **how)
        files[name] = buffer.getvalue().to_pybytes()
    size = sum(map(len, files.values()))
    if size > MOST_BYTES:
        raise AnalysisError(f"{study} would take {size / 1e6:.0f} MB of {MOST_BYTES / 1e6:.0f}: split the study")
    for name, content in files.items():
        write_atomically(study / f"{name}{_NEXT}", content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    index = _Index(layout=1, files=sums, manifest=manifest.checksum)
    write_atomically(study / INDEX, index.model_dump_json(indent=1).encode() + b"\n")
    for name in files:
        os.replace(study / f"{name}{_NEXT}", study / name)


def _read(study: Path) -> tuple[pd.DataFrame, pa.Table]:
    """Read the runs and the evaluations of an archive; the latter have VALUES' columns and the run.

    Raises:
        AnalysisError: see `_tables`; or the two files do not have the same runs, or other columns than they should.
    """
    runs, values = _tables(study, RUNS, EVALUATIONS)
    table = runs.to_pandas()
    for key in ("gaps", "lost_bytes"):  # archives had none before 2026-11-27
        table[key] = table[key].fillna(0).astype(int) if key in table else 0
    if lost := [*(set(_COLUMNS) - set(table)), *(set(_VALUES.names) - set(values.column_names))]:
        raise AnalysisError(f"{study} lacks the column {min(lost)}, so it is of another version; {REMEDY}")
    try:
        values = _sorted(values, ["run", "row"])
        for config in table["config"]:
            json.loads(config)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise AnalysisError(f"{study} holds what is no archive ({' '.join(str(error).split())}); {REMEDY}") from error
    if apart := set(pc.unique(values["run"]).to_pylist()) ^ set(table["run"]):
        raise AnalysisError(f"{study}: {min(map(str, apart))} is in one of {RUNS} and {EVALUATIONS} alone; {REMEDY}")
    return table, values


def _tables(study: Path, *files: str) -> list[pa.Table]:
    """Read some files of an archive.

    Raises:
        AnalysisError: a file cannot be read, or is not what was published.
    """
    try:
        index = read_record(study / INDEX, _Index, REMEDY)
        if index.manifest and Manifest.read(study).checksum != index.manifest:
            raise AnalysisError(
                f"{study / MANIFEST} was changed after runs were published, and a study's plan is fixed before them; "
                f"put it back with git checkout, or begin another study"
            )
        contents = [_content(study / name, index.files.get(name, "")) for name in files]
        return [parquet.read_table(pa.BufferReader(content)) for content in contents]
    except Damaged as error:
        raise AnalysisError(str(error)) from error
    except OSError as error:
        raise AnalysisError(f"{error.filename} cannot be read ({error.strerror}); {REMEDY}") from error
    except pa.ArrowException as error:
        raise AnalysisError(f"{study} holds what is no table ({' '.join(str(error).split())}); {REMEDY}") from error


def _content(path: Path, checksum: str) -> bytes:
    """The content of a file, or of the one that was about to replace it, whichever was published."""
    following = path.with_name(f"{path.name}{_NEXT}")
    for place in (path, following, path):  # it may be replaced right now
        if place.exists() and hashlib.sha256(content := place.read_bytes()).hexdigest() == checksum:
            return content
    what = "is not what was published (its checksum does not match)" if path.exists() else "is missing"
    raise Damaged(f"{path} {what}; {REMEDY}")


def _sorted(values: pa.Table, by: list[str]) -> pa.Table:
    columns = pa.table({key: values[key].cast(pa.string()) if key == "metric" else values[key] for key in by})
    order = pc.sort_indices(columns, [(key, "ascending") for key in by])  # a stable sort
    return values.cast(_VALUES).take(order).combine_chunks()


def whole_runs(study: Path) -> int:
    """How many finished runs an archive has, after comparing the numbers of every run with its digest.

    Raises:
        AnalysisError: it cannot be read, or is not what was published.
    """
    runs, values = _read(study)
    numbers = dict(iter(values.to_pandas().astype({"metric": str}).groupby("run")))
    for line in runs.to_dict("records"):
        _check_digest(study, line, numbers[line["run"]][[names.ENV_STEP, "metric", "value"]])
    return int((runs["state"] == FINISHED).sum())


class ArchiveSource:
    """Published runs of a study's folder, or of a folder of several studies; one segment each."""

    readers = 1
    cache_dir: Path | None = None

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, str(root)

    def references(self) -> list[Reference]:
        """One reference per run; the files are read here, only once.

        Raises:
            AnalysisError: a file cannot be read, or is not what was published.
        """
        found: dict[tuple[str, str], tuple[dict[Any, Any], Reference]] = {}
        for study in studies(self.root):
            runs, values = _read(study)
            owners = values["run"].to_numpy(zero_copy_only=False)
            for line in runs.to_dict("records"):
                start, end = (int(np.searchsorted(owners, line["run"], side)) for side in ("left", "right"))
                reference = _reference(study, line, values.slice(start, end - start).select(VALUES.names))
                there, key = found.get((line["run"], line["origin"])), (line["run"], line["origin"])
                if there is None or _replaces(line, there[0], study):  # the same run may be in two studies
                    found[key] = line, reference
        return [reference for _, reference in found.values()]


def _reference(study: Path, line: dict[Any, Any], values: pa.Table) -> Reference:
    state = line["state"]
    segment = Segment(
        path=f"{study}/{line['run']}",
        in_order=state != CRASHED,
        run_id=line["run"],
        run_key=line["run"],
        origin=line["origin"],
        attempt=int(line["attempts"]),
        config={**json.loads(line["config"]), names.COMMIT: line["commit"]},
        end=FINISHED if state == INCOMPLETE else state if state in _OVER else "",
        why=line["note"] if state == DIVERGED else "",
        values=values,
        gaps=[line["lost_bytes"], *[0] * line["gaps"]][: line["gaps"]],  # their sizes together
    )
    return Reference(segment.path, None, lambda: segment)
