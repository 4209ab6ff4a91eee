// A sum over the batch in parts, one for each chunk of samples. The parts are added in order later.

override samples_per_chunk: u32;

override chunks: u32 = (batch + samples_per_chunk - 1u) / samples_per_chunk;

/// The sample beyond the last one of a chunk.
fn end_of_chunk(chunk: u32) -> u32 {
    return min((chunk + 1u) * samples_per_chunk, batch);
}
