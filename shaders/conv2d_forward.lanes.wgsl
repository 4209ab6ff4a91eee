// Convolution with bias, and a rectifier; an invocation for a strip of four neighbouring positions of a row, of which it has up
// to 16 output channels: up to 4 tiles of 4 channels by 4 positions, in registers.
//
//   output[n,y,x,o] = rectified(bias[o] +
//       sum over ky, kx, c of input[n, y * stride + ky - before, x * stride + kx - before, c] * weight[ky,kx,c,o])
//
// with zeros outside the input. All invocations need the same weights at a time: each of the first 8 lanes loads some of them for
// the others. Where input channels come in fours and the stride is 1, four of them at a time, a row of the kernel slides over the
// strip, so that each input is loaded once for all its columns. Otherwise four floats of the positions' runs are taken at a time,
// and of the last ones as many as there are. Needs subgroups of 8 lanes or more.
//
// Parts: stride, conv2d, runs, tiles, texels, texels_f16 or texels_f32, strip_products, lane_rows, input_texels, weight_texels,
// run_input, run_weight, rectifier, output_floats or output_fours.
// CPU twin: Conv2dForward in src/ops/conv2d.rs.

@group(0) @binding(0) var input: Texels;                    // [batch, in_height, in_width, in_channels]
@group(0) @binding(1) var weight: Texels;                   // [kernel, kernel, in_channels, out_channels]
@group(0) @binding(2) var<storage, read> bias: array<f32>;  // [out_channels]

const SUMS = 16u;

override strips_per_row: u32 = (out_width + 3u) / 4u;

var<private> first_quad: u32;

fn quad_at(row: u32, q: u32) -> vec4<f32> {
    return weight_at(row, first_quad + q);
}

/// Four neighbouring floats of a row of an input of one channel, 0 outside.
fn pixels_at(n: u32, y: u32, x: u32) -> vec4<f32> {
    let inside = vec4(y < in_height) & (x + vec4(0u, 1u, 2u, 3u) < vec4(in_width));
    return select(vec4(0.0), input_four_at((n * in_height + y) * in_width + x), inside);
}

/// Adds the products of `count` floats of the runs of four positions, the first at `x`, from `k` on.
fn add_run(n: u32, y: u32, x: u32, k: u32, count: u32, rows: Rows) {
    if in_channels == 1u && stride == 1u {
        let here = pixels_at(n, y, x + k);
        let next = pixels_at(n, y, x + k + 4u);
        add_products(0u, count, rows, here, vec4(here.yzw, next.x), vec4(here.zw, next.xy), vec4(here.w, next.xyz));
    } else {
        add_products(
            0u, count, rows, input_at(n, y, x, k), input_at(n, y, x + stride, k), input_at(n, y, x + 2u * stride, k),
            input_at(n, y, x + 3u * stride, k),
        );
    }
}

fn start_quad(q: u32) {
    let o = (first_quad + q) * 4u;
    let four = vec4(bias[o], bias[o + 1u], bias[o + 2u], bias[o + 3u]);
    sums[q * 4u] = four; sums[q * 4u + 1u] = four; sums[q * 4u + 2u] = four; sums[q * 4u + 3u] = four;
}

fn put_quad(q: u32, n: u32, y: u32, x: u32) {
    if q >= tile_quads { return; }
    put(n, y, x, first_quad + q, sums[q * 4u]);
    put(n, y, x + 1u, first_quad + q, sums[q * 4u + 1u]);
    put(n, y, x + 2u, first_quad + q, sums[q * 4u + 2u]);
    put(n, y, x + 3u, first_quad + q, sums[q * 4u + 3u]);
}

@compute @workgroup_size(workgroup_size)
fn conv2d_forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // No invocation may leave early: those beyond the last strip help to load weights, and store nothing.
    let strip = tile_index(group, groups) * workgroup_size + local;
    let out_x = strip % strips_per_row * 4u;
    let out_y = strip / strips_per_row % out_height;
    let n = strip / (strips_per_row * out_height);
    let x = out_x * stride - before;
    first_quad = group.z * tile_quads;

    start_quad(0u); start_quad(1u); start_quad(2u); start_quad(3u);
    if has_in_quads && stride == 1u {
        for (var c = 0u; c < in_channels; c += 4u) {
            for (var ky = 0u; ky < kernel; ky++) {
                let y = out_y + ky - before;
                let row = ky * run + c;
                let p0 = input_at(n, y, x, c);
                let p1 = input_at(n, y, x + 1u, c);
                var p2 = input_at(n, y, x + 2u, c);
                var p3 = input_at(n, y, x + 3u, c);
                add_products(0u, 4u, rows_at(row, lane % 8u), p0, p1, p2, p3);
                if kernel == 1u { continue; }
                var p4 = input_at(n, y, x + 4u, c);
                add_products(0u, 4u, rows_at(row + in_channels, lane % 8u), p1, p2, p3, p4);
                for (var kx = 2u; kx < kernel; kx++) {
                    let p5 = input_at(n, y, x + kx + 3u, c);
                    add_products(0u, 4u, rows_at(row + kx * in_channels, lane % 8u), p2, p3, p4, p5);
                    p2 = p3; p3 = p4; p4 = p5;
                }
            }
        }
    } else {
        for (var ky = 0u; ky < kernel; ky++) {
            let y = out_y * stride + ky - before;
            for (var k = 0u; k + 4u <= run; k += 4u) {
                add_run(n, y, x, k, 4u, rows_at(ky * run + k, lane % 8u));
            }
            let k = run / 4u * 4u;
            if k < run { add_run(n, y, x, k, run % 4u, rows_at(ky * run + k, lane % 8u)); }
        }
    }
    put_quad(0u, n, out_y, out_x); put_quad(1u, n, out_y, out_x);
    put_quad(2u, n, out_y, out_x); put_quad(3u, n, out_y, out_x);
}
