#!/usr/bin/env bash
# naga refuses a valid kernel when the pipeline is made: it reads components of a vector of override constants.
#
# Expected: `let e = vec2(n, n); if i >= e.x * e.y { return; }` with `override n: u32;` is fine in any kernel. naga's own
#   validator says so when the shader module is made.
# What happens: when the constants are filled in, naga replaces `e.x` by the constant itself, an expression that the function
#   has already emitted, and emits it again. It then validates its own result and refuses it: "ExpressionAlreadyInScope".
#   With a scalar (`let e = n;`), or with a variable (`var e = vec2(n, n);`), all is well.
# Why it matters: in wgpu the module is accepted, and the pipeline fails with "Pipeline constant error: Entry point ... is
#   invalid", which names neither the line nor the cause. Sizes of images and grids are natural vectors.
# Seen on: crates.io naga 30.0.2, 2026-11-28. No GPU is used.
# Needs: cargo.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir src
cat >Cargo.toml <<'EOF'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[profile.dev]
debug = false
[dependencies]
naga = { version = "=30.0.2", features = ["wgsl-in", "spv-out"] }
EOF
# Prints for each line, as the body of a kernel, what naga says of the module and of the module with its constants.
cat >src/main.rs <<'EOF'
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn main() {
    for line in std::io::stdin().lines() {
        let body = line.unwrap();
        let text = format!(
            "override n: u32;
             @group(0) @binding(0) var<storage, read_write> o: array<u32>;
             @compute @workgroup_size(64)
             fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ let i = id.x; {body} o[i] = 1u; }}"
        );
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).unwrap();
        let constants = [("n".to_owned(), 4.0)].into_iter().collect();
        let result = process_overrides(&module, &info, None, &constants);
        println!("{}", match result { Ok(_) => "accepted".to_owned(), Err(error) => format!("{error:?}") });
    }
}
EOF
CARGO_TARGET_DIR=$dir/target cargo build --quiet

cat >bodies <<'EOF'
let e = vec2(n, n); if i >= e.x * e.y { return; }
let e = n; if i >= e * e { return; }
var e = vec2(n, n); if i >= e.x * e.y { return; }
EOF
target/debug/probe <bodies >naga

echo 'naga 30.0.2, override n: u32, each module accepted by the validator'
paste -d '|' bodies naga | while IFS='|' read -r text naga; do
    printf '%-52s %s\n' "$text" "$(grep -o 'ExpressionAlreadyInScope\|accepted' <<<"$naga" || echo "$naga")"
done
[ "$(grep -c ExpressionAlreadyInScope naga)" = 1 ] && [ "$(sed 1d naga | sort -u)" = accepted ] &&
    head -n 1 naga | grep -q ExpressionAlreadyInScope || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: naga refuses its own result'
