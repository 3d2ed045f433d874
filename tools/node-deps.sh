#!/bin/sh
# Install libwebrtc and libdatachannel for Node (tests/interop/node/package.json, its versions exact) into .node/ of the repository.
# Nothing to do where that is there already. Without npm it says so and goes on: the tests that need it then skip
# (or fail, under CI=true). No lock file, which would write down where the packages came from; no install scripts.
set -eu

cd "$(dirname "$0")/.."
wanted=tests/interop/node/package.json
if [ -e .node/node_modules/@roamhq/wrtc/package.json ] && [ -e .node/node_modules/node-datachannel/package.json ] &&
    cmp -s "$wanted" .node/package.json; then
    echo "node-deps: everything is here"
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "node-deps: no npm here; install Node.js 20 or later, with npm, by hand" >&2
    exit 0
fi
mkdir -p .node
cp "$wanted" .node/package.json
if ! npm install --prefix .node --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error; then
    rm .node/package.json # half of it may be there: try again the next time
    exit 1
fi
