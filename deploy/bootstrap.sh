#!/bin/sh
# The first step of every make target: .venv with the pinned packages. Everything after it is Python.
# Instant and offline once the stamp matches. PYTHON names another Python 3.11 than the one on PATH.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
stamp=.venv/asterism.stamp
wanted=$({ pwd; cat requirements.lock pyproject.toml setup.py; } | sha256sum)

fail() {
    echo "deploy.setup_failed $1" >&2
    echo "  $2" >&2
    exit 1
}

if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    if [ ! -x .venv/bin/pip ]; then
        command -v "$python" > /dev/null ||
            fail "no $python found" "install Python 3.11, or: uv venv --seed --python 3.11 .venv (README.md, Other systems)"
        if ! "$python" -c 'import ensurepip' 2> /dev/null; then
            echo "Python's venv module is missing: installing python3.11-venv with apt-get"
            sudo=$([ "$(id -u)" = 0 ] || command -v sudo) || true
            command -v apt-get > /dev/null && { [ "$(id -u)" = 0 ] || [ -n "$sudo" ]; } ||
                fail "$python cannot make virtual environments" "as root: apt-get install python3.11-venv"
            { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq python3.11-venv; } < /dev/null ||
                fail "apt-get could not install python3.11-venv" "as root: apt-get install python3.11-venv"
        fi
        echo "Creating .venv"
        "$python" -m venv --clear .venv
    fi
    echo "Installing the pinned Python packages into .venv (once; it takes some minutes)"
    rm -f "$stamp"
    # Debian's pip would build PySpark in a way it cannot cache; newer ones know no other way and no such option.
    PIP_USE_PEP517=1 .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    printf '%s' "$wanted" > "$stamp"
fi
exec .venv/bin/python -m asterism.deploy.local.runtime
