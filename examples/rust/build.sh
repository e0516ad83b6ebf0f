#!/bin/sh
# Makes app.wasm.
set -e
if command -v rustup >/dev/null; then rustup target add wasm32-wasip2; fi
cargo build --release --target wasm32-wasip2
cp target/wasm32-wasip2/release/app.wasm .
