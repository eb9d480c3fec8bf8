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

install: $(VENV)/.installed ## make .venv with the pinned packages

# One seed first, so that there is something to look at after a minute; the other four come after it.
demo: install ## train MACPF and the baselines on the matrix game (35 runs) and draw Figure 4; win a SMAC battle and draw it
	$(BIN)/python run.py -m +experiment=figure4 seed=0 "outputs=$(RUNS)"
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"
	$(BIN)/python run.py -m +experiment=figure4 "outputs=$(RUNS)"
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"
	$(BIN)/python run.py -m +experiment=battle "outputs=$(RUNS)"
	$(BIN)/python -m analysis curves battle --runs "$(RUNS)" --out "$(FIGURES)"

figure4: install ## draw Figure 4 again from the logs
	$(BIN)/python -m analysis figure4 --runs "$(RUNS)" --out "$(FIGURES)"

reproduce-%: install ## table1, table2, figure1 ... figure9 or all: plan its runs, launch what is missing, draw
	$(BIN)/python -m macpf.runs.reproduce $* --runs "$(RUNS)" --out "$(FIGURES)" --budget $(BUDGET) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BACKEND),--backend $(BACKEND)) \
	  $(if $(YES),--yes) $(if $(WAIT),--wait) $(ARGS)

plan-%: install ## the same, but only say what is finished and missing, and what it would cost
	$(BIN)/python -m macpf.runs.reproduce $* --dry-run --runs "$(RUNS)" --budget $(BUDGET) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

verify-%: install ## table1-best or another claim: train what it lacks and judge it; exit code 0, 1, or 3 for undecided
	@$(BIN)/python -m analysis verify $* --runs "$(RUNS)" --budget $(BUDGET) $(if $(BACKEND),--backend $(BACKEND)) \
	  $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(YES),--yes) $(if $(WAIT),--wait) \
	  --out "$(FIGURES)" $(ARGS)

report: install ## everything the runs say, as one HTML page: figures/report.html
	$(BIN)/python -m analysis report --runs "$(RUNS)" --out "$(FIGURES)/report.html"

figures: install ## draw everything that the published runs in results/ show: no training, no network
	$(BIN)/python -m analysis figures --out "$(FIGURES)"

status: install ## what is done, running, failed, killed, missing
	$(BIN)/python -m analysis status --runs "$(RUNS)"

test: install lint ## lint, types, walls between rooms, tests
	$(BIN)/pytest -n auto --dist worksteal -m 'not learning and not long and not faults and not slurm and not packaging'

lint: install ## ruff, mypy and import-linter only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test-learning: install ## does it learn? the matrix game to convergence, several seeds
	$(BIN)/pytest -m learning

test-long: install ## every combination of algorithm, map and damage of which `make test` plays a few
	$(BIN)/pytest -n auto --dist worksteal -m long

test-mutants: install ## does a test fail when one operator or number of the code is changed? 95 % of the changes must be found
	$(BIN)/python -m benchmarks.mutants

test-cuda: install ## on a CUDA device: the tests that need one, then the tables of docs/speed.md
	$(BIN)/pytest -m cuda tests/accelerator tests/runs/test_placement.py tests/runs/test_resume.py
	$(BIN)/python -m benchmarks.cuda

test-faults: install ## 60 SIGKILLs at random moments with zero differences, the whole table of faults, full disks, lost servers (some need root)
	$(BIN)/pytest -m faults -s

test-slurm: install ## sweeps and faults on a real SLURM on this machine (root, Debian's slurm-wlm; fails without)
	$(BIN)/pytest -m slurm tests/slurm

test-packaging: install ## what each extra installs into a clean environment, and that it is enough (PyPI; some minutes)
	$(BIN)/pytest -m packaging -s tests/packaging

bench: install ## speed of updates, acting, replay and environments
	$(BIN)/pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-sort=name

parity: install ## whole updates beside those of the algorithms' own code; GOLDEN=<folder> for other golden files
	$(BIN)/python -m benchmarks.parity $(GOLDEN)

starcraft-doctor: install ## can the real StarCraft II be played here, and if not, what to type
	$(BIN)/python -m macpf.envs.smac.doctor

docs: install ## write docs/hyperparameters.md again from conf/
	$(BIN)/python -m analysis hyperparameters

site: install ## build the documentation as a site in site/; broken links and anchors are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean: ## remove .venv and caches; runs and figures stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks *.egg-info build
