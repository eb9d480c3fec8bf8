# The commands a user needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= outputs
FIGURES ?= figures
# For reproduce-...: LAUNCHER=local|slurm|slurm_gpu|slurm_preemptible, BUDGET=paper|laptop|archive|smoke, SEEDS=5,
# BACKEND=embedded|starcraft, YES=1, WAIT=1, and ARGS for run.py, e.g. ARGS="hydra.launcher.partition=short".
BUDGET ?= paper
.DEFAULT_GOAL := help
.PHONY: help install demo figure4 report figures status test lint test-learning test-long test-mutants test-cuda test-faults test-slurm test-packaging bench parity starcraft-doctor docs site clean

help: ## list the commands
	@grep -hE '^[a-z0-9%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## create .venv with the pinned packages

# The first seed is trained and drawn first, so that there soon is a figure. `make reproduce-figure4` adds the other two.
demo: install ## train MACPF and the baselines on the matrix game (21 runs), draw Figure 4, win a SMAC battle
	$(BIN)/python run.py -m +experiment=figure4 seed=0 "outputs=$(RUNS)"
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"
	$(BIN)/python run.py -m +experiment=figure4 seed=1,2 "outputs=$(RUNS)"
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"
	$(BIN)/python run.py -m +experiment=battle "outputs=$(RUNS)"
	$(BIN)/python -m analysis curves battle --runs "$(RUNS)" --out "$(FIGURES)"

figure4: install ## draw Figure 4 from existing logs
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"

reproduce-%: install ## table1, table2, figure1 ... figure9 or all: plan the runs, train what is missing, draw
	$(BIN)/python -m macpf.runs.reproduce $* --runs "$(RUNS)" --out "$(FIGURES)" --budget $(BUDGET) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BACKEND),--backend $(BACKEND)) \
	  $(if $(YES),--yes) $(if $(WAIT),--wait) $(ARGS)

plan-%: install ## say what reproduce-... would train and what it would cost, but train nothing
	$(BIN)/python -m macpf.runs.reproduce $* --dry-run --runs "$(RUNS)" --budget $(BUDGET) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

verify-%: install ## table1-best or another claim: train what it needs and test it; exit code 0, 1, or 3 (undecided)
	@$(BIN)/python -m analysis verify $* --runs "$(RUNS)" --budget $(BUDGET) $(if $(BACKEND),--backend $(BACKEND)) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(YES),--yes) $(if $(WAIT),--wait) \
	  --out "$(FIGURES)" $(ARGS)

report: install ## one HTML page with all results of the runs: figures/report.html
	$(BIN)/python -m analysis report --runs "$(RUNS)" --out "$(FIGURES)/report.html"

figures: install ## draw all figures from the published runs in results/, without training or network
	$(BIN)/python -m analysis figures --out "$(FIGURES)"

status: install ## list which runs are finished, running, failed, killed or missing
	$(BIN)/python -m analysis status --runs "$(RUNS)"

test: install lint ## style, types, import rules and the fast tests
	$(BIN)/pytest -n auto --dist worksteal -m 'not learning and not long and not faults and not slurm and not packaging'

lint: install ## style, types and import rules only (ruff, mypy, import-linter)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test-learning: install ## train to convergence on the matrix game with several seeds
	$(BIN)/pytest -m learning

test-long: install ## all combinations of algorithm, map and damage; `make test` runs a sample of them
	$(BIN)/pytest -n auto --dist worksteal -m long

test-mutants: install ## change single operators and numbers of the code; the tests must notice 95 % of the changes
	$(BIN)/python -m benchmarks.mutants

test-cuda: install ## the tests that need a CUDA device, and the tables of docs/speed.md
	$(BIN)/pytest -m cuda tests/accelerator tests/runs/test_placement.py tests/runs/test_resume.py
	$(BIN)/python -m benchmarks.cuda

test-faults: install ## 60 kills at random moments, damaged files, full disks, lost servers (some need root)
	$(BIN)/pytest -m faults -s

test-slurm: install ## sweeps and faults with a real SLURM on this machine (needs root and slurm-wlm)
	$(BIN)/pytest -m slurm tests/slurm

test-packaging: install ## install each extra into a clean environment and try it (needs PyPI; some minutes)
	$(BIN)/pytest -m packaging -s tests/packaging

bench: install ## measure the speed of updates, acting, replay and environments
	$(BIN)/pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-sort=name

parity: install ## compare updates with the authors' code; GOLDEN=<folder> for other golden files
	$(BIN)/python -m benchmarks.parity $(GOLDEN)

starcraft-doctor: install ## check whether the real StarCraft II can be used here, and say what is missing
	$(BIN)/python -m macpf.envs.smac.doctor

docs: install ## regenerate docs/hyperparameters.md from conf/
	$(BIN)/python -m analysis hyperparameters

site: install ## build the documentation as a website in site/; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean: ## remove .venv and caches; keep runs and figures
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks *.egg-info build
