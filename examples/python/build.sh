#!/bin/sh
# Makes app.wasm; what it takes is fetched the first time.
set -e
test -d .venv || { python3 -m venv .venv && .venv/bin/pip install -r requirements.txt; }
.venv/bin/componentize-py --wit-path wit --world app componentize app -o app.wasm
