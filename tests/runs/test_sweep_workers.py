"""A worker of a sweep composes what the sweep has checked."""

import pickle
import subprocess
import sys
from pathlib import Path

from macpf.yaml_files import FileConfigSource

ROOT = Path(__file__).parents[2]


def test_a_worker_knows_where_its_configuration_lies(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pickle.dumps(FileConfigSource("main", f"file://{ROOT}/conf")))
    code = f"import pickle; from macpf.configuration import task; pickle.load(open({str(path)!r}, 'rb')); "
    code += "print(task('macpf_control', 'matrix_game', 'p0_12'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "macpf/matrix_game"
