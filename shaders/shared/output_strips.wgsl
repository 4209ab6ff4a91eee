// A convolution's output in strips of four neighbouring positions of a row, as it is stored.

override strips_per_row: u32 = (out_width + 3u) / 4u;

fn store(strip: u32, quad: u32, values: mat4x4<f32>) {
    let n = strip / (strips_per_row * out_height);
    let y = strip / strips_per_row % out_height;
    let x = strip % strips_per_row * 4u;
    put(n, y, x, quad, values[0]);
    put(n, y, x + 1u, quad, values[1]);
    put(n, y, x + 2u, quad, values[2]);
    put(n, y, x + 3u, quad, values[3]);
}
