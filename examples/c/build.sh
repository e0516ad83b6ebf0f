#!/bin/sh
# Makes app.wasm; jco, which makes a component of a core module, is fetched the first time.
set -e
test -d node_modules || npm install
clang --target=wasm32-wasi -mexec-model=reactor -O2 -g main.c http.c -o core.wasm
npx jco embed core.wasm --wit wit --world-name app -o core.wasm
npx jco new core.wasm --wasi-reactor -o app.wasm
