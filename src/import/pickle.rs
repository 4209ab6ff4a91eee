//! Reads Python's pickles as data: nothing is imported and nothing is called. What a pickle would call stays a call.
//!
//! The format is a program for a machine with a stack ([`pickletools`](https://docs.python.org/3/library/pickletools.html)
//! explains each instruction). All values lie in one list and are named by their places in it, since they may share parts.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

/// The place of a value.
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes, and whole numbers that do not fit, which no tensor needs.
    Other,
    /// A list, tuple or set.
    List(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// Something of a module, as `module name`.
    Global(String),
    /// What stands outside the pickle, named by a value.
    Persistent(Id),
    /// What a call would give: of what, with what, the state that it would be given, and the entries.
    Call {
        of: Id,
        with: Id,
        state: Option<Id>,
        entries: Vec<(Id, Id)>,
    },
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// If it is damaged, or has an instruction that files of tensors do not have.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut machine = Machine { rest: bytes, objects: vec![], stack: vec![], marks: vec![], memo: HashMap::new() };
        let root = machine.run()?;
        Ok(Self { objects: machine.objects, root })
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        if let Object::Text(text) | Object::Global(text) = self.get(id) { Some(text) } else { None }
    }

    pub(super) fn list(&self, id: Id) -> Option<&[Id]> {
        if let Object::List(items) = self.get(id) { Some(items) } else { None }
    }

    /// Sizes from 0 on.
    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.list(id)?.iter().map(|&item| self.size(item)).collect()
    }

    pub(super) fn size(&self, id: Id) -> Option<usize> {
        if let Object::Int(value) = self.get(id) { usize::try_from(*value).ok() } else { None }
    }

    /// The entries of a dictionary, also of an ordered one; none of another value.
    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Object::Dict(entries) => Some(entries),
            Object::Call { of, entries, .. } if self.text(*of)? == "collections OrderedDict" => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a dictionary.
    pub(super) fn entry(&self, id: Id, key: &str) -> Option<Id> {
        let entries = self.entries(id)?;
        entries.iter().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}

/// What the instructions change.
struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id> {
        loop {
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => drop(self.bytes(1)?),
                0x95 => drop(self.bytes(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.marked()?),
                b'2' => {
                    let top = *self.stack.last().context("the pickle takes a value that is not there")?;
                    self.stack.push(top);
                }
                b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
                b']' | b')' | 0x8f | b'l' | b't' | 0x85..=0x87 | b'a' | b'e' | 0x90 | 0x91 => self.list(code)?,
                b'}' | b'd' | b's' | b'u' => self.dict(code)?,
                b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'Q' => self.call(code)?,
                _ => {
                    let value = self.scalar(code)?;
                    self.push(value);
                }
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Result<&[u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).context("the pickle ends too early")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// A whole number of so many bytes.
    fn number(&mut self, count: usize) -> Result<u64> {
        Ok(self.bytes(count)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// As many bytes as a number of so many bytes says.
    fn counted(&mut self, count: usize) -> Result<&[u8]> {
        let length = self.number(count)?;
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').context("the pickle ends too early")?;
        let line = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.byte()?;
        Ok(line)
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id> {
        let is_above_mark = self.marks.last().is_none_or(|&mark| self.stack.len() > mark);
        self.stack.pop().filter(|_| is_above_mark).context("the pickle takes a value that is not there")
    }

    /// The values behind the last mark.
    fn marked(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("the pickle takes values behind no mark")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn pairs(values: &[Id]) -> impl Iterator<Item = (Id, Id)> {
        values.as_chunks().0.iter().map(|&[key, value]| (key, value))
    }

    fn scalar(&mut self, code: u8) -> Result<Object> {
        let text = |bytes: &[u8]| Object::Text(String::from_utf8_lossy(bytes).into_owned());
        Ok(match code {
            b'N' => Object::None,
            0x88 | 0x89 => Object::Bool(code == 0x88),
            b'J' => Object::Int(i64::from(self.number(4)? as u32 as i32)),
            b'K' => Object::Int(self.number(1)? as i64),
            b'M' => Object::Int(self.number(2)? as i64),
            0x8a => whole(self.counted(1)?),
            0x8b => whole(self.counted(4)?),
            b'G' => Object::Float(f64::from_bits(self.number(8)?.swap_bytes())),
            b'X' | b'T' => text(self.counted(4)?),
            0x8c | b'U' => text(self.counted(1)?),
            0x8d => text(self.counted(8)?),
            b'B' => self.counted(4).map(|_| Object::Other)?,
            b'C' => self.counted(1).map(|_| Object::Other)?,
            0x8e | 0x96 => self.counted(8).map(|_| Object::Other)?,
            other => bail!("the pickle has the instruction {other:#04x}, which files of tensors do not have"),
        })
    }

    /// Notes the value on top, or takes one that was noted.
    fn remember(&mut self, code: u8) -> Result<()> {
        let key = match code {
            0x94 => self.memo.len() as u32,
            b'q' | b'h' => self.number(1)? as u32,
            _ => self.number(4)? as u32,
        };
        if matches!(code, b'h' | b'j') {
            let value = *self.memo.get(&key).context("the pickle takes a value that it has not noted")?;
            self.stack.push(value);
        } else {
            let top = *self.stack.last().context("the pickle notes a value that is not there")?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn list(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b']' | b')' | 0x8f => vec![],
            0x85..=0x87 => {
                let mut items = (0..=code - 0x85).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                items
            }
            b'a' => vec![self.pop()?],
            _ => self.marked()?,
        };
        if !matches!(code, b'a' | b'e' | 0x90) {
            self.push(Object::List(items));
            return Ok(());
        }
        let list = *self.stack.last().context("the pickle adds to a list that is not there")?;
        if let Object::List(own) = &mut self.objects[list] {
            own.extend(items);
        }
        Ok(())
    }

    fn dict(&mut self, code: u8) -> Result<()> {
        let values = match code {
            b'}' => vec![],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.marked()?,
        };
        if matches!(code, b'}' | b'd') {
            self.push(Object::Dict(Self::pairs(&values).collect()));
            return Ok(());
        }
        let dict = *self.stack.last().context("the pickle adds to a dictionary that is not there")?;
        if let Object::Dict(entries) | Object::Call { entries, .. } = &mut self.objects[dict] {
            entries.extend(Self::pairs(&values));
        }
        Ok(())
    }

    fn call(&mut self, code: u8) -> Result<()> {
        match code {
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.push(Object::Global(name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let part =
                    |id: Id| if let Object::Text(text) = &self.objects[id] { text.clone() } else { String::new() };
                let name = format!("{} {}", part(module), part(name));
                self.push(Object::Global(name));
            }
            b'b' => {
                let new = self.pop()?;
                let object = *self.stack.last().context("the pickle gives a state to nothing")?;
                if let Object::Call { state, .. } = &mut self.objects[object] {
                    *state = Some(new);
                }
            }
            b'Q' => {
                let name = self.pop()?;
                self.push(Object::Persistent(name));
            }
            _ => {
                if code == 0x92 {
                    self.pop()?;
                }
                let (with, of) = (self.pop()?, self.pop()?);
                self.push(Object::Call { of, with, state: None, entries: vec![] });
            }
        }
        Ok(())
    }
}

/// A whole number of any length, lowest byte first, in two's complement.
fn whole(bytes: &[u8]) -> Object {
    if bytes.len() > 8 {
        return Object::Other;
    }
    let fill = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Object::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python's `pickle.dumps` writes.
    fn parse(bytes: &[u8]) -> Pickle {
        Pickle::parse(bytes).unwrap()
    }

    #[test]
    fn values_are_read_as_python_writes_them() {
        // {'a': (1, -2, 300, 1 << 40), 'b': [None, True, 0.5, b'x']}, protocol 2.
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffM,\x01\x8a\x06\x00\x00\x00\x00\x00\x01tq\x02\
            X\x01\x00\x00\x00bq\x03]q\x04(N\x88G?\xe0\x00\x00\x00\x00\x00\x00C\x01xeu.";
        let pickle = parse(bytes);
        let numbers = pickle.list(pickle.entry(pickle.root(), "a").unwrap()).unwrap();
        let numbers: Vec<&Object> = numbers.iter().map(|&id| pickle.get(id)).collect();
        assert_eq!(numbers, [&Object::Int(1), &Object::Int(-2), &Object::Int(300), &Object::Int(1 << 40)]);
        let others = pickle.list(pickle.entry(pickle.root(), "b").unwrap()).unwrap();
        let others: Vec<&Object> = others.iter().map(|&id| pickle.get(id)).collect();
        assert_eq!(others, [&Object::None, &Object::Bool(true), &Object::Float(0.5), &Object::Other]);
    }

    #[test]
    fn nothing_is_called() {
        // os.system('echo'), protocol 2: a call that stays one.
        let pickle = parse(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.");
        let Object::Call { of, with, .. } = pickle.get(pickle.root()) else { panic!("{pickle:?}") };
        assert_eq!((pickle.text(*of), pickle.list(*with).map(<[Id]>::len)), (Some("os system"), Some(1)));
    }

    #[test]
    fn a_value_may_hold_itself() {
        // l = []; l.append(l)
        let pickle = parse(b"\x80\x02]q\x00h\x00a.");
        assert_eq!(pickle.list(pickle.root()), Some(&[pickle.root()][..]));
    }

    #[test]
    fn damaged_pickles_are_refused() {
        for bytes in [&b""[..], b"\x80\x02", b"a.", b"(.", b"t.", b"R.", b"h\x07.", b"X\xff\xff\xff\xff", b"\xff."] {
            assert!(Pickle::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
