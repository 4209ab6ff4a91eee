//! Shaders: WGSL files of `shaders/`, joined one after the other when Rust compiles.
//!
//! WGSL allows declarations in any order, so a text of whole files is a shader: there are no directives, no holes and
//! no work on text at run time. What several kernels share lies in `shaders/shared/`.

/// The text of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    /// The op's name for the plain kernel, otherwise `<op>.<variant>`.
    pub name: &'static str,
    /// Its files under `shaders/`, without `.wgsl`, in order. The last one has the entry point.
    pub parts: &'static [&'static str],
    /// The parts, each after a line with its name.
    pub source: &'static str,
    /// The text that this crate has for it, which tests have run; none of a text that is not the crate's.
    pub(crate) shipped: Option<&'static str>,
}

/// What the line before each part begins and ends with.
const MARK: (&str, &str) = ("// shaders/", ".wgsl");

/// A shader of files under `shaders/`: `shader!("name")` of the file with its name, `shader!("name": "part", …)` of
/// several, the kernel's last.
macro_rules! shader {
    ($name:literal) => {
        shader!($name: $name)
    };
    ($name:literal: $($part:literal),+) => {
        $crate::shader::Shader {
            name: $name,
            parts: &[$($part),+],
            ..$crate::shader::Shader::of_crate(concat!($(
                "// shaders/", $part, ".wgsl\n",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $part, ".wgsl"))
            ),+))
        }
    };
}
pub(crate) use shader;

impl Shader {
    /// A shader that lies in no file of this crate. Its entry point has its name up to the dot.
    ///
    /// wgpu bounds its loops: one that would not end is ended, which costs some speed. Shaders of this crate have no
    /// such bounds, since their loops are counted by a test.
    pub const fn from_text(name: &'static str, source: &'static str) -> Self {
        Self { name, parts: &[], source, shipped: None }
    }

    /// One with a text of this crate, but without its name and parts.
    pub(crate) const fn of_crate(source: &'static str) -> Self {
        Self { name: "", parts: &[], source, shipped: Some(source) }
    }

    /// The same with another text, which must have the same entry point and constants.
    pub fn with_source(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    /// Whether its text is this crate's, so that its loops are known to end, and its indices to lie in their arrays.
    pub(crate) fn is_shipped(&self) -> bool {
        self.shipped == Some(self.source)
    }

    /// The name of its entry point: that of its last part, up to the dot.
    pub fn entry_point(&self) -> &'static str {
        let kernel = self.parts.last().unwrap_or(&self.name);
        kernel.split_once('.').map_or(kernel, |(op, _)| op)
    }

    /// The word after the dot in its name; `plain` for the plain kernel.
    pub fn variant(&self) -> &'static str {
        self.name.split_once('.').map_or("plain", |(_, variant)| variant)
    }

    /// Its files, or its name if it lies in none.
    pub fn files(&self) -> String {
        match self.parts {
            [] => format!("`{}`", self.name),
            parts => parts.iter().map(|part| format!("shaders/{part}.wgsl")).collect::<Vec<_>>().join(" + "),
        }
    }

    /// The part that a line of the text belongs to, and the line's number there; lines are counted from 1.
    pub fn locate(&self, line: usize) -> Option<(&'static str, usize)> {
        let mut found = None;
        for (number, text) in (1..=line).zip(self.source.lines()) {
            let part = text.strip_prefix(MARK.0).and_then(|rest| rest.strip_suffix(MARK.1));
            // A mark names a part; a comment that looks like one does not.
            if let Some(&part) = part.and_then(|part| self.parts.iter().find(|&&of| of == part)) {
                found = Some((part, number));
            }
        }
        found.map(|(part, start)| (part, line - start))
    }

    /// A compiler's message in which lines of the text, `wgsl:12:5` and `12 │`, become lines of its parts.
    pub(crate) fn in_parts(&self, message: &str) -> String {
        let translated = |line: &str| {
            let place = || {
                let (before, rest) = line.split_once("wgsl:")?;
                let (number, rest) = rest.split_once(':')?;
                let (part, number) = self.locate(number.parse().ok()?)?;
                Some(format!("{before}shaders/{part}.wgsl:{number}:{rest}"))
            };
            let excerpt = || {
                let (number, rest) = line.split_once('│')?;
                let (_, own) = self.locate(number.trim().parse().ok()?)?;
                Some(format!("{own:>width$} │{rest}", width = number.trim_end().len()))
            };
            place().or_else(excerpt).unwrap_or_else(|| line.to_owned())
        };
        message.lines().map(translated).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOINED: Shader = Shader {
        name: "a_forward_f16.lanes",
        parts: &["shared/sizes", "a_forward.lanes"],
        source: "// shaders/shared/sizes.wgsl\none\n// shaders/other.wgsl\n// shaders/a_forward.lanes.wgsl\nfour\nfive\n",
        shipped: None,
    };

    #[test]
    fn a_shader_is_named_after_its_op_and_its_entry_point_after_its_kernel() {
        assert_eq!((JOINED.variant(), JOINED.entry_point()), ("lanes", "a_forward"));
        let own = Shader::from_text("square", "");
        assert_eq!((own.variant(), own.entry_point()), ("plain", "square"));
        assert!(!own.is_shipped());
        let one = shader!("relu_forward");
        assert!(one.is_shipped() && !one.with_source("loop {}").is_shipped());
        assert_eq!((one.variant(), one.entry_point()), ("plain", "relu_forward"));
        assert_eq!(one.source.lines().next(), Some("// shaders/relu_forward.wgsl"));
    }

    #[test]
    fn a_line_is_located_in_its_part() {
        assert_eq!(JOINED.locate(2), Some(("shared/sizes", 1)));
        assert_eq!(JOINED.locate(3), Some(("shared/sizes", 2)), "a comment that names no part");
        assert_eq!(JOINED.locate(6), Some(("a_forward.lanes", 2)));
        assert_eq!(Shader::from_text("square", "one").locate(1), None);
    }

    #[test]
    fn a_compilers_message_speaks_of_the_parts() {
        let message = "error: no definition\n  ┌─ wgsl:106:9\n    │\n106 │ five\n    │  ^";
        let long = format!("// shaders/a.wgsl\n{}// shaders/b.wgsl\none\n", "line\n".repeat(103));
        let shader = Shader { name: "b", parts: &["a", "b"], ..Shader::of_crate(long.leak()) };
        let wanted = "error: no definition\n  ┌─ shaders/b.wgsl:1:9\n    │\n  1 │ five\n    │  ^";
        assert_eq!(shader.in_parts(message), wanted);
    }
}
