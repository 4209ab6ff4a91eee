// All parameters in one tensor. Each begins at a multiple of 64 elements, and a row of `blocks` tells of each 64 of them where
// the partial sums of their gradients stand: offset, stride, chunks, and how many of the 64 elements there are.
// Needs from the kernel: partials_at(i), where `partials` does not have it.

override parameters: u32;
override gradients: u32;

/// The gradients of elements of a block: their partial sums, in order.
fn sum_of_partials(block: vec4<u32>, element: u32) -> Numbers {
    var sum = Numbers();
    for (var chunk = 0u; chunk < block.z; chunk++) {
        sum += partials_at(block.x + element + chunk * block.y);
    }
    return sum;
}
