#!/bin/sh
# Install aiolibdatachannel, beside which `python -m tests.bench.wires` measures, into .aiolibdatachannel/ of the
# repository: a virtual environment of its own, for it wants Python 3.12 or later. Where there is none it says so.
set -eu

cd "$(dirname "$0")/.."
wanted="aiolibdatachannel==2026.10.15"
if [ -x .aiolibdatachannel/bin/python ]; then
    echo "bench-deps: everything is here"
    exit 0
fi
for version in 3.13 3.12; do
    for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
        if "$python" -c "" 2>/dev/null; then
            "$python" -m venv .aiolibdatachannel
            if .aiolibdatachannel/bin/pip install --quiet --disable-pip-version-check "$wanted"; then
                exit 0
            fi
            rm -r .aiolibdatachannel
        fi
    done
done
echo "bench-deps: no Python 3.12 or 3.13 with $wanted here; the bench goes on without it" >&2
