// The weights of four outputs for each of four inputs, which kernels read by `weight_at`.

fn weights_at(k: u32, o: u32) -> mat4x4<f32> {
    return mat4x4(weight_at(k, o), weight_at(k + 1u, o), weight_at(k + 2u, o), weight_at(k + 3u, o));
}
