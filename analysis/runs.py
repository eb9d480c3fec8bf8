"""Load all runs into one tidy frame: stitch the attempts at each run, and find out how complete each run is."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis import AnalysisError
from analysis.cache import read_through
from analysis.local_source import LocalSource
from analysis.parser import SERVER
from analysis.run_facts import IDENTITY, identity, integer, lacking
from analysis.server_source import ServerSource
from analysis.sources import Reference, Segment, Source, studies
from macpf import names
from macpf.choices import choices
from macpf.records.numbering import SHOWN, missing

FINISHED, INCOMPLETE, SHORT, CRASHED, NO_DATA = "finished", "incomplete", "short", "crashed", "no data"
DIVERGED, UNTRAINED = "diverged", "untrained"
#: States of unfinished runs that can be counted on request.
_PARTIAL = (INCOMPLETE, SHORT, CRASHED)

#: Metrics that say how complete a run is.
_COUNTS = (names.EVALUATION, names.EVALUATION_AFTER, names.UPDATES)
#: What is alike in runs that differ only in their seeds, and in settings that no name tells.
_KIND = [key for key in IDENTITY if key != names.SEED]
#: Columns of the frame with few values, which are stored once.
_FEW = (names.ENV, names.BACKEND, names.BUDGET)
FRAME_COLUMNS = ["run", *IDENTITY, names.ENV_STEP, "metric", "value"]
REPORT_COLUMNS = [
    *("run", *IDENTITY, names.ENV_STEP, "total", "found", "expected", "attempts", "gaps", "lost_bytes", "nan"),
    *("state", "counts", "commit", "origin", "note"),
]


@dataclass(frozen=True)
class Runs:
    """All runs of a source.

    Attributes:
        frame: one line per logged number, ordered by run and env_step: run, algo, map (str), env, backend, budget
            (categories), seed (int), env_step (int), metric (str), value (float; NaN and infinities are kept).
        report: one line per run, also for runs without a single row: run, algo, env, map, backend, budget, seed (-1 if
            unknown), env_step (of the last row, -1 without rows), total (env steps of the budget, -1 if unknown),
            found and expected (evaluations; expected is -1 for runs made before rows were numbered), attempts, gaps
            (damaged parts of the logs) and lost_bytes in them, nan (values that are NaN or infinite), state, counts
            (whether it enters means), commit (of all attempts), origin, note (what else is wrong: an unreadable log, a
            config that lacks something, a second configuration or origin, why it diverged; empty if nothing is).
        configs: per run, W&B's config of its last attempt that wrote one.
        left_out: for each run whose values could not be used, the reason.
        excluded: the texts given to `without`.

    The states: ``finished`` reached its budget with every evaluation; ``incomplete`` reached it, but evaluations are
    missing; ``diverged`` met a NaN or infinite number; ``untrained`` made no update; ``short`` was stopped in order
    before its end; ``crashed`` has no exit code or one of a failure, and a run that is still active looks the same;
    ``no data`` has no usable row. Only finished runs count, but see `with_incomplete`.
    """

    frame: pd.DataFrame
    report: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    left_out: dict[str, str] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()

    def with_incomplete(self) -> "Runs":
        """The same runs, but incomplete, short and crashed ones count as well; diverged and untrained ones never do."""
        return replace(self, report=self.report.assign(counts=self.report["state"].isin((FINISHED, *_PARTIAL))))

    def only(self, report: pd.DataFrame) -> Self:
        """Only the runs in these lines of the report."""
        kept = set(report["run"])
        whole = len(kept) == len(self.report)
        return replace(
            self,
            frame=self.frame if whole else self.frame[self.frame["run"].isin(kept)],
            report=report,
            configs={run: config for run, config in self.configs.items() if run in kept},
            left_out={run: why for run, why in self.left_out.items() if run in kept},
        )

    def without(self, texts: Sequence[str]) -> "Runs":
        """Without the runs whose key contains one of these texts; ``-s1`` does not match ``-s10``.

        Raises:
            AnalysisError: no run is left.
        """
        if not texts:
            return self
        unwanted = "|".join(re.escape(text) + (r"(?!\d)" if text[-1:].isdigit() else "") for text in texts)
        kept = self.report[~self.report["run"].str.contains(unwanted).to_numpy(dtype=bool)]
        if kept.empty:
            raise AnalysisError(f"no run is left without {', '.join(texts)}: leave out less with --exclude")
        return replace(self.only(kept), excluded=tuple(texts))

    @property
    def warning(self) -> str:
        """How many runs have values that are left out, and the reason for the first; empty if there are none."""
        if not self.left_out:
            return ""
        run, why = next(iter(self.left_out.items()))
        count = f"{len(self.left_out)} run{'s' if len(self.left_out) > 1 else ''}"
        return f"values of {count} are left out, see `python -m analysis completeness`; {run}: {why}"


def short_commits(commits: "pd.Series[Any]") -> list[str]:
    """The commits in a column of `Runs.report`, shortened, each once; ``+`` marks uncommitted changes."""
    texts = commits.dropna().astype(str)
    whole = (commit for text in texts for commit in text.split())
    return list(dict.fromkeys(commit[:9] + "+" * commit.endswith("-dirty") for commit in whole))


#: What two runs are that `begun_twice` returns, for messages.
BEGUN_TWICE = "are one run begun by two people, or twice"


def begun_twice(report: pd.DataFrame) -> list[str]:
    """Two runs of a report (sorted by run) that have one key and two origins; empty if there are none."""
    return report["run"][report["run"].str.split("@").str[0].duplicated(keep=False)].tolist()[:2]


def load_runs(source: Source | Path | str, metrics: str = "") -> Runs:
    """Load every run of a source, of the folder at a path, or of ``wandb:entity/project``.

    The frame holds only metrics that begin with `metrics`; the report takes all into account.

    Raises:
        AnalysisError: there is no such folder or project, it holds no run, or the server does not return all of it.
    """
    if isinstance(source, Path | str):
        text = str(source)
        source = ServerSource(text.removeprefix(SERVER)) if text.startswith(SERVER) else _on_disk(Path(source))

    def read(reference: Reference) -> Segment:
        segment = read_through(reference, source.cache_dir)
        return replace(segment, values=_needed(segment.values, metrics)) if metrics else segment

    references = source.references()
    if source.readers == 1:
        attempts = _by_run(map(read, references))
    else:
        with ThreadPoolExecutor(source.readers) as pool:
            attempts = _by_run(pool.map(read, references))
    if not attempts:
        raise AnalysisError(
            f"no runs in {source.place}: make some with `make demo` or `python run.py -m +experiment=figure4`, "
            "or say where they are with --runs"
        )
    parts, lines, configs, left_out = [], [], {}, {}
    for run in sorted(attempts):
        segments = attempts.pop(run)  # frees their values
        # By attempt number before time: attempts may have run on machines whose clocks disagree.
        ordered = sorted(segments, key=lambda segment: (segment.attempt, segment.start_time, segment.path))
        configs[run], values, why = _joined(ordered)
        if why:
            left_out[run] = why
        line = {**identity(configs[run]), **_completeness(ordered, values, configs[run])}
        ends = [segment.why for segment in ordered if segment.why]
        lines.append({"run": run, **line, "note": "; ".join(filter(None, (why, *ends[-1:])))})
        if metrics:
            values = values.filter(pa.array(_lines(values, lambda metric: metric.startswith(metrics))))
        parts.append(values)
    report = pd.DataFrame(lines, columns=REPORT_COLUMNS)
    report["note"] = _remarks(report)
    return Runs(_frame(parts, report), report, configs, left_out)


def _lines(values: pa.Table, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Which lines are of a metric that is wanted."""
    column = values["metric"].unify_dictionaries().combine_chunks()
    known = np.array([wanted(metric) for metric in column.dictionary.to_pylist()], dtype=bool)
    return known[column.indices.to_numpy()]


def _needed(values: pa.Table, metrics: str) -> pa.Table:
    """Only the lines of metrics that begin so, and those that decide how complete a run is."""
    kept = _lines(values, lambda metric: metric.startswith(metrics) or metric in _COUNTS)
    first = np.diff(values["row"].to_numpy(), prepend=-1) != 0
    return values.filter(pa.array(kept | first | ~np.isfinite(values["value"].to_numpy())))


def _on_disk(path: Path) -> Source:
    """Logs below a folder, or published runs.

    Raises:
        AnalysisError: it holds both, or a damaged archive.
    """
    if not (found := studies(path)):
        return LocalSource(path)
    if logs := LocalSource(path).references():
        raise AnalysisError(
            f"{path} holds logs of runs ({logs[0].name}) and a published study ({found[0].name}), whose runs may be "
            "the same: name the folder of one of them with --runs"
        )
    from analysis.archive import ArchiveSource  # imported here, as it imports `Runs`

    return ArchiveSource(path)


def _by_run(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    """The attempts at each run, without evaluations made after training.

    Two origins of one key are two runs; the origin is then appended to each key.
    """
    by_key: dict[str, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for segment in segments:
        if segment.run_id.startswith(names.EVALUATE):
            continue
        by_key[segment.run_key][segment.origin[:SHOWN]].append(segment)
    runs = {}
    for key, origins in by_key.items():
        for origin, attempts in origins.items():
            runs[key if len(origins) == 1 else f"{key}@{origin or 'unknown'}"] = attempts
    return runs


def _joined(attempts: list[Segment]) -> tuple[dict[str, Any], pa.Table, str]:
    """The config and the values of a run, and why values are left out (empty if none are)."""
    # The newest attempt that wrote its config; one that has just begun may have written nothing.
    config = next((s.config for s in reversed(attempts) if s.config.get(names.RUN_KEY)), attempts[-1].config)
    notes = [segment.trouble for segment in attempts if segment.trouble]
    values = stitch([segment.values for segment in attempts])
    if missing := lacking(config):
        if len(values) or not set(config) <= {*IDENTITY}:  # else it just began; only its path is known
            notes.append(missing)
        values = values.slice(0, 0)  # it is unknown what these numbers belong to
    return config, values, "; ".join(notes)


def stitch(attempts: Sequence[pa.Table]) -> pa.Table:
    """Join the values (`Segment.values`) of a run's attempts, oldest first: env_step (increasing), metric, value.

    An attempt resumes from a checkpoint and logs the rows after it again. Whenever env_step does not increase, the
    newer row therefore replaces all earlier rows with that env_step or a later one. Whole rows are replaced, never
    single metrics, so that no row mixes two attempts.
    """
    values = pa.concat_tables(attempts)
    steps, rows = values[names.ENV_STEP].to_numpy(), values["row"].to_numpy()
    attempt = np.repeat(np.arange(len(attempts)), [len(table) for table in attempts])
    first = np.flatnonzero((np.diff(rows, prepend=-1) != 0) | (np.diff(attempt, prepend=-1) != 0))
    # A row survives if every later one has a larger env_step.
    smallest = np.minimum.accumulate(steps[first][::-1])[::-1]
    survives = np.append(steps[first][:-1] < smallest[1:], [True] * (len(first) > 0))
    lines = np.repeat(survives, np.diff(first, append=len(steps)))
    kept = values.select([names.ENV_STEP, "metric", "value"])
    return kept if lines.all() else kept.filter(pa.array(lines))


def _frame(parts: Sequence[pa.Table], report: pd.DataFrame) -> pd.DataFrame:
    """All values in one frame, each with the identity of its run; `parts` has a table for each line of the report."""
    values = pa.concat_tables(parts).unify_dictionaries()
    run = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]))
    columns = {}
    for key in ("run", *IDENTITY):
        of_runs = pa.array(report[key].to_numpy(), pa.int64() if key == names.SEED else pa.large_string())
        columns[key] = (of_runs.dictionary_encode() if key in _FEW else of_runs).take(run)
    columns |= {key: values[key] for key in (names.ENV_STEP, "value")}
    columns["metric"] = values["metric"].cast(pa.large_string())
    return pa.table(columns).select(FRAME_COLUMNS).to_pandas().astype({"metric": "str"})


def _remarks(report: pd.DataFrame) -> list[str]:
    """The notes of the report, with problems that only show in comparison with other runs or with conf/."""
    known, logged = choices("algo"), report["state"] != NO_DATA
    alike = report[logged].assign(kind=report["run"].map(names.configuration)).groupby(_KIND)["kind"]
    kinds = alike.transform("nunique").reindex(report.index, fill_value=1)
    notes = []
    for run, algo, has_data, count, note in zip(
        report["run"], report[names.ALGO], logged, kinds, report["note"], strict=True
    ):
        key, at, _ = run.partition("@")
        told = [
            note,
            f"unknown algorithm: there is no conf/algo/{algo}.yaml" if has_data and algo not in known else "",
            f"one of several origins of {key}" if at else "",
            f"one of {count} configurations of {algo} here" if count > 1 else "",
        ]
        # A published run's note may hold these remarks already.
        notes.append("; ".join(dict.fromkeys("; ".join(filter(None, told)).split("; "))))
    return notes


def _completeness(attempts: list[Segment], values: pa.Table, config: dict[str, Any]) -> dict[str, Any]:
    last = int(values[names.ENV_STEP][-1].as_py()) if len(values) else -1
    total, expected = integer(config, names.TOTAL_ENV_STEPS), integer(config, names.EVALUATIONS)
    logged = values["value"].to_numpy()
    counted = (logged[_lines(values, count.__eq__)] for count in _COUNTS)
    numbers, before, updates = (counts[np.isfinite(counts)].astype(np.int64).tolist() for counts in counted)
    found = len(numbers) if expected > 0 else len(pc.unique(values[names.ENV_STEP]))
    lost = missing(zip(numbers, before, strict=False), expected) if expected > 0 else 0
    gaps = [gap for segment in attempts for gap in segment.gaps]
    nan = int((~np.isfinite(logged)).sum())
    end = next((segment.end for segment in reversed(attempts) if segment.end), "")
    reached = end or (numbers[-1] == expected - 1 if numbers else 0 < total <= last)
    if last < 0:
        state = NO_DATA
    elif end == DIVERGED or nan:
        state = DIVERGED
    elif reached and (end == UNTRAINED or updates[-1:] == [0]):
        state = UNTRAINED
    elif reached:
        state = INCOMPLETE if lost or (expected < 0 and gaps) else FINISHED
    else:
        state = SHORT if attempts[-1].in_order else CRASHED
    commits = dict.fromkeys(str(s.config[names.COMMIT]) for s in attempts if s.config.get(names.COMMIT))
    return {
        names.ENV_STEP: last,
        "total": total,
        "found": found,
        "expected": found + lost if expected > 0 else -1,
        "attempts": max(len(attempts), attempts[-1].attempt),  # a server joins them
        "gaps": len(gaps),
        "lost_bytes": sum(gaps),
        "nan": nan,
        "state": state,
        "counts": state == FINISHED,
        "commit": " ".join(commits),
        "origin": max((segment.origin for segment in attempts), key=len),
    }
