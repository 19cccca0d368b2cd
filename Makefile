# Every target works on a fresh machine with Python 3.11 or newer: the first creates .venv.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: precision comparison example package lowest newest site browser docs-figures screens contract same release demo test mutants storm short-storm check test-cluster simulate bench bench-quick bench-methods bench-analysis bench-commands docs gpu format clean fuzz doctor-bench

demo: .venv/ready          ## a whole round on scikit-learn's digits, then its table and its report
	$(BIN)/stillhouse run rounds/digits.yaml --root demo
	$(BIN)/stillhouse table rounds/digits.yaml --root demo
	$(BIN)/stillhouse report rounds/digits.yaml --root demo

test: .venv/ready          ## the default tests
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder

browser:                   ## install Debian's chromium, which the tests of the report's page use
	command -v chromium || (apt-get update && apt-get install --yes --no-install-recommends chromium)

contract: .venv/ready      ## docs/contract.md: every method and network in every precision between every pair
	$(BIN)/pytest -n 2 -m "product or not product" tests/training/contract --junitxml build/contract.xml
	$(BIN)/python tools/contract_page.py build/contract.xml

fuzz: .venv/ready          ## 10,000 torn and hostile files; FUZZ_SEED=7 for others
	FUZZ_CASES=10000 $(BIN)/pytest tests/fuzz

short-storm: .venv/ready   ## eight of the storm's faults, in a few minutes
	$(BIN)/pytest -m long tests/storm

storm: .venv/ready         ## a round killed at named points and random moments, full disks and the like, then the fuzzing (STORM="--seed 7")
	PYTHONPATH=tests $(BIN)/python -m storm $(STORM)
	$(BIN)/pytest -n 2 -m long
	$(MAKE) fuzz

mutants: .venv/ready       ## one-line changes that the tests must notice (MUTANT="NAME ..." for some)
	PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANT)

same: .venv/ready          ## train digits by the version BASE and by this one: the same weights? (BASE=COMMIT; FAST=1)
	$(BIN)/python tools/same.py "$(BASE)" $(if $(FAST),--fast)

screens: .venv/ready       ## the main screens of the digits round at 80 and 100 columns: docs/screens.txt
	$(BIN)/stillhouse run rounds/digits.yaml --root demo
	$(BIN)/python tools/screens.py demo > docs/screens.txt

docs-figures: .venv/ready      ## the figures of the digits round that docs/measures.md shows
	$(BIN)/stillhouse run rounds/digits.yaml --root demo
	$(BIN)/stillhouse extract rounds/digits.yaml --root demo
	$(BIN)/stillhouse analyze rounds/digits.yaml --root demo
	$(BIN)/python tools/docs_figures.py demo

comparison: .venv/ready    ## docs/comparison.md from a trained round of all methods, and one of crd_reduced (COMPARED="DIR DIR"; $$STILLHOUSE_DATA)
	$(BIN)/python tools/comparison.py $(COMPARED)

example: .venv/ready       ## docs/example/ and its pages from trained rounds (EXAMPLE_WORKSPACE="DIR ..."; $$STILLHOUSE_ALPHA_RECORDS)
	$(BIN)/python tools/example.py $(EXAMPLE_WORKSPACE)

check: .venv/ready         ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-cluster: .venv/ready  ## a round on a real Slurm of this machine while it is disturbed (root, Debian 12)
	$(BIN)/python tests/cluster/end_to_end.py slurm

simulate: .venv/ready      ## the submit policy on 312 and 10,000 runs: the figures of docs/clusters.md
	$(BIN)/python tests/simulator.py

bench: .venv/ready         ## docs/performance.md: a round against a textbook loop and torchdistill; goes on where it was (BENCH="--only round-cost")
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	PYTHONPATH=. $(BIN)/python -m benchmarks.performance $(BENCH)

bench-quick: .venv/ready   ## some of its ratios again, in under 3 minutes: fails where one fell by more than 25 %
	PYTHONPATH=. $(BIN)/python -m benchmarks.performance --quick $(BENCH)

precision: .venv/ready     ## docs/precision.md: the same rounds in bf16 and fp32 on CIFAR-10 (an hour; PRECISION="FOLDER --seeds 6")
	PYTHONPATH=. $(BIN)/python -m benchmarks.precision $(or $(PRECISION),bench-precision)

bench-methods: .venv/ready ## NST and RKD against their textbook forms: time and peak memory
	$(BIN)/python benchmarks/methods.py

bench-analysis: .venv/ready  ## the default measures on synthetic rounds: time and memory (RUNS="78 156 312 624")
	$(BIN)/python benchmarks/analysis.py $(RUNS)

bench-commands: .venv/ready  ## the commands over rounds of 1,000 and 10,000 finished runs (2.5 GB in bench-commands/)
	PYTHONPATH=. $(BIN)/python -m benchmarks.commands bench-commands

docs: .venv/ready          ## write the pages of docs/ that are generated from the code
	$(BIN)/python tools/docs.py

site: .venv/ready          ## the docs as a site in build/site, with its links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

gpu: .venv/ready           ## checks and ratios on this machine's GPU (GPU="--data-root DIR --budget 600")
	PYTHONPATH=. $(BIN)/python -m benchmarks.gpu $(GPU)

format: .venv/ready        ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

doctor-bench: .venv/ready  ## runs with known causes, and what the doctor says of them
	PYTHONPATH=. $(BIN)/python -m benchmarks.doctor doctor-bench

package: .venv/ready       ## wheel and sdist run the demo outside the checkout
	$(BIN)/python tools/package.py

lowest newest: .venv/ready  ## the quick tests with the lowest or newest versions of all packages (VENV=FOLDER keeps them; about 6 GB)
	$(BIN)/python tools/versions.py $@ $(VENV)

release: .venv/ready       ## check, build and tag a version (VERSION=0.2.0; DRY=1 tags nothing)
	$(BIN)/python tools/release.py "$(VERSION)" $(if $(DRY),--dry-run)

clean:                     ## remove the environment and the demo
	rm -rf .venv demo

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stillhouse needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
