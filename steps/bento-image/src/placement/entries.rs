//! Remembers many names in little memory, until it is known which of them matter.

use std::mem;

use crate::placement::error::Unfit;

/// Entries, and bytes for all of them, that an image may have in the layers that are looked through. A whole Python
/// environment of 500 MB has 60,000 entries and takes 3 MB here.
const MOST: usize = 200_000;
const MOST_BYTES: usize = 16 << 20;
/// Bytes that are taken at once. A name begins anew in each.
const PAGE: usize = 64 << 10;
/// Bytes of an entry besides its name.
const FIXED: usize = 2 + 2 + 4 + 1 + 2 + 8 + 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    HardLink,
    Symlink,
    Other,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Directory, Self::File, Self::HardLink, Self::Symlink, Self::Other];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File => "a file",
            Self::HardLink => "a hard link",
            Self::Symlink => "a symlink",
            Self::Other => "a device or a pipe",
        }
    }
}

/// What of an entry is remembered besides its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// 0 is the topmost
    pub(crate) layer: u32,
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// Names and entries in the order in which they came. A name is stored without what it has in common with the one
/// before it.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    full: Vec<Vec<u8>>,
    page: Vec<u8>,
    last: Vec<u8>,
    count: usize,
}

impl Entries {
    pub(crate) fn add(&mut self, name: &[u8], entry: Entry) -> Result<(), Unfit> {
        if self.page.is_empty() || self.page.len() + FIXED + name.len() > PAGE {
            let page = mem::replace(&mut self.page, Vec::with_capacity(PAGE));
            self.full.push(page);
            self.last.clear();
        }
        self.count += 1;
        if self.count > MOST {
            return Err(Unfit::TooLarge("200,000 entries"));
        }
        if self.full.len() * PAGE > MOST_BYTES {
            return Err(Unfit::TooLarge("16 MiB of names"));
        }
        let common = name.iter().zip(&self.last).take_while(|(new, old)| new == old).count();
        let length =
            |bytes: usize| u16::try_from(bytes).map_err(|_| Unfit::TooLarge("64 KiB in a name"));
        let (common_length, rest_length) = (length(common)?, length(name.len() - common)?);
        let page = &mut self.page;
        page.extend(common_length.to_le_bytes());
        page.extend(rest_length.to_le_bytes());
        page.extend(&name[common..]);
        page.extend(entry.layer.to_le_bytes());
        page.push(entry.kind as u8);
        page.extend(entry.mode.to_le_bytes());
        page.extend(entry.uid.to_le_bytes());
        page.extend(entry.gid.to_le_bytes());
        self.last.truncate(common);
        self.last.extend_from_slice(&name[common..]);
        Ok(())
    }

    /// Hands all of them to `each`, in the order in which they came.
    pub(crate) fn each<E>(
        &self,
        mut each: impl FnMut(&[u8], Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        for page in self.full.iter().chain([&self.page]) {
            let (mut rest, mut name) = (page.as_slice(), Vec::new());
            while let Some((entry, after)) = read(rest, &mut name) {
                each(&name, entry)?;
                rest = after;
            }
        }
        Ok(())
    }
}

/// The first entry of what is left of a page, whose name takes the place of the last one's; and what is left then.
fn read<'a>(page: &'a [u8], name: &mut Vec<u8>) -> Option<(Entry, &'a [u8])> {
    let (common, page) = page.split_first_chunk()?;
    let (length, page) = page.split_first_chunk()?;
    let (own, page) = page.split_at_checked(u16::from_le_bytes(*length).into())?;
    name.truncate(u16::from_le_bytes(*common).into());
    name.extend_from_slice(own);
    let (layer, page) = page.split_first_chunk()?;
    let (kind, page) = page.split_first()?;
    let (mode, page) = page.split_first_chunk()?;
    let (uid, page) = page.split_first_chunk()?;
    let (gid, page) = page.split_first_chunk()?;
    let entry = Entry {
        layer: u32::from_le_bytes(*layer),
        kind: *Kind::ALL.get(usize::from(*kind))?,
        mode: u16::from_le_bytes(*mode),
        uid: u64::from_le_bytes(*uid),
        gid: u64::from_le_bytes(*gid),
    };
    Some((entry, page))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let kind = prop::sample::select(&Kind::ALL[..]);
        (any::<u32>(), kind, any::<u16>(), any::<u64>(), any::<u64>())
            .prop_map(|(layer, kind, mode, uid, gid)| Entry { layer, kind, mode, uid, gid })
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            9 => prop::collection::vec(b'a'..b'd', 1..8),
            1 => (30_000..65_000_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        ]
    }

    proptest! {
        #[test]
        fn what_was_added_comes_back(added in prop::collection::vec((name(), entry()), 0..50)) {
            let mut entries = Entries::default();
            for (name, entry) in &added {
                entries.add(name, *entry).unwrap();
            }
            let mut found = Vec::new();
            let all = entries.each(|name, entry| { found.push((name.to_vec(), entry)); Ok::<_, ()>(()) });
            prop_assert_eq!(all, Ok(()));
            prop_assert!(found == added);
        }
    }

    fn add(count: usize, name: impl Fn(usize) -> String) -> (Result<(), Unfit>, usize) {
        let entry = Entry { layer: 0, kind: Kind::File, mode: 0o644, uid: 0, gid: 0 };
        let mut entries = Entries::default();
        let all = (0..count).try_for_each(|number| entries.add(name(number).as_bytes(), entry));
        (all, entries.full.len() * PAGE)
    }

    #[test]
    fn a_whole_python_environment_takes_little_and_there_is_an_end() {
        let module = |number| {
            format!(
                "app/.venv/lib/python3.12/site-packages/torch/{:04}/module_{number:06}.py",
                number / 50
            )
        };
        let (all, bytes) = add(60_000, module);
        assert_eq!(all, Ok(()));
        assert!(bytes < 4 << 20, "{bytes}");
        assert_eq!(add(200_000, module).0, Ok(()));
        assert_eq!(add(200_001, module).0, Err(Unfit::TooLarge("200,000 entries")));
        let random = |number| format!("{number:04000}").chars().rev().collect();
        assert_eq!(add(200_000, random).0, Err(Unfit::TooLarge("16 MiB of names")));
        assert_eq!(add(1, |_| "x".repeat(1 << 16)).0, Err(Unfit::TooLarge("64 KiB in a name")));
    }
}
