//! The mutation check: small wrong edits of every shader, each of which `verify` must notice.
//!
//! It is not part of the default suite, for it runs about 5,300 wrong kernels:
//!
//! ```text
//! cargo test --release --test mutations                      # all of them, more than an hour on two cores
//! cargo test --release --test mutations -- conv2d_forward    # those of one op
//! ```
//!
//! An edit is of one file, which may be a part of several shaders. It passes when some case of one of them fails. Edits
//! that do not change what a shader computes are listed in [`EQUIVALENT`] with the reason, and must go unnoticed: a
//! reason that no longer holds is found too. Edits that are not valid WGSL are no edits at all, and not counted.

#[allow(dead_code)]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use common::{gpus, without_adapter};
use gpu_digits::gpu::Gpu;
use gpu_digits::layers::every_op;
use gpu_digits::op::{Shader, Variant, variant_label};
use gpu_digits::ops::Case;
use gpu_digits::verify::{Example, Outcome, cases, check_variant};
use libtest_mimic::{Arguments, Failed, Trial};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// What is replaced, and by what: the usual slips. Whole numbers are raised by one besides.
const SLIPS: &[(&str, &str)] = &[
    (" + ", " - "),
    (" - ", " + "),
    (" * ", " + "),
    (" / ", " * "),
    (" % ", " / "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" == ", " != "),
    (" && ", " || "),
    (" || ", " && "),
    (" += ", " = "),
    (" -= ", " += "),
    (" ^ ", " | "),
    (" & ", " | "),
    (" << ", " >> "),
    (" >> ", " << "),
    ("max(", "min("),
    ("min(", "max("),
    ("exp(", "log("),
    ("sqrt(", "abs("),
    ("0.0", "1.0"),
    (".yzw", ".xyz"),
    (".xyz", ".yzw"),
    (" + bias[o]", ""),
    ("workgroupBarrier();", ""),
];

const FIRST_EIGHT_LANES: &str = "only what the first 8 lanes load is broadcast, and `lane % 9u` is the lane for these";

const ONLY_ZEROS: &str = "one round more, in which all factors are zeros";
const MORE_ZEROS: &str = "more terms, beyond the kernel, where all factors are zeros";
const MEETS_ZEROS: &str = "what it is multiplied by is zero there: the choice only keeps out what is no number";
const BEHIND_LAST_WEIGHT: &str = "behind the last weight nothing is stored: the limit only keeps the read inside";
const NO_SAMPLE_NO_LOSS: &str = "where the label is no class the loss is 0: the limit only keeps the read inside";
const OTHER_BANKS: &str = "the distance of two terms in memory only keeps them in different banks";
const BETWEEN_TERMS: &str = "one number more, between the terms in memory, where nothing is read";
const MORE_ROOM: &str = "more memory, or more of a map, than is used";
const OTHER_SHARES: &str = "other invocations share a sum, which is the same";
const IN_RANGE: &str = "any number within the range of floats is as good";
const UNSEEN_RACE: &str = "one number is changed that another invocation reads: a race, which drivers that run a workgroup's \
     subgroups in order do not show";
const ANY_INVOCATION: &str = "each invocation has the same numbers, so that any of them, or several, may write them";

const A_REMAINDER: &str = "the row is a remainder by the height";
const BEHIND_THE_WORD: &str = "floats behind the word do not count";
const ALWAYS_INSIDE: &str = "with a padding of 2 at most, the second and third columns of a patch always lie inside";
const FIRST_FOR_ALL: &str =
    "the first workgroup's limit becomes the batch, so that it stores all zeros, and the others none";
const STORED_TWICE: &str = "one round more, which stores what the next workgroup stores too";
const NO_FOURS: &str = "the number of channels is no multiple of 4, so that the last quad never has all four";
const LAST_OF_ALL: &str = "there is no such component or element, and wgpu takes the last in its place";

const FOUR_ROWS: &str = "there are four rows";
const NOT_READ: &str = "what is loaded besides is not read";
const NOT_STORED: &str = "one float more, behind those of the word, which is not stored";
const SUMS_NOT_STORED: &str = "sums that are not stored";

const LOADED_TWICE: &str = "what is loaded is there already, or is loaded again before it is read";

const SAME_ROW: &str = "an invocation more for each group, whose rows another one stores too";
const RELU_BY_A_FACTOR: &str = "0 times what is not above 0 is 0: the choice only keeps out what is no number";
const MORE_ROWS: &str = "some invocations have a row more, and the others none";

/// Edits that change nothing: the file, some text of the edited line, and why.
const EQUIVALENT: &[(&str, &str, &str)] = &[
    ("conv2d_forward", "j <= FLOATS_PER_WORD", NOT_STORED),
    ("conv2d_forward.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv2d_forward.lanes", "SUMS = 17u", MORE_ROOM),
    ("conv2d_forward.lanes", "0u, 5u, rows_at", FOUR_ROWS),
    ("conv2d_forward.lanes", "k, 5u, rows_at", FOUR_ROWS),
    ("conv2d_forward.blocks", "return vec4(1.0)", MEETS_ZEROS),
    ("conv2d_backward_input", "j <= FLOATS_PER_WORD", NOT_STORED),
    ("conv2d_backward_input.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv2d_backward_input.lanes", "SUMS = 17u", MORE_ROOM),
    ("conv2d_backward_input.lanes", "quad, 5u, lane", FOUR_ROWS),
    ("conv2d_backward_input.lanes", "tile_quads < 2u { return Rows", NOT_READ),
    ("conv2d_backward_input.blocks", "(kernel + stride + 1u) / stride", MORE_ZEROS),
    ("conv2d_backward_input.blocks", "(kernel + stride - 1u) * stride", MORE_ZEROS),
    ("conv2d_backward_input.blocks", "return vec4(1.0)", MEETS_ZEROS),
    ("conv2d_backward_weight.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv2d_backward_weight.lanes", "SUMS = 49u", MORE_ROOM),
    ("conv2d_backward_weight.lanes", "column * 16u, 5u", FOUR_ROWS),
    ("conv2d_backward_weight.lanes", "q <= tile_quads && local", STORED_TWICE),
    ("conv2d_backward_weight.lanes", "q < tile_quads || local", STORED_TWICE),
    ("conv2d_backward_weight.lanes", "local != 0u", ANY_INVOCATION),
    ("conv2d_backward_weight.lanes", "local == 1u", ANY_INVOCATION),
    ("conv2d_backward_weight.lanes", "x <= out_width; x += 4u", ONLY_ZEROS),
    ("conv2d_backward_weight.lanes", "tile_columns >= 1u { p0", LOADED_TWICE),
    ("conv2d_backward_weight.lanes", "tile_columns >= 2u { p1", LOADED_TWICE),
    ("conv2d_backward_weight.lanes", "tile_columns <= 2u { p0", LOADED_TWICE),
    ("conv2d_backward_weight.lanes", "tile_columns < 3u { p0", LOADED_TWICE),
    ("conv2d_backward_weight.lanes", "tile_columns <= 3u { p1", LOADED_TWICE),
    ("conv2d_backward_weight.lanes", "tile_columns < 4u { p1", LOADED_TWICE),
    ("conv2d_backward_weight.blocks", "term >= terms { return vec4(1.0)", MEETS_ZEROS),
    ("shared/block_products", "first <= terms", ONLY_ZEROS),
    ("shared/block_products", "i <= slice * TILE", BETWEEN_TERMS),
    ("shared/block_products_ahead", "local <= row_loads", BETWEEN_TERMS),
    ("shared/block_products_ahead", "first + slice <= terms", NOT_READ),
    ("conv_relu_pool_backward_input.ahead", "NONE = 5u", "any number that is no code is as good"),
    ("shared/strip_products", "q > tile_quads", SUMS_NOT_STORED),
    ("shared/lane_rows", "tile_quads < 2u", NOT_READ),
    ("shared/rectifier", "values, values >= vec4(0.0)", "0 times a slope is 0"),
    ("shared/rectifier", "negative_slope == 1.0 { return max", RELU_BY_A_FACTOR),
    ("shared/rectifier_grad", "negative_slope == 1.0 { return select", RELU_BY_A_FACTOR),
    ("grad_clip", "local <= half", UNSEEN_RACE),
    ("grad_clip", "local != 0u", ANY_INVOCATION),
    ("grad_clip", "local == 1u", ANY_INVOCATION),
    ("shared/row_steps", "ROWS = 9u", MORE_ROWS),
    ("conv_relu_pool_forward.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv_relu_pool_forward.lanes", "k <= run", ONLY_ZEROS),
    ("conv_relu_pool_forward.lanes_winograd", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv_relu_pool_forward.lanes_3x3_grey", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv_relu_pool_forward.lanes_3x3_grey", "x + 2u, x + 2u", ALWAYS_INSIDE),
    ("conv_relu_pool_forward.lanes_3x3_grey", "eight < 65u", STORED_TWICE),
    ("conv_relu_pool_forward.lanes_3x3_grey", "eight <= 64u", STORED_TWICE),
    ("conv_relu_pool_backward_weight.lanes", "tile > 5u", "a tile has 4 or 8 quads"),
    ("conv_relu_pool_backward_weight.lanes", "tile >= 4u { add", SUMS_NOT_STORED),
    ("conv_relu_pool_backward_weight.lanes_3x3", "add(ky, kx, 4u, s[3])", LAST_OF_ALL),
    ("conv_relu_pool_backward_weight.lanes_3x3", "at_maxima(2u, ky", LAST_OF_ALL),
    ("conv_relu_pool_backward_weight.lanes_3x3_grey", "at_maxima(2u, ky", LAST_OF_ALL),
    ("conv_relu_pool_backward_weight.gather", "// others may still read", UNSEEN_RACE),
    ("conv_relu_pool_backward_weight.gather", "i <= tile_pixels", "an index behind the last is that of the last"),
    ("conv_relu_pool_backward_weight.gather", "first_n <= end", "one round more, without a window"),
    ("conv_relu_pool_backward_weight.gather", "first_y <= pooled_height", "one round more, without a window"),
    ("conv_relu_pool_backward_weight.gather", "next <= kernel * span", SUMS_NOT_STORED),
    ("conv_relu_pool_backward_weight.gather", "first_c - first_pixel == 0u", ANY_INVOCATION),
    ("shared/pixels_floats", "MOST_SUMS = 33u", MORE_ROOM),
    ("shared/pixels_fours", "MOST_SUMS = 13u", MORE_ROOM),
    ("conv_relu_pool_backward_weight.blocks", "tile_weights + 8u", OTHER_SHARES),
    ("conv_relu_pool_backward_weight.blocks", "height: u32 = pooled_height * 3u", MORE_ROOM),
    ("conv_relu_pool_backward_weight.blocks", "width: u32 = pooled_width * 3u", MORE_ROOM),
    ("conv_relu_pool_backward_weight.blocks", "2u + kernel + 1u", MORE_ROOM),
    ("conv_relu_pool_backward_weight.blocks", "first <= end", "one round more, without a window"),
    ("conv_relu_pool_backward_weight.blocks", "first_c - owner == 0u", ANY_INVOCATION),
    ("conv_relu_pool_backward_weight.blocks", "first_c + owner == 1u", ANY_INVOCATION),
    ("conv_relu_pool_backward_weight.blocks", "first_c + owner != 0u", ANY_INVOCATION),
    ("conv_relu_pool_backward_weight.blocks", "min(number, tile_weights + 1u)", BEHIND_LAST_WEIGHT),
    ("conv_relu_pool_backward_input.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv_relu_pool_backward_input.lanes_winograd", "lane % 9u", FIRST_EIGHT_LANES),
    ("conv_relu_pool_backward_input.lanes_winograd", "first - 8u", FIRST_FOR_ALL),
    ("conv_relu_pool_backward_input.lanes_winograd", "first + 9u", STORED_TWICE),
    ("conv_relu_pool_backward_input.blocks", "i <= slice * TILE", BETWEEN_TERMS),
    ("conv_relu_pool_backward_input.blocks", "first <= quads", ONLY_ZEROS),
    ("shared/blocks", "TILE + 2u", OTHER_BANKS),
    ("shared/run_weight", "select(vec4(1.0), weight_four_at(i)", MEETS_ZEROS),
    ("shared/run_weight", "vec4(0u, 1u, 2u, 4u)", NO_FOURS),
    ("shared/single", "word, 1u), 1.0, 0.0", BEHIND_THE_WORD),
    ("shared/single", "word, 1u), 0.0, 1.0", BEHIND_THE_WORD),
    ("shared/output_floats", "vec4(0u, 1u, 2u, 4u)", NO_FOURS),
    ("shared/output_floats", "y > out_height", A_REMAINDER),
    ("shared/output_fours", "y > out_height", A_REMAINDER),
    ("shared/texels_f16", "vec4(four, 1u, 0u)", "two words of a texel hold its four floats"),
    ("shared/texels_f16", "vec4(four, 0u, 1u)", "two words of a texel hold its four floats"),
    ("shared/input_squares", "position + 3u", ONLY_ZEROS),
    ("shared/input_grad_floats", "vec4(0u, 1u, 2u, 4u)", NO_FOURS),
    ("shared/maxima_floats", "vec4(0u, 1u, 2u, 4u)", NO_FOURS),
    ("shared/inputs_at_maxima", "lane % 9u", FIRST_EIGHT_LANES),
    ("shared/inputs_at_maxima", "add_tap(3u, 2u)", LAST_OF_ALL),
    ("shared/inputs_at_maxima", "load_patch(2u, next", LAST_OF_ALL),
    ("shared/inputs_at_maxima", "load_grads(2u, next", LAST_OF_ALL),
    ("shared/dense_forward_lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("shared/dense_forward_lanes", "k <= inputs", ONLY_ZEROS),
    ("shared/softmax", "min(own, classes + 1u)", NO_SAMPLE_NO_LOSS),
    ("dense_cross_entropy_forward", "o == 1u {", ANY_INVOCATION),
    ("dense_cross_entropy_forward", "finish(n, 1u)", "a workgroup has the logits of one sample, whatever the row"),
    ("dense_cross_entropy_forward", "o != 0u {", ANY_INVOCATION),
    ("shared/dense_weight_tiles", "lane % 9u", FIRST_EIGHT_LANES),
    ("shared/dense_weight_tiles", "n <= batch; n += 8u", ONLY_ZEROS),
    ("dense_backward.lanes", "lane % 9u", FIRST_EIGHT_LANES),
    ("dense_backward.lanes", "o <= outputs; o += 8u", ONLY_ZEROS),
    ("shared/dense_weight_texels", "select(vec4(1.0), weight_", MEETS_ZEROS),
    ("dense_backward.lanes_narrow", "lane % 9u", FIRST_EIGHT_LANES),
    ("dense_backward.lanes_narrow", "n <= batch; n += 8u", ONLY_ZEROS),
    ("shared/dense_narrow_grads", "k != 0u", ANY_INVOCATION),
    ("adam_step.quad", "select(vec4(1.0), next.parameter", IN_RANGE),
    ("step_finish.tree", "local <= half", UNSEEN_RACE),
    ("step_finish.tree", "local == 1u", ANY_INVOCATION),
    ("dense_forward.blocks", "first <= inputs", ONLY_ZEROS),
    ("dense_cross_entropy_forward.blocks", "select(1.0, bias[o]", "all logits of a sample grow by the same number"),
    ("shared/dense_blocks", "side + 2u", OTHER_BANKS),
    ("dense_backward.blocks", "first <= terms", ONLY_ZEROS),
    ("dense_backward_weight.blocks", "first <= batch", ONLY_ZEROS),
    ("shared/dense_gradient_blocks", "slice * pitch + 1u", MORE_ROOM),
    ("dense_backward.blocks_narrow", "select(vec4(1.0), vec4(output_grad[i]", MEETS_ZEROS),
    ("dense_backward.blocks_narrow", "select(vec4(1.0), vec4(weight[i]", MEETS_ZEROS),
    ("dense_backward.blocks_narrow", "g2, vec4(1.0)", "the fourth column counts for nothing"),
    ("norm_apply", "first > row_step", SAME_ROW),
    ("norm_fold", "i <= outputs", "the first bias is stored twice"),
    ("batch_gather.quad", "count + 1u", "no sample, no pixels: the limit only keeps the read inside"),
    ("batch_augment", "map.pen >= 0", "where the pen is 0, so is the share of the lightest and of the darkest"),
    ("shared/elastic", "vec3(y, cell, n) + 2u", "any number above 0 tells a place from none"),
    ("norm_backward_input", "first > row_step", SAME_ROW),
];

fn main() {
    let arguments = Arguments::from_args();
    let gpus = gpus();
    // The adapter that can run the most variants.
    let gpu = gpus.iter().max_by_key(|gpu| gpu.info().subgroup_size);
    let mut trials = Vec::new();
    for (part, users) in users_of_parts() {
        for edit in edits(part, &users) {
            let name = format!("{part}.wgsl:{}: {}", edit.line, edit.what);
            let Some(gpu) = gpu else {
                trials.push(without_adapter(&name));
                continue;
            };
            let why_not = |user: &User| gpu.why_not(user.case.as_ref(), &user.variant);
            let runnable: Vec<User> = users.iter().filter(|user| why_not(user).is_none()).cloned().collect();
            if runnable.is_empty() {
                let reason = users.iter().find_map(why_not).unwrap_or_default();
                trials.push(Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true));
                continue;
            }
            let gpu = gpu.clone();
            let reason = EQUIVALENT
                .iter()
                .find(|(file, text, _)| *file == part && edit.text.contains(text))
                .map(|(_, _, reason)| *reason);
            let trial = Trial::test(name, move || judge(&gpu, &runnable, &edit, reason));
            trials.push(if reason.is_some() { trial.with_kind("equivalent") } else { trial });
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A shader that a file is a part of.
#[derive(Clone)]
struct User {
    /// The cases of its op.
    cases: Arc<SmallestFirst>,
    /// The smallest case that has it.
    case: Case,
    variant: Variant,
}

/// Every file with the shaders that it is a part of.
fn users_of_parts() -> BTreeMap<&'static str, Vec<User>> {
    let mut users: BTreeMap<&str, Vec<User>> = BTreeMap::new();
    for entry in every_op() {
        let cases = SmallestFirst::of(entry.name);
        for (case, variant) in cases.variants() {
            for part in variant.shader.parts {
                let (cases, case, variant) = (Arc::clone(&cases), case.clone(), variant.clone());
                users.entry(part).or_default().push(User { cases, case, variant });
            }
        }
    }
    users
}

/// One wrong edit of a part.
struct Edit {
    part: &'static str,
    /// The number of the line in the part, counted from 1.
    line: usize,
    /// The line as it becomes.
    text: String,
    /// What is replaced by what, and where in the line.
    what: String,
}

impl Edit {
    /// The text of a shader that has the part, with this edit.
    fn of(&self, shader: Shader) -> String {
        let mark = format!("// shaders/{}.wgsl", self.part);
        let start = shader.source.lines().position(|line| line == mark).expect("a part of the shader");
        let lines = shader.source.lines().enumerate();
        let lines = lines.map(|(index, line)| if index == start + self.line { self.text.as_str() } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Every slip at every place of a part's code that leaves it valid.
fn edits(part: &'static str, users: &[User]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut seen = BTreeSet::new();
    let shader = users[0].variant.shader;
    let lines = (1..).zip(shader.source.lines());
    let own =
        lines.filter_map(|(number, line)| Some((shader.locate(number)?, line))).filter(|((of, _), _)| *of == part);
    for ((_, number), line) in own {
        let code = line.split("//").next().unwrap_or_default();
        if code.contains("@group") || code.contains("@builtin") {
            continue;
        }
        for (column, from, to) in slips(code) {
            let text = format!("{}{to}{}", &line[..column], &line[column + from.len()..]);
            let what = format!("`{from}` becomes `{to}` in column {}: {}", column + 1, text.trim());
            let edit = Edit { part, line: number, text, what };
            let source = edit.of(shader);
            if is_valid(&source) && seen.insert(source) {
                edits.push(edit);
            }
        }
    }
    edits
}

/// Where in a line which text may become which other.
fn slips(code: &str) -> Vec<(usize, String, String)> {
    let mut slips = Vec::new();
    for (from, to) in SLIPS {
        slips.extend(code.match_indices(from).map(|(place, _)| (place, (*from).to_owned(), (*to).to_owned())));
    }
    // Whole numbers, such as 4u: preceded by what is no part of a name or a hexadecimal number.
    for (end, _) in code.match_indices('u') {
        let digits = code[..end].len() - code[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let before = code[..end - digits].chars().next_back();
        if digits > 0 && !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            let number: u64 = code[end - digits..end].parse().expect("digits");
            slips.push((end - digits, format!("{number}u"), format!("{}u", number + 1)));
        }
    }
    slips
}

fn is_valid(source: &str) -> bool {
    let capabilities = Capabilities::SUBGROUP
        | Capabilities::SUBGROUP_BARRIER
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::COOPERATIVE_MATRIX;
    let module = naga::front::wgsl::parse_str(source).ok();
    module.is_some_and(|module| Validator::new(ValidationFlags::all(), capabilities).validate(&module).is_ok())
}

/// The cases of an op, those with the smallest operands first, each with the example that all edits share.
struct SmallestFirst {
    cases: Vec<(Case, OnceLock<Example>)>,
}

impl SmallestFirst {
    fn of(op: &str) -> Arc<Self> {
        let mut cases = cases(op);
        cases.sort_by_key(|case| case.operands().iter().map(|operand| operand.shape.len()).sum::<usize>());
        Arc::new(Self { cases: cases.into_iter().map(|case| (case, OnceLock::new())).collect() })
    }

    /// A variant for each shader, and the smallest case that has it.
    fn variants(&self) -> Vec<(Case, Variant)> {
        let of_case =
            |(case, _): &(Case, _)| case.variants().into_iter().map(|variant| (case.clone(), variant)).collect();
        let variants = self.cases.iter().rev().flat_map::<Vec<_>, _>(of_case);
        let by_shader: BTreeMap<_, _> = variants.map(|found| (found.1.shader.name, found)).collect();
        by_shader.into_values().collect()
    }
}

fn judge(gpu: &Gpu, users: &[User], edit: &Edit, reason: Option<&str>) -> Result<(), Failed> {
    match (users.iter().find_map(|user| caught_by(gpu, user, edit)), reason) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err(Failed::from("no case of `verify` fails with this edit")),
        (Some(label), Some(reason)) => Err(format!("listed as equivalent ({reason}), yet {label} fails").into()),
    }
}

/// The first case that fails with an edited shader.
fn caught_by(gpu: &Gpu, user: &User, edit: &Edit) -> Option<String> {
    let shader = user.variant.shader;
    let edited = shader.with_source(edit.of(shader).leak());
    for (case, example) in &user.cases.cases {
        let variants = case.variants();
        let Some(variant) = variants.into_iter().find(|variant| variant.shader.name == shader.name) else { continue };
        let edited = Variant { shader: edited, ..variant };
        let example = example.get_or_init(|| Example::of(case));
        match pollster::block_on(check_variant(gpu, case, &edited, example)) {
            // A shader that these sizes make invalid says nothing about `verify`.
            Outcome::Failed { reason } if !reason.contains("cannot compile") => {
                return Some(variant_label(case.as_ref(), &edited));
            }
            _ => {}
        }
    }
    None
}
