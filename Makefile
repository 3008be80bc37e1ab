# Everything runs in .venv, which is made once and remade when what it is made from changes.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Tests start some hundred processes; each would compile every module anew where Python may not keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long test-engines test-postgres docs test-pre kills bench-page bench-group bench-start bench-harvest bench-query fuzz bench-headers bench-sync lint format clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mastlake needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/mastlake demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# What takes longer than a person waits for, and more histories for each law.
test-long: $(READY)
	MASTLAKE_EXAMPLES=3 $(BIN)/python -m pytest -n 2 --dist worksteal -m "(long or law) and not elsewhere"

# What test-long leaves out on two engines: lakes with their metadata in DuckDB, and lakes with their rows in a bucket.
test-engines: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m elsewhere

# The tests that need PostgreSQL's programs, which make test-long runs too: they start a server of their own.
test-postgres: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m postgres

# The pages, in docs/_build/html. A warning is an error, and nothing is fetched.
docs: $(READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

# Two hundred and fifty harvests, most of them killed before they end; a hundred of syncs of 500 files, each followed by another sync;
# two hundred and forty commands that meet Ctrl-C or a full disk; forty upgrades of an older catalog; a hundred publishers;
# eight readers beside a hundred commits to one file; a hundred committers, upkeeps and servers of a lake in PostgreSQL; and sixty processes, workers and schedulers while headers are read.
kills: $(READY)
	$(BIN)/python -m tests.kills_harvest 250
	$(BIN)/python -m tests.kills_sync 100
	$(BIN)/python -m tests.kills_own 100
	$(BIN)/python -m tests.kills_commands 240
	$(BIN)/python -m tests.kills_migration 40
	$(BIN)/python -m tests.kills_publish 100
	$(BIN)/python -m tests.kills_turns 100 8
	$(BIN)/python -m tests.kills_copy 12
	$(BIN)/python -m tests.kills_lake 100
	$(BIN)/python -m tests.kills_executors 60

bench-harvest: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_harvest

# Some 25 minutes, 16 GB of memory, and 3 GB of disk for as long as it runs.
bench-query: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_query 1000000
	$(BIN)/python -m tests.benchmarks.bench_query 10000000

# A million mutated headers against astropy: no crash, no hang, no disagreement; thousands of mutated files drawn; ten
# thousand spoilt answers of an archive: no traceback, memory within a bound, no other row lost; and five thousand hostile
# addresses of the page: no error, no markup that comes back, no file from elsewhere.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz_headers
	$(BIN)/python -W error -m tests.fuzz_pictures
	$(BIN)/python -m tests.fuzz_answers 10000
	$(BIN)/python -m tests.fuzz_page 5000

# The header index against astropy and a bare scan, and the processes of this machine against two workers of Dask.
bench-headers: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_headers
	$(BIN)/python -m tests.benchmarks.bench_executors
	$(BIN)/python -m tests.benchmarks.bench_drift

# Downloads against aria2c, curl and astroquery (aria2 must be installed), and a plan over a million products.
bench-sync: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_sync
	$(BIN)/python -m tests.benchmarks.bench_plan

# Tests of the archive's client against astroquery's pre-release, which lies beside the environment's own.
test-pre: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --timeout 10 --retries 1 --no-deps --pre --upgrade --target .venv/pre astroquery
	PYTHONPATH=.venv/pre $(BIN)/python -m pytest -n 0 -q -W default tests/test_archive.py

# Whole processes of short questions against plain DuckDB on the same file.
bench-start: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_start

# The find page against datasette on the same rows; pip install datasette brings it.
bench-page: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_page 1000000

# A catalog for a group: publishing it, the first answers over HTTP, and what follows after a small run; and one catalog on each engine.
bench-group: $(READY)
	$(BIN)/python -m tests.benchmarks.bench_group $(or $(FILES),1000000)
	$(BIN)/python -m tests.benchmarks.bench_engines $(or $(FILES),1000000)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy docs/generate
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build docs/_build docs/generated *.egg-info
