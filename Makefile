# The two commands of the README are `make demo` and `make test`. Both install into .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The extra `curvature` without torchvision, which it asks for and does not need: one for another build of torch would
# break Lightning.
ORACLE := curvlinops-for-pytorch backpack-for-pytorch einconv einops linear_operator opt_einsum unfoldNd
export OMP_NUM_THREADS := 1

.PHONY: demo test system lint clean

demo: $(VENV)/installed
	$(BIN)/reslab train experiment=degradation_digits
	$(BIN)/reslab report experiment=degradation_digits

test: system $(VENV)/installed-dev lint
	$(BIN)/pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the tests need from Debian's packages, installed where we are root: a compiler for torch.compile, a browser and
# a font for the report's page,
# a SLURM to run sweeps on, and ip for two hosts in network namespaces. No daemon is started.
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=""; \
		command -v g++ >/dev/null || missing="g++"; \
		command -v chromium >/dev/null || missing="$$missing chromium fonts-dejavu-core"; \
		command -v slurmctld >/dev/null || missing="$$missing slurmctld"; \
		command -v slurmd >/dev/null || missing="$$missing slurmd"; \
		command -v sbatch >/dev/null || missing="$$missing slurm-client"; \
		command -v munged >/dev/null || missing="$$missing munge"; \
		command -v ip >/dev/null || missing="$$missing iproute2"; \
		if [ -n "$$missing" ]; then \
			policy=/usr/sbin/policy-rc.d; \
			if [ ! -e $$policy ]; then printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; ours=$$policy; fi; \
			apt-get update -qq && \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
			code=$$?; rm -f $$ours; exit $$code; \
		fi; \
	fi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache dist build

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt $(ORACLE)
	touch $@
