#!/usr/bin/env bash
# bootstrap.sh PYTHON run|test|triton|oracle: make .venv and install nanoconsole with what the target needs.
# Says in one line what is missing, and what it does before each thing that takes long.
# Without an NVIDIA driver a CPU build of torch is preferred.
set -u
python=$1 target=$2
say() { echo "nanoconsole: $*" >&2; }
fail() { say "$@"; exit 2; }

[ "$(uname -s)" = Linux ] || fail "runs on Linux; this is $(uname -s)"
command -v "$python" >/dev/null || fail "$python is missing: install Python 3.11 or newer, or say make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$python" -V) is too old: Python 3.11 or newer is needed (make PYTHON=...)"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "the venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)"
command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || say "no C compiler found: ternary products run on torch, slower, and hardware.compile does not work (Debian, Ubuntu: apt install gcc)"

pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }

if [ ! -x .venv/bin/python ]; then
  free=$(df -Pk . | awk 'NR == 2 {print $4}')
  [ "$free" -ge $((3 << 20)) ] || fail "$((free >> 10)) MiB of disk are free here, 3 GiB are needed for torch and the rest"
  say "setting up in .venv, once: about 2 minutes where the network is fast"
  say "creating the virtual environment"
  "$python" -m venv .venv || fail "could not create .venv (see above)"
fi
say "updating pip"
pip install "pip>=25.1" "setuptools>=77" wheel || fail "pip could not be updated (see above): is the package index reachable?"

has_torch() { .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; }
has_driver() { [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; }
if ! has_torch && ! has_driver && [ -z "${PIP_FIND_LINKS:-}" ]; then
  say "installing a CPU build of torch (about 200 MiB to download, the longest part)"
  pip install --index-url "$TORCH_CPU_INDEX" --retries 0 --timeout 15 "torch>=2.11,<2.14" 2>/dev/null ||
    say "no CPU build of torch at $TORCH_CPU_INDEX, taking the package index's build (larger)"
fi

has_torch && long="" || long=", torch among it: this takes the longest, about a minute where the network is fast"
say "installing what make $target needs$long"
case $target in
  run) PYTHONWARNINGS=ignore pip install --no-build-isolation -e . ;;
  test) PYTHONWARNINGS=ignore pip install --no-build-isolation -e . --group test --group lint ;;
  triton) pip install --group triton ;;
  oracle) pip install --group oracle ;;
esac || fail "installing failed (see above)"
touch ".venv/.ready-$target"
