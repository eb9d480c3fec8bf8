"""Runs in a folder of this machine."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis import AnalysisError
from analysis.sources import Reference, Segment
from macpf import names
from macpf.records.wandb_file import read_wandb_file

#: Exit codes of a process that ended, or was asked to stop (SIGINT, SIGTERM) and saved its state first.
_IN_ORDER = (0, 128 + 2, 128 + 15)


class LocalSource:
    """Every offline or online W&B run below a folder, such as ``outputs``.

    Raises:
        AnalysisError: the folder does not exist or cannot be read.
    """

    #: Decoding takes almost all the time, and threads do not speed it up.
    readers = 1

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise AnalysisError(
                f"no folder {root}: make runs with `make demo` or `python run.py -m +experiment=figure4`, "
                "or name their folder with --runs"
            )
        self.root, self.place = root, str(root)
        #: In the runs' folder, so that deleting the runs deletes the cache.
        self.cache_dir: Path | None = root / ".analysis-cache"

    def references(self) -> list[Reference]:
        """One reference per ``.wandb`` file, whose fingerprint changes when it does; and one per unreadable folder."""
        closed: list[OSError] = []
        found = [self._reference(path) for path in self._files(closed)]
        found += [self._reference(Path(error.filename), error) for error in closed]
        return sorted(found, key=lambda reference: reference.name)

    def _files(self, closed: list[OSError]) -> Iterator[Path]:
        """Find all logs; errors of unreadable folders are added to `closed`.

        Links to folders are not followed: W&B's `latest-run` would count the newest attempt twice.
        """
        for folder, folders, files in os.walk(self.root, onerror=closed.append):
            if "run-" in os.path.basename(folder):
                logs = [name for name in (*files, *folders) if name.startswith("run-") and name.endswith(".wandb")]
                if logs:
                    folders.clear()  # a W&B run's other folders are not searched
                yield from (Path(folder, name) for name in logs)

    def _reference(self, path: Path, closed: OSError | None = None) -> Reference:
        name = path.relative_to(self.root).as_posix()
        if closed is not None:
            return Reference(name, None, lambda: _unreadable(path, closed))
        try:
            stat = path.stat()
            # ctime is the time of the last change of any kind, and nobody can set it.
            fingerprint = f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        except OSError:  # reading it will say why
            fingerprint = None
        return Reference(name, fingerprint, lambda: _read_segment(path))


def _read_segment(path: Path) -> Segment:
    try:
        file = read_wandb_file(path)
    except (OSError, ValueError, LookupError) as error:
        return _unreadable(path, error)
    # A new file may still be empty; its name and its folder then identify the run.
    run_id, config = file.run_id or path.stem.removeprefix("run-"), file.config or _config_from_folder(path)
    in_order = file.preempting or file.exit_code in _IN_ORDER
    more = {"start_time": file.start_time, "gaps": [gap.size for gap in file.gaps]}
    return Segment.of(str(path), in_order, run_id, config, file.rows, file.final, **more)


def _unreadable(path: Path, error: Exception) -> Segment:
    """The segment of a log, or of a folder of logs, that cannot be read: its path identifies the run."""
    run_id = path.stem.removeprefix("run-") if path.suffix == ".wandb" else str(path)
    trouble = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    return Segment.of(str(path), False, run_id, _config_from_folder(path), trouble=trouble)


def _config_from_folder(path: Path) -> dict[str, Any]:
    """The identity in a path below ``<env>/<map>/<algo>/<config hash>/seed=<k>``; {} if it is not such a path."""
    match = re.search(r"([^/]+)/([^/]+)/([^/]+)/[^/]+/seed=(\d+)(/|$)", path.as_posix())
    if match is None:
        return {}
    env, map_, algo, seed, _ = match.groups()
    return {names.ENV: env, names.MAP: map_, names.ALGO: algo, names.SEED: int(seed)}
