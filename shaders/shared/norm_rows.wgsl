// Batch normalisation takes a map as rows: the positions of all samples, each with its channels.

override area: u32;  // positions of a sample

override rows: u32 = batch * area;
