#!/bin/sh
# Make the virtual environment and install the package into it, with everything that
# demo, tests and linters need, at the versions of constraints.txt.
# Usage: install.sh PYTHON VENV
set -eu

python=$1
venv=$2
torch=$(grep '^torch==' constraints.txt)
cpu_index=https://download.pytorch.org/whl/cpu

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}

# --group needs pip 25.1
pip install --quiet --upgrade 'pip>=25.1'

# On Linux, PyPI's torch brings some gigabytes of CUDA. Where there is no NVIDIA driver,
# PyTorch's own CPU build does the same; its version ends in +cpu, which pip prefers.
have="import importlib.metadata as m; print('torch==' + m.version('torch').split('+')[0])"
if [ "$("$venv/bin/python" -c "$have" 2>/dev/null)" != "$torch" ]; then
    index=""
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then
        reachable="import urllib.request as r; r.urlopen('$cpu_index/torch/', timeout=10)"
        if "$venv/bin/python" -c "$reachable" 2>/dev/null; then
            index="--extra-index-url $cpu_index"
        fi
    fi
    # shellcheck disable=SC2086
    pip install --quiet $index "$torch"
fi

pip install --quiet -c constraints.txt --group test --editable '.[all]'
