#!/bin/sh
# Makes ../database.wasm (WASI 0.2) and ../database3.wasm (0.3), which are checked in.
set -e
cargo build --release --target wasm32-wasip2
cp target/wasm32-wasip2/release/database.wasm ..
cargo build --release --target wasm32-wasip2 --features p3
cp target/wasm32-wasip2/release/database.wasm ../database3.wasm
