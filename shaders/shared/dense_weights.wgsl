// The weights of four outputs for each of four inputs.
// Needs from the kernel: weight_at(k, o), where no other part has it.

fn weights_at(k: u32, o: u32) -> mat4x4<f32> {
    return mat4x4(weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o));
}
