#!/usr/bin/env bash
# bootstrap.sh PYTHON run|test|oracle: make .venv and install nanoconsole with what the target needs.
# Says in one line what is missing. Without an NVIDIA driver a CPU build of torch is preferred.
set -u
python=$1 target=$2
fail() { echo "nanoconsole: $*" >&2; exit 2; }

[ "$(uname -s)" = Linux ] || fail "runs on Linux; this is $(uname -s)"
command -v "$python" >/dev/null || fail "$python is missing: install Python 3.11 or newer, or say make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$python" -V) is too old: Python 3.11 or newer is needed (make PYTHON=...)"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "the venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)"
command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || echo "nanoconsole: no C compiler found: everything but hardware.compile works without one (Debian, Ubuntu: apt install gcc)" >&2

pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }

if [ ! -x .venv/bin/python ]; then
  free=$(df -Pk . | awk 'NR == 2 {print $4}')
  [ "$free" -ge 3000000 ] || fail "$((free / 1024)) MB of disk are free here, 3 GB are needed for torch and the rest"
  echo "nanoconsole: creating .venv and installing (some minutes the first time)" >&2
  "$python" -m venv .venv || fail "could not create .venv (see above)"
fi
pip install "pip>=25.1" "setuptools>=77" wheel || fail "pip could not be updated (see above): is the package index reachable?"

has_torch() { .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; }
has_driver() { [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; }
if ! has_torch && ! has_driver && [ -z "${PIP_FIND_LINKS:-}" ]; then
  pip install --index-url "$TORCH_CPU_INDEX" --retries 0 --timeout 15 "torch>=2.11,<2.14" 2>/dev/null ||
    echo "nanoconsole: no CPU build of torch at $TORCH_CPU_INDEX, taking the package index's build (larger)" >&2
fi

case $target in
  run) PYTHONWARNINGS=ignore pip install --no-build-isolation -e . ;;
  test) PYTHONWARNINGS=ignore pip install --no-build-isolation -e . --group test --group lint ;;
  oracle) pip install --group oracle ;;
esac || fail "installing failed (see above)"
touch ".venv/.ready-$target"
