"""`python -m benchmarks.parity FOLDER`: compare a folder's golden cases, as one table; exit code 1 if a row differs."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from benchmarks.parity.cases import Case
from benchmarks.parity.compare import differences

HERE = Path(__file__).parents[2] / "tests" / "parity"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="of *.json and *.npz; default: %(default)s")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    cases = [case for path in sorted(folder.glob("*.json")) for case in Case.of(path)]
    if not cases:
        parser.error(f"no *.json in {folder}")
    rows = [row for case in cases for row in differences(case)]
    table = pd.DataFrame(
        [[r.case, r.quantity, f"{r.worst:.1e}", f"{r.tolerance:.0e}", "yes" if r.equal else "NO"] for r in rows],
        columns=["case", "quantity", "worst difference", "allowed", "equal"],
    )
    print(table.to_markdown(index=False))
    wrong = sum(not row.equal for row in rows)
    print(f"\n{len(cases)} cases, {len(rows)} rows, {wrong} not equal")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
