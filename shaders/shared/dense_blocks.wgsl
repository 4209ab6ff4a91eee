// A product of matrices in tiles, of which several invocations share the sums.
// Needs from the kernel: side, the quads of rows of a tile, and of its columns.

/// Invocations of a tile, each with a quad of rows and a quad of columns.
const tile = side * side;
/// The distance of two terms in memory: neighbouring ones lie in different banks.
const pitch = side + 1u;

alias Part = vec4<f32>;
