//! The tiles of the weights' gradient for GPUs, whose invocations gather the inputs at the windows' maxima.

use super::ConvReluPool;
use crate::op::{AdapterClass, MAX_WORKGROUP, Shader, Variant};
use crate::ops::conv2d::Conv2d;

/// Enough workgroups for a large GPU; only with more do tiles get more output channels.
const GPU_WORKGROUPS: usize = 320;

/// Output channels of a tile, at least: with fewer, loading its pixels is most of the work.
const FEWEST_OUTPUTS: usize = 2;

/// Sums of an invocation at most, each of four input channels, or of one.
const MOST_FOURS: usize = 12;
const MOST_FLOATS: usize = 32;

/// The most bytes of pixels and maxima in workgroup memory: what WebGPU guarantees.
const MOST_BYTES: usize = 16 << 10;

/// Of these, for pixels.
const MOST_PIXEL_BYTES: usize = 12 << 10;

/// The sizes of a workgroup's tile.
#[derive(Clone, Copy)]
struct Tile {
    /// Floats of a pixel.
    floats: usize,
    channels: usize,
    /// Pixels of an invocation in a row of the kernel.
    span: usize,
    outputs: usize,
    samples: usize,
    /// Rows of windows.
    rows: usize,
    splits: usize,
}

impl ConvReluPool {
    /// The variant that gathers inputs, for four input channels at a time or for one, if these sizes have one.
    pub(super) fn gather(&self, [fours, floats]: [Shader; 2]) -> Option<Variant> {
        let Conv2d { in_channels, out_channels, kernel, .. } = self.conv;
        let shader = if in_channels.is_multiple_of(4) { fours } else { floats };
        let tile = self.tile()?;
        let owners = self.owners(tile);
        let size = owners * tile.splits;
        let [_, rows, columns, _] = self.output();
        let [pixels, maxima] = [self.pixels(tile), self.maxima(tile)];
        let stages = self.samples_per_chunk().div_ceil(tile.samples) * rows.div_ceil(tile.rows);
        let loads = (tile.samples * self.band_rows(tile.rows) * self.loads_per_row(tile)).div_ceil(size);
        let sums = (tile.samples * tile.rows * columns).div_ceil(tile.splits) * (1 + kernel * tile.span);
        // Sums are added in rounds one after the other, and move up after each.
        let added = (kernel * tile.span + 1) * (2 + kernel * tile.span + tile.splits.ilog2() as usize);
        let iterations = pixels.div_ceil(size) + stages * (2 + loads + maxima.div_ceil(size) + sums) + added;
        let tiles = [in_channels.div_ceil(tile.channels), out_channels.div_ceil(tile.outputs), self.chunks()];
        let variant =
            Variant { workgroups: tiles.map(|count| count as u32), ..Variant::tiled(shader, 1, size, iterations) };
        let variant = variant.constant("tile_channels", tile.channels).constant("tile_outputs", tile.outputs);
        let variant = variant.constant("band_samples", tile.samples).constant("window_rows", tile.rows);
        let variant = variant.constant("span", tile.span).constant("tile_pixels", pixels).made_for(AdapterClass::GPUS);
        Some(variant.sharing(self.bytes(tile)))
    }

    fn tile(&self) -> Option<Tile> {
        let Conv2d { in_channels, in_width, out_channels, kernel, .. } = self.conv;
        let [_, rows, columns, _] = self.output();
        let has_fours = in_channels.is_multiple_of(4);
        if !self.has_fast_windows() || !has_fours && !(in_width * in_channels).is_multiple_of(4) {
            return None;
        }
        let (floats, most_sums) = if has_fours { (4, MOST_FOURS) } else { (1, MOST_FLOATS) };
        let one = Tile { floats, channels: floats, span: 1, outputs: 1, samples: 1, rows, splits: 1 };
        let channels = if has_fours {
            // Tiles of equal size, so that little of the last one is beyond the channels.
            let most = (MOST_PIXEL_BYTES / (16 * self.pixels(one))).clamp(1, MAX_WORKGROUP);
            4 * (in_channels / 4).div_ceil((in_channels / 4).div_ceil(most))
        } else {
            in_channels
        };
        let one = Tile { channels, ..one };
        let is_span = |&span: &usize| (kernel * channels / floats).is_multiple_of(span);
        let one = Tile { span: (1..=most_sums / kernel).rev().find(is_span)?, ..one };
        let tiles = |outputs: usize| in_channels.div_ceil(channels) * out_channels.div_ceil(outputs) * self.chunks();
        let most = out_channels.min(MAX_WORKGROUP / self.owners(one));
        let outputs = (FEWEST_OUTPUTS..=most).rev().find(|&outputs| tiles(outputs) >= GPU_WORKGROUPS);
        let outputs = outputs.unwrap_or(FEWEST_OUTPUTS.min(most));
        let outputs = out_channels.div_ceil(out_channels.div_ceil(Some(outputs).filter(|&outputs| outputs > 0)?));
        let splits = (MAX_WORKGROUP / self.owners(Tile { outputs, ..one })).min(rows * columns).max(1);
        let tile = Tile { outputs, splits, ..one };
        // All rows of several samples, of one, or some rows of one.
        let samples = (2..=self.samples_per_chunk()).rev().map(|samples| Tile { samples, ..tile });
        let bands = (1..=rows).rev().map(|rows| Tile { rows, ..tile });
        samples.chain(bands).find(|&tile| self.bytes(tile) <= MOST_BYTES)
    }

    /// Rows of a map that some rows of windows meet.
    fn band_rows(&self, rows: usize) -> usize {
        2 * rows + self.conv.kernel - 1
    }

    /// Loads for a row of a map.
    fn loads_per_row(&self, tile: Tile) -> usize {
        self.conv.in_width * tile.channels / 4
    }

    /// Invocations that have different sums.
    fn owners(&self, tile: Tile) -> usize {
        self.conv.kernel * tile.channels / tile.floats / tile.span * tile.outputs
    }

    /// Pixels in memory; at least as many as invocations that add their sums there.
    fn pixels(&self, tile: Tile) -> usize {
        let row = (self.conv.in_width + self.conv.padding) * tile.channels / tile.floats;
        let adding = if tile.splits > 1 { self.owners(tile) * tile.splits } else { 0 };
        (tile.samples * self.band_rows(tile.rows) * row).max(adding)
    }

    /// Windows in memory, once for each output channel.
    fn maxima(&self, tile: Tile) -> usize {
        let [.., columns, _] = self.output();
        tile.samples * tile.rows * columns * tile.outputs
    }

    fn bytes(&self, tile: Tile) -> usize {
        4 * tile.floats * self.pixels(tile) + 8 * self.maxima(tile)
    }
}
