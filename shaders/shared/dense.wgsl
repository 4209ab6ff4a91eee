// Sizes of a dense (fully connected) layer.

override batch: u32;
override inputs: u32;
override outputs: u32;

override has_in_quads: bool = inputs % 4u == 0u;
override has_out_quads: bool = outputs % 4u == 0u;

/// Which of four neighbouring outputs there are.
fn is_output(o: u32) -> vec4<bool> {
    return o + vec4(0u, 1u, 2u, 3u) < vec4(outputs);
}
