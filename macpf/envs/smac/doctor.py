"""`make starcraft-doctor`: whether the real game can be played on this machine, and if not, what to type."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

from macpf.envs.smac.installation import PROTOBUF_SWITCH, Check, build, maps, package, protobuf_environment, sc2path


def protobuf() -> Check:
    """Whether the game's messages can be read, tried in a process with the environment of the game processes."""
    fix = f"type: pip install s2clientprotocol, then pip install 'protobuf<3.21' or export {PROTOBUF_SWITCH}=python"
    extra = protobuf_environment()
    command = [sys.executable, "-c", "import s2clientprotocol.sc2api_pb2"]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(command, env=os.environ | extra | {"PYTHONPATH": path}, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = next((line for line in reversed(lines) if "Error" in line), f"exit code {done.returncode}")
        return Check("protobuf", False, f"the game's messages cannot be read: {reason}", fix)
    how = "; game processes read messages in plain Python, which is slower" if extra else ""
    return Check("protobuf", True, f"{importlib.metadata.version('protobuf')}{how}", fix)


def main() -> int:
    """Print a line for each thing the game needs.

    Returns:
        The exit code: 0 if all checks pass, else 1.
    """
    checks = [look() for look in (package, sc2path, build, maps, protobuf)]
    for check in checks:
        print(f"{'ok' if check.fine else 'missing':<8}{check.name:<9}{check.found}")
        if not check.fine:
            print(f"{'':<17}fix: {check.fix}")
    return 0 if all(check.fine for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
