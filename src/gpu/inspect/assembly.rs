//! The hottest loop of a kernel in a driver's assembly.
//!
//! It is taken for the basic block with the most multiply-adds, which as a rule is the innermost loop, unrolled as the compiler
//! has it.

use serde::Serialize;

/// Counts of the instructions of a basic block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Block {
    /// Multiply-adds; one of two packed numbers counts as two.
    pub multiply_adds: usize,
    /// All instructions.
    pub instructions: usize,
    /// Words of 32 bits that a lane reads from the workgroup's memory.
    pub workgroup_words: usize,
    /// Reads of global memory.
    pub loads: usize,
    /// Waits for memory.
    pub waits: usize,
}

impl Block {
    /// The share of the multiply-adds in the instructions: what the peak of arithmetic is multiplied with at best.
    pub fn share(&self) -> f64 {
        self.multiply_adds as f64 / self.instructions as f64
    }

    /// Words that a lane reads from the workgroup's memory for each multiply-add.
    pub fn words_per_multiply_add(&self) -> f64 {
        self.workgroup_words as f64 / self.multiply_adds as f64
    }
}

impl Block {
    fn add(&mut self, instruction: Instruction) {
        match instruction {
            Instruction::MultiplyAdds(count) => self.multiply_adds += count,
            Instruction::ReadsWorkgroup(words) => self.workgroup_words += words,
            Instruction::Loads => self.loads += 1,
            Instruction::Waits => self.waits += 1,
            Instruction::Other => {}
        }
    }
}

/// The hottest block of an assembly of AMD's or Intel's compiler in Mesa; none of another, or without multiply-adds.
pub fn hottest_block(assembly: &str) -> Option<Block> {
    let mut best = Block::default();
    let mut block = Block::default();
    for line in assembly.lines().map(str::trim) {
        if begins_block(line) {
            best = hotter(best, block);
            block = Block::default();
        } else if let Some(message) = line.split_once(" MsgDesc: (") {
            // Intel's compiler says in a second line what a `send` does.
            block.add(message_of(message));
        } else if let Some(instruction) = Instruction::of(line) {
            block.instructions += 1;
            block.add(instruction);
        }
    }
    Some(hotter(best, block)).filter(|best| best.multiply_adds > 0)
}

fn hotter(a: Block, b: Block) -> Block {
    if b.multiply_adds > a.multiply_adds { b } else { a }
}

/// ACO names blocks `BB4:`, Intel's compiler those that are jumped to `LABEL4:`.
fn begins_block(line: &str) -> bool {
    line.ends_with(':') && (line.starts_with("BB") || line.starts_with("LABEL"))
}

enum Instruction {
    MultiplyAdds(usize),
    ReadsWorkgroup(usize),
    Loads,
    Waits,
    Other,
}

impl Instruction {
    /// The instruction of a line; none of a comment, a label or an empty line.
    fn of(line: &str) -> Option<Self> {
        let first = line.split_whitespace().next()?;
        let is_name = first.starts_with(|letter: char| letter.is_ascii_lowercase());
        if !is_name {
            // Intel's compiler writes predicates such as `(+f0.0)` before the instruction.
            let rest = line.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(_, rest)| rest.trim());
            return rest.filter(|_| line.starts_with("(+f") || line.starts_with("(-f")).and_then(Self::of);
        }
        let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| first.starts_with(prefix));
        Some(if has(&["v_pk_fma", "v_dot2", "v_dual_fmac"]) {
            Self::MultiplyAdds(2)
        } else if has(&["v_fma", "v_mac", "v_mad_f", "mad("]) {
            Self::MultiplyAdds(1)
        } else if has(&["ds_read", "ds_load"]) {
            Self::ReadsWorkgroup(words(first))
        } else if has(&["buffer_load", "global_load", "image_load", "image_sample"]) {
            Self::Loads
        } else if has(&["s_waitcnt", "sync"]) {
            Self::Waits
        } else {
            Self::Other
        })
    }
}

/// Words of an instruction such as `ds_read2_b64` of AMD.
fn words(name: &str) -> usize {
    let width = match name {
        _ if name.contains("b128") => 4,
        _ if name.contains("b96") => 3,
        _ if name.contains("b64") => 2,
        _ => 1,
    };
    let pairs = if name.contains("read2") || name.contains("load_2") { 2 } else { 1 };
    width * pairs
}

/// What a message of Intel's does: `slm` is the workgroup's memory, and `xyzw` or `V4` are four words.
fn message_of((memory, message): (&str, &str)) -> Instruction {
    let words = || {
        let parts = message.split([',', ' ']).map(str::trim);
        let counted = parts.filter_map(|part| match part.strip_prefix('V') {
            Some(count) => count.parse().ok(),
            None => (!part.is_empty() && "xyzw".starts_with(part)).then_some(part.len()),
        });
        counted.max().unwrap_or(1)
    };
    match message.trim_start().starts_with("load") {
        true if memory.ends_with("slm") => Instruction::ReadsWorkgroup(words()),
        true => Instruction::Loads,
        false => Instruction::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_block_of_amds_assembly_is_counted() {
        let assembly = "\
BB0:
    s_load_dwordx4 s[0:3], s[2:3], null                         ; f4080001 fa000000
    v_fma_f32 v1, v2, v3, v1                                    ; d54b0001 04060702
BB1:
    ds_read_b128 v[4:7], v0                                     ; dbfc0000 04000000
    ds_read2_b64 v[4:7], v0 offset1:1
    s_waitcnt lgkmcnt(0)                                        ; bf8cc07f
    v_fmac_f32_e32 v1, v4, v5
    v_pk_fma_f16 v8, v4, v5, v8
    v_dual_fmac_f32 v1, v2, v3 :: v_dual_fmac_f32 v4, v5, v6
    buffer_load_dword v9, v0, s[0:3], 0 offen
    s_cbranch_scc1 BB1                                          ; bf85fff4
BB2:
    s_endpgm                                                    ; bf810000
";
        let block = hottest_block(assembly).unwrap();
        assert_eq!(block, Block { multiply_adds: 5, instructions: 8, workgroup_words: 8, loads: 1, waits: 1 });
        assert_eq!((block.share(), block.words_per_multiply_add()), (5.0 / 8.0, 8.0 / 5.0));
    }

    #[test]
    fn the_hottest_block_of_intels_assembly_is_counted() {
        let assembly = "\
mov(16)         g105<1>UD       0x00000000UD                    { align1 1H };
mad(16)         g2<1>F          g4<8,8,1>F      g6<8,8,1>F      g8<1,1,1>F { align1 1H };

LABEL5:
cmp.ge.f0.0(16) null<1>UD       g105<8,8,1>UD   0x00000010UD    { align1 1H I@1 };
(+f0.0) break(16) JIP:  LABEL4        UIP:  LABEL4              { align1 1H };
sync nop(1)                     null<0,1,0>UB                   { align1 WE_all 1N $2.src };
send(16)        g11UD           g3UD            nullUD          0x0480f502                0x00000000
                            slm MsgDesc: ( load_cmask, a32, d32, xyzw, L1STATE_L3MOCS dst_len = 8, src0_len = 2 flat ) base_offset 0  { align1 1H $10 };
send(16)        g19UD           g21UD           nullUD          0x64201502                0x02000000
                            ugm MsgDesc: ( load_cmask, a32, d32, x, L1STATE_L3MOCS dst_len = 2, src0_len = 2 bti ) BTI 2 base_offset 0  { align1 1H $4 };
mad(16)         g60<1>F         g61<8,8,1>F     g62<8,8,1>F     g63<1,1,1>F  { align1 1H };
mad(16)         g64<1>F         g65<8,8,1>F     g66<8,8,1>F     g67<1,1,1>F  { align1 1H };
LABEL4:
while(16)       JIP:  LABEL5                                    { align1 1H };
";
        let block = hottest_block(assembly).unwrap();
        assert_eq!(block, Block { multiply_adds: 2, instructions: 7, workgroup_words: 4, loads: 1, waits: 1 });
    }

    #[test]
    fn what_multiplies_nothing_has_no_hottest_block() {
        assert_eq!(hottest_block("BB0:\n    s_endpgm\n"), None);
        assert_eq!(hottest_block(""), None);
    }
}
