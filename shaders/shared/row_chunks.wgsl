// A sum over rows in parts, one for each chunk of neighbouring rows. The parts are added in order later.

override rows_per_chunk: u32;

override chunks: u32 = (rows + rows_per_chunk - 1u) / rows_per_chunk;

/// The row beyond the last one of a chunk.
fn end_of_rows(chunk: u32) -> u32 {
    return min((chunk + 1u) * rows_per_chunk, rows);
}
