// The entry point of gradients of a convolution's weights that are products by blocks: rows are quads of the kernel's runs,
// columns quads of output channels, and terms the positions of a chunk's samples.

override area: u32 = out_height * out_width;

/// The chunk, its first sample, and the positions of all of its samples.
var<private> chunk: u32;
var<private> first_sample: u32;
var<private> terms: u32;

@compute @workgroup_size(workgroup_size)
fn conv2d_backward_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // No invocation may leave early: those beyond the last quad or channel help to load, and store nothing.
    let first_run_quad = group.x * TILE;
    let first_quad = group.y * tile_quads;
    // Compilers see that a local constant is the same for the whole workgroup, as barriers need, but not that a variable is.
    let own_first_sample = group.z * samples_per_chunk;
    let own_terms = (end_of_chunk(group.z) - own_first_sample) * area;
    chunk = group.z;
    first_sample = own_first_sample;
    terms = own_terms;
    add_terms(own_terms, first_run_quad, first_quad, local);
    store_sums(first_run_quad, first_quad, local);
}
