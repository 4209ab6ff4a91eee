//! Puts checks into a shader's text: naga finds the places, the text stays the author's.

use std::collections::BTreeMap;
use std::fmt;

use gpu_digits::op::{Op, Variant};
use libtest_mimic::Failed;
use naga::back::pipeline_constants::process_overrides;
use naga::proc::{IndexableLength, TypeResolution};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, ArraySize, Expression, Function, Handle, Module, Statement, Type, TypeInner};

/// Words of a report: the number of the site counted from 1, the index and the first one beyond; the rounds.
pub(crate) const REPORT_WORDS: usize = 4;

/// A shader with checks.
pub(crate) struct Watched {
    pub(crate) source: String,
    /// The text of each checked access.
    pub(crate) sites: Vec<String>,
    pub(crate) loops: usize,
}

/// What a shader did wrong.
#[derive(Debug)]
pub(crate) enum Found {
    /// It read or wrote beyond an array of its own.
    Outside { access: String, index: u32, length: u32 },
    /// It looped more often than its variant states.
    Rounds { rounds: u32 },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside { access, index, length } => write!(f, "`{access}`: index {index} of {length}"),
            Self::Rounds { rounds } => write!(f, "{rounds} rounds of its loops are more than its variant states"),
        }
    }
}

/// What a report says.
pub(crate) fn read_report(words: &[u32], sites: &[String]) -> Option<Found> {
    match *words {
        [0, _, _, 0] => None,
        [0, _, _, rounds] => Some(Found::Rounds { rounds }),
        [site, index, length, _] => Some(Found::Outside { access: sites[site as usize - 1].clone(), index, length }),
        _ => unreachable!("a report of {REPORT_WORDS} words"),
    }
}

/// A shader's text with a check around every index into an array, matrix or vector of its own that is not a constant,
/// and at the beginning of every round of a loop.
pub(crate) fn watched(op: &dyn Op, variant: &Variant, source: &str) -> Result<Watched, Failed> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = validate(&module)?;
    let sizes = sizes_of_arrays(&module, &info, op, variant)?;
    let mut edits = Edits { source, sites: vec![], insertions: BTreeMap::new(), loops: 0 };
    let entry = &module.entry_points[0].function;
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    for (function, types) in functions.chain([(entry, info.get_entry_point(0))]) {
        let watched = Watching { module: &module, sizes: &sizes, function };
        for (handle, expression) in function.expressions.iter() {
            let Expression::Access { base, .. } = expression else { continue };
            let Some(length) = watched.length_of(&types[*base].ty) else { continue };
            let reach = watched.reach_of_matrix(handle)?;
            let span = function.expressions.get_span(handle).to_range().ok_or("an access has a place in the text")?;
            edits.check_index(span, length - reach);
        }
        edits.loops += loops(&function.body);
    }
    edits.count_rounds()?;
    let binding = op.operands().len();
    let header = format!(
        "@group(0) @binding({binding}) var<storage, read_write> watch_report: array<u32>;\n\
         var<private> watch_rounds: u32;\n\
         fn watch_index(i: u32, length: u32, site: u32) -> u32 {{\n    \
             if i < length {{ return i; }}\n    \
             watch_report[0] = site;\n    watch_report[1] = i;\n    watch_report[2] = length;\n    return 0u;\n\
         }}\n\
         fn watch_round() {{\n    \
             watch_rounds++;\n    \
             if watch_rounds > {iterations}u {{ watch_report[3] = watch_rounds; }}\n\
         }}\n",
        iterations = variant.iterations
    );
    Ok(edits.finish(&header))
}

fn validate(module: &Module) -> Result<ModuleInfo, Failed> {
    Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(module)
        .map_err(|error| format!("{error:?}").into())
}

/// The lengths of the arrays whose size is an `override` expression, by their types.
fn sizes_of_arrays(
    module: &Module,
    info: &ModuleInfo,
    op: &dyn Op,
    variant: &Variant,
) -> Result<BTreeMap<Handle<Type>, u32>, Failed> {
    let constants = [op.sizes(), variant.constants.clone()].concat();
    let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let entry = Some((naga::ShaderStage::Compute, variant.shader.entry_point()));
    let (fixed, _) = process_overrides(module, info, entry, &constants).map_err(|error| format!("{error:?}"))?;
    let mut sizes = BTreeMap::new();
    for (_, variable) in module.global_variables.iter() {
        let TypeInner::Array { size: ArraySize::Pending(_), .. } = module.types[variable.ty].inner else { continue };
        let same = |(_, other): &(_, &naga::GlobalVariable)| other.name == variable.name;
        // What the entry point does not use is left out.
        let Some((_, fixed_variable)) = fixed.global_variables.iter().find(same) else { continue };
        let TypeInner::Array { size, .. } = fixed.types[fixed_variable.ty].inner else { continue };
        match size.resolve(fixed.to_ctx()).map_err(|error| error.to_string())? {
            IndexableLength::Known(length) => sizes.insert(variable.ty, length),
            IndexableLength::Dynamic => None,
        };
    }
    Ok(sizes)
}

fn loops(block: &naga::Block) -> usize {
    let of = |statement: &Statement| match statement {
        Statement::Block(block) => loops(block),
        Statement::If { accept, reject, .. } => loops(accept) + loops(reject),
        Statement::Switch { cases, .. } => cases.iter().map(|case| loops(&case.body)).sum(),
        Statement::Loop { body, continuing, .. } => 1 + loops(body) + loops(continuing),
        _ => 0,
    };
    block.iter().map(of).sum()
}

struct Watching<'a> {
    module: &'a Module,
    sizes: &'a BTreeMap<Handle<Type>, u32>,
    function: &'a Function,
}

impl Watching<'_> {
    /// How many elements an indexed value has; none where it is a buffer's.
    fn length_of(&self, base: &TypeResolution) -> Option<u32> {
        match *base.inner_with(&self.module.types) {
            TypeInner::Pointer { space: AddressSpace::Storage { .. } | AddressSpace::Uniform, .. }
            | TypeInner::ValuePointer { space: AddressSpace::Storage { .. } | AddressSpace::Uniform, .. } => None,
            TypeInner::Pointer { base, .. } => self.elements(base, &self.module.types[base].inner),
            TypeInner::ValuePointer { size, .. } => size.map(|size| size as u32),
            ref inner => self.elements(base.handle()?, inner),
        }
    }

    fn elements(&self, ty: Handle<Type>, inner: &TypeInner) -> Option<u32> {
        match *inner {
            TypeInner::Vector { size, .. } => Some(size as u32),
            TypeInner::Matrix { columns, .. } => Some(columns as u32),
            TypeInner::Array { size: ArraySize::Constant(length), .. } => Some(length.get()),
            TypeInner::Array { size: ArraySize::Pending(_), .. } => Some(self.sizes[&ty]),
            _ => None,
        }
    }

    /// How many elements behind the first one a cooperative matrix takes that is loaded from or stored to an access.
    fn reach_of_matrix(&self, access: Handle<Expression>) -> Result<u32, Failed> {
        let mut reach = 0;
        for (_, expression) in self.function.expressions.iter() {
            match expression {
                Expression::CooperativeLoad { columns, rows, data, .. } if data.pointer == access => {
                    let lines = if data.row_major { *rows } else { *columns } as u32;
                    let line = (*rows as u32).max(*columns as u32);
                    reach = reach.max((lines - 1) * self.constant(data.stride)? + line - 1);
                }
                _ => {}
            }
        }
        self.stored(&self.function.body, access, &mut reach)?;
        Ok(reach)
    }

    fn stored(&self, block: &naga::Block, access: Handle<Expression>, reach: &mut u32) -> Result<(), Failed> {
        for statement in block {
            match statement {
                Statement::Block(block) => self.stored(block, access, reach)?,
                Statement::If { accept, reject, .. } => {
                    self.stored(accept, access, reach)?;
                    self.stored(reject, access, reach)?;
                }
                Statement::Loop { body, .. } => self.stored(body, access, reach)?,
                Statement::CooperativeStore { data, .. } if data.pointer == access => {
                    // Square matrices alone are used, whose rows are no longer than the distance of two.
                    let stride = self.constant(data.stride)?;
                    *reach = (*reach).max(self.side() * stride - stride + self.side() - 1);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Rows and columns of the cooperative matrices of a shader.
    fn side(&self) -> u32 {
        let side = |(_, ty): (_, &Type)| match ty.inner {
            TypeInner::CooperativeMatrix { columns, .. } => Some(columns as u32),
            _ => None,
        };
        self.module.types.iter().find_map(side).unwrap_or_default()
    }

    fn constant(&self, expression: Handle<Expression>) -> Result<u32, Failed> {
        let literal = |expression: &Expression| match expression {
            Expression::Literal(naga::Literal::U32(value)) => Some(*value),
            _ => None,
        };
        let value = match &self.function.expressions[expression] {
            Expression::Constant(handle) => {
                literal(&self.module.global_expressions[self.module.constants[*handle].init])
            }
            expression => literal(expression),
        };
        value.ok_or_else(|| "the distance of a matrix's rows is no constant: it cannot be judged".into())
    }
}

/// What is put into a text, by place.
struct Edits<'a> {
    source: &'a str,
    sites: Vec<String>,
    insertions: BTreeMap<usize, String>,
    loops: usize,
}

impl Edits<'_> {
    fn insert(&mut self, place: usize, text: &str) {
        self.insertions.entry(place).or_default().push_str(text);
    }

    /// Checks the index of the access that stands at `span`, from its base to its closing bracket.
    fn check_index(&mut self, span: std::ops::Range<usize>, length: u32) {
        let access = &self.source[span.clone()];
        let mut depth = 0;
        let open = access.char_indices().rev().find(|(_, letter)| {
            depth += match letter {
                ']' => 1,
                '[' => -1,
                _ => 0,
            };
            depth == 0
        });
        let (open, _) = open.expect("an access has brackets");
        assert!(access.ends_with(']'), "`{access}` ends with its index");
        self.sites.push(access.to_owned());
        let site = self.sites.len();
        self.insert(span.start + open + 1, "watch_index(");
        self.insert(span.end - 1, &format!(", {length}u, {site}u)"));
    }

    /// Counts the rounds of every `for`; there are no other loops.
    fn count_rounds(&mut self) -> Result<(), Failed> {
        let mut found = 0;
        let mut start = 0;
        for line in self.source.split_inclusive('\n') {
            let code = line.split("//").next().unwrap_or_default();
            for (at, _) in code.match_indices("for (") {
                let head = start + at + "for ".len();
                let mut depth = 0;
                let close = self.source[head..].char_indices().find(|(_, letter)| {
                    depth += match letter {
                        '(' => 1,
                        ')' => -1,
                        _ => 0,
                    };
                    depth == 0
                });
                let (close, _) = close.ok_or("a loop's head ends")?;
                let brace = head + close + self.source[head + close..].find('{').ok_or("a loop has a body")?;
                self.insert(brace + 1, " watch_round();");
                found += 1;
            }
            start += line.len();
        }
        let loops = self.loops;
        (found == loops)
            .then_some(())
            .ok_or_else(|| format!("{found} loops are counted, the shader has {loops}").into())
    }

    fn finish(self, header: &str) -> Watched {
        let mut source = String::new();
        let mut from = 0;
        // What enables a feature comes before all else.
        let enables =
            self.source.match_indices("enable ").filter(|(at, _)| *at == 0 || self.source[..*at].ends_with('\n'));
        let behind = enables.last().map_or(0, |(at, _)| at + self.source[at..].find('\n').unwrap_or_default() + 1);
        for (place, text) in std::iter::once((behind, header.to_owned())).chain(self.insertions) {
            source.push_str(&self.source[from..place]);
            source.push_str(&text);
            from = place;
        }
        source.push_str(&self.source[from..]);
        Watched { source, sites: self.sites, loops: self.loops }
    }
}
