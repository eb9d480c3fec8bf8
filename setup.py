"""What pyproject.toml cannot say: a wheel holds conf, baselines and analysis below macpf/suite, and no name of theirs.

An editable installation leaves all folders where they are.
"""

import sys

from setuptools import find_namespace_packages, setup

EDITABLE = "editable_wheel" in sys.argv
#: Top-level folders that go below `macpf.suite`.
SUITE = ("analysis", "baselines", "conf")
CACHES = ["*.__pycache__", "*.__pycache__.*"]


def found(*folders: str) -> list[str]:
    """The packages in top-level folders."""
    return find_namespace_packages(
        include=[name for folder in folders for name in (folder, f"{folder}.*")], exclude=CACHES
    )


own, moved = found("macpf", "hydra_plugins"), found("analysis", "baselines")
prefix = "" if EDITABLE else "macpf.suite."
setup(
    packages=[*own, *(f"{prefix}{name}" for name in moved), *([] if EDITABLE else ["macpf.suite.conf"])],
    package_dir={} if EDITABLE else {f"macpf.suite.{name}": name for name in SUITE},
    package_data={
        "macpf": ["envs/smac/data/*.json", "runs/pace.csv"],
        f"{prefix}analysis": ["**/*"],
        "macpf.suite.conf": ["**/*.yaml"],
    },
    exclude_package_data={f"{prefix}analysis": ["**/*.pyc"]},
)
