# The commands of the project. `make demo` and `make test` set up all they need on a Linux machine that has Python 3.11,
# make, a JDK 17, Maven, root and the package registries.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench soak soak-moves soak-tail brokers screenshots lock

demo: .venv/ready
	$(BIN)/workbench demo

# Most tests wait for a broker most of their time, so there are more workers than processors.
test: .venv/ready
	$(BIN)/python -m tests.brokers --install
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile $(PYTEST_ARGS)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m tests.brokers --install
	$(BIN)/python -m tests.benchmarks.store
	$(BIN)/python -m tests.benchmarks.numbers
	$(BIN)/python -m tests.benchmarks.rabbitmq --million --queues
	$(BIN)/python -m tests.benchmarks.moves --million
	$(BIN)/python -m tests.benchmarks.kafka
	$(BIN)/python -m tests.benchmarks.trace
	$(BIN)/python -m tests.benchmarks.tail
	$(BIN)/python -m tests.benchmarks.cluster
	$(BIN)/python -m tests.benchmarks.watching
	$(BIN)/python -m tests.benchmarks.demo
	$(BIN)/python -m tests.benchmarks.start_up
	$(BIN)/python -m tests.benchmarks.first_paint
	$(BIN)/python -m tests.benchmarks.screen

# 200,000 random inputs at the demo, then 50 kills of a move between topics; SOAK_ARGS="--seed 7 --pace 0.06 kafka/orders"
# and the like change what is sent to what.
soak: .venv/ready
	$(BIN)/python -u -m tests.e2e.fuzz $(SOAK_ARGS)
	$(BIN)/python -u -m tests.e2e.kill_soak

# 200 moves on RabbitMQ whose program is killed at random, and ten whose broker is; SOAK_ARGS="--seed 7" repeats one.
soak-moves: .venv/ready
	$(BIN)/python -m tests.brokers --install
	$(BIN)/python -u -m tests.rabbitmq.soak_moves $(SOAK_ARGS)

# Ten minutes of a tail over three nodes of Kafka and of RabbitMQ, at 4,000 events a second, while the program is stopped
# for a minute and the nodes are restarted; SOAK_ARGS="--minutes 60" for an hour.
soak-tail: .venv/ready
	$(BIN)/python -m tests.brokers --install
	$(BIN)/python -u -m tests.e2e.soak_tail $(SOAK_ARGS)

# The README's pictures, drawn anew from the demo.
screenshots: .venv/ready
	$(BIN)/python -m tests.views.scenes

brokers: .venv/ready
	$(BIN)/python -m tests.brokers

# Newest versions that fit pyproject.toml, with the hashes of their files and no address of where they came from.
lock: .venv/ready
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --no-header --extra dev --output-file requirements.lock pyproject.toml

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is older than Python 3.11; name another one, make PYTHON=python3.11." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || \
	  { echo "make: $(PYTHON) cannot make environments; install its venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
