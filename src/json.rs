//! Reads JSON files that this program wrote. Each number is restored exactly, and a number that was not finite becomes
//! NaN.
//!
//! JSON has no NaN and no infinity; serde_json writes `null` in their place and then refuses to read it as a number.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

/// Reads a value from JSON text; `null` instead of a number is NaN.
///
/// # Errors
/// If the text is not JSON, or not of this type.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(NullIsNan(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Reads a value from JSON text that names its `schema`.
///
/// # Errors
/// The same as for [`parse`], or if it has another schema; `remedy` then says what to do.
pub(crate) fn parse_versioned<T: DeserializeOwned>(text: &str, schema: u32, remedy: &str) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Version {
        #[serde(default)]
        schema: Value,
    }
    let found = serde_json::from_str::<Version>(text).context("it is not JSON")?.schema;
    ensure!(found == schema, "it has schema {found}, but this version reads schema {schema}; {remedy}");
    parse(text).context("it is damaged")
}

/// Wraps a deserializer, visitor or access of serde so that numbers may be `null`.
struct NullIsNan<T>(T);

/// Forwards calls to the inner deserializer with a wrapped visitor.
macro_rules! wrap_visitor {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            self.0.$method($($argument,)* NullIsNan(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for NullIsNan<D> {
    type Error = D::Error;

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_option(Number { visitor, is_single: true })
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_option(Number { visitor, is_single: false })
    }

    wrap_visitor! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }
}

/// Forwards plain values to the inner visitor.
macro_rules! pass_values {
    ($($method:ident($type:ty);)*) => {
        $(fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for NullIsNan<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    pass_values! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
        visit_string(String);
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(NullIsNan(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(NullIsNan(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(NullIsNan(access))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(NullIsNan(access))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(NullIsNan(access))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NullIsNan<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(NullIsNan(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for NullIsNan<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(NullIsNan(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for NullIsNan<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(NullIsNan(seed))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for NullIsNan<A> {
    type Error = A::Error;
    type Variant = NullIsNan<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, content) = self.0.variant_seed(seed)?;
        Ok((name, NullIsNan(content)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for NullIsNan<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(NullIsNan(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, NullIsNan(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, NullIsNan(visitor))
    }
}

/// Passes NaN to a number's visitor for `null`.
struct Number<V> {
    visitor: V,
    is_single: bool,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Number<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_f64(f64::NAN)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        // Reading a 32-bit float through 64 bits would round twice and may give another float.
        if self.is_single {
            deserializer.deserialize_f32(self.visitor)
        } else {
            deserializer.deserialize_f64(self.visitor)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Debug;

    use serde::{Deserialize, Serialize};

    use super::*;

    /// 64-bit floats that an inexact parser gets wrong in the last bit, and some that are not finite.
    pub(crate) const HARD: [f64; 8] = [
        0.1 + 0.2,
        5e-324,
        2.225_073_858_507_201e-308,
        f64::MAX,
        -9_007_199_254_740_993.0,
        1.448_997_445_238_699,
        f64::NAN,
        f64::INFINITY,
    ];

    /// A 32-bit float that changes if it is read through 64 bits.
    pub(crate) const HARD_SINGLE: f32 = 7.038_531e-26;

    /// Checks that a file of this value can be read, and that each finite number in it is exactly the same.
    pub(crate) fn comes_back<T: Serialize + DeserializeOwned + Debug>(value: &T) {
        let text = serde_json::to_string_pretty(value).unwrap();
        let read: T = parse(&text).unwrap_or_else(|error| panic!("{error:#} in {text}"));
        // Debug writes the shortest digits that identify a number.
        let finite = |value: &T| format!("{value:?}").replace("-inf", "NaN").replace("inf", "NaN");
        assert_eq!(finite(&read), finite(value));
    }

    #[derive(Debug, Deserialize, Serialize)]
    enum Nested {
        Unit,
        Tuple(f64, f32),
        Struct { values: Vec<f64>, pair: [f32; 2], more: Option<Box<Nested>> },
    }

    #[test]
    fn numbers_come_back_to_the_bit_wherever_they_stand() {
        let tuple = Box::new(Nested::Tuple(f64::NEG_INFINITY, f32::NAN));
        let nested = Nested::Struct { values: HARD.to_vec(), pair: [HARD_SINGLE, f32::MAX], more: Some(tuple) };
        comes_back(&(nested, Nested::Unit, Some(1.5f64), "null".to_owned()));
    }

    #[test]
    fn ten_thousand_random_numbers_come_back_to_the_bit() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        };
        let doubles: Vec<f64> = (0..10_000).map(|_| f64::from_bits(next())).filter(|value| value.is_finite()).collect();
        let singles: Vec<f32> =
            (0..10_000).map(|_| f32::from_bits(next() as u32)).filter(|value| value.is_finite()).collect();
        let read: Vec<f64> = parse(&serde_json::to_string(&doubles).unwrap()).unwrap();
        assert!(read.iter().zip(&doubles).all(|(read, value)| read.to_bits() == value.to_bits()));
        let read: Vec<f32> = parse(&serde_json::to_string(&singles).unwrap()).unwrap();
        assert!(read.iter().zip(&singles).all(|(read, value)| read.to_bits() == value.to_bits()));
    }

    #[test]
    fn another_schema_is_told_from_damage() {
        let why = |text| format!("{:#}", parse_versioned::<Vec<f64>>(text, 1, "measure again").unwrap_err());
        assert!(why("no json").contains("not JSON"));
        assert!(why("{}").contains("schema null"));
        assert!(why("{\"schema\": 2}").contains("it has schema 2, but this version reads schema 1; measure again"));
        assert!(why("{\"schema\": 1}").contains("damaged"));
    }
}
