"""One process at a time works in a run folder, and what it says there is always whole."""

import json
import os

import pytest

from macpf.records.run_state import FINISHED
from macpf.runs.errors import RunRefused
from macpf.runs.folder import RunFolder


def test_a_run_held_by_another_process_is_refused_with_its_holder(tmp_path, hold):
    holder = hold(tmp_path)
    with pytest.raises(RunRefused, match=f"process {holder.pid} on host"), RunFolder(tmp_path).lock():
        pass
    holder.kill()  # however the holder ends, the lock goes with it
    holder.wait()
    with RunFolder(tmp_path).lock():
        pass


def test_the_status_is_read_back_and_half_a_file_is_no_status(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.status() == {}
    folder.write_status(FINISHED, score={"independent": 8.0})
    assert folder.status()["state"] == FINISHED
    assert folder.status()["pid"] == os.getpid()
    assert folder.status()["score"] == {"independent": 8.0}
    (tmp_path / "status.json").write_text(json.dumps(folder.status())[:20])
    assert folder.status() == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunRefused, match="cannot write in"), RunFolder(tmp_path / "run").lock():
        pass


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunRefused, match="cannot write in"), RunFolder(tmp_path / "run" / "seed=0").lock():
        pass
