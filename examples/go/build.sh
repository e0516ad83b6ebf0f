#!/bin/sh
# Makes app.wasm; jco, which makes a component of a core module, is fetched the first time.
set -e
test -d node_modules || npm install
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o core.wasm .
npx jco embed core.wasm --wit wit --world-name app -o core.wasm
npx jco new core.wasm --wasi-reactor -o app.wasm
