//! A document taken apart where it lies: no tree is built of it, so that a stranger's document takes no
//! memory beside its own text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer as _,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

/// A document, or a value in it, that is sound to its end: whatever is taken of it can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a>(&'a str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Boolean,
    Null,
    Array,
    Object,
}

impl<'a> Document<'a> {
    /// Nothing of what is no JSON, nests more than 127 levels or has a number beyond 64 bits.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        serde_json::from_str::<Sound>(text).ok()?;
        Some(Self(text.trim_ascii()))
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// As it is written
    pub(crate) fn source(self) -> &'a str {
        self.0
    }

    /// What a string says
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        serde_json::from_str::<Text<'a>>(self.0).ok().map(|Text(text)| text)
    }

    /// Gives each element of an array; of anything else, nothing.
    pub(crate) fn elements(self, each: impl FnMut(usize, Self)) {
        if self.kind() == Kind::Array {
            // It is sound, so it is read to its end.
            let _ = Deserializer::from_str(self.0).deserialize_seq(Elements(each));
        }
    }

    /// Gives each member of an object; of anything else, nothing.
    pub(crate) fn members(self, each: impl FnMut(&str, Self)) {
        if self.kind() == Kind::Object {
            let _ = Deserializer::from_str(self.0).deserialize_map(Members(each));
        }
    }

    /// The member of an object that has this name; of several the last, as most readers take it.
    pub(crate) fn member(self, name: &str) -> Option<Self> {
        let mut found = None;
        self.members(|other, value| {
            if other == name {
                found = Some(value);
            }
        });
        found
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Elements<Each>(Each);

impl<'a, Each: FnMut(usize, Document<'a>)> Visitor<'a> for Elements<Each> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut all: A) -> Result<(), A::Error> {
        let mut at = 0;
        while let Some(element) = all.next_element::<&'a RawValue>()? {
            (self.0)(at, Document(element.get()));
            at += 1;
        }
        Ok(())
    }
}

struct Members<Each>(Each);

impl<'a, Each: FnMut(&str, Document<'a>)> Visitor<'a> for Members<Each> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut all: A) -> Result<(), A::Error> {
        while let Some((Text(name), value)) = all.next_entry::<Text<'a>, &'a RawValue>()? {
            (self.0)(&name, Document(value.get()));
        }
        Ok(())
    }
}

/// Any value, read to its end with every string and number in it: serde's own `IgnoredAny` lets half a
/// surrogate pair pass.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Every)
    }
}

struct Every;

impl<'de> Visitor<'de> for Every {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Sound, A::Error> {
        while all.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Sound, A::Error> {
        while all.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}
