//! Whether the files of a bento are such that its environment can be built without it.

use step::text;

use crate::recipe::{
    layered::{Copy, Recipe},
    listing::{DIRECTORIES, Entry, Listing, MARKER, parents},
    source::Source,
    whole::Whole,
};

/// What the late commands are run by.
const PROGRAMS: [&str; 5] = ["bash", "chmod", "chown", "rm", "sh"];

/// Names that `ADD` unpacks, whatever is in them.
const ARCHIVES: [&str; 10] = ["tar", "gz", "tgz", "bz2", "tbz", "tbz2", "xz", "txz", "zst", "tzst"];

/// How what `ADD` unpacks begins: gzip, bzip2, xz and Zstandard.
const MAGICS: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];

impl Recipe {
    /// Whether all files of a bento agree with what the Dockerfile promises.
    pub fn check(&self, listing: &Listing) -> Result<(), Whole> {
        self.check_so_far(listing)?;
        self.check_sources(listing)?;
        self.check_chmods(listing)?;
        self.check_directories(listing)
    }

    /// The same of a part of the files: what is there must not be, whatever else comes.
    pub fn check_so_far(&self, listing: &Listing) -> Result<(), Whole> {
        for name in [".dockerignore".to_owned(), format!("{}.dockerignore", self.file)] {
            if listing.has(&name) {
                return Err(Whole::in_file(&name, "keeps files of the bento out of the image"));
            }
        }
        if listing.has(MARKER) {
            return Err(Whole::in_file(MARKER, "has the name of the file that marks environments"));
        }
        for name in DIRECTORIES {
            if listing.has(name) && !listing.is_directory(name) {
                return Err(Whole::in_file(
                    name,
                    "is no directory, and each environment has one of that name",
                ));
            }
        }
        self.check_programs(listing)?;
        for copy in &self.copies {
            for source in &copy.sources {
                self.check_found(copy, source, listing)?;
            }
        }
        for chmod in &self.chmods {
            let link = listing
                .entries
                .iter()
                .find(|(path, entry)| matches!(entry, Entry::Link { .. }) && chmod.may_be(path));
            if let Some((path, _)) = link {
                return Err(self.whole(chmod.line, &format!("names `{path}`, which is a link")));
            }
        }
        Ok(())
    }

    /// A program of the bento in place of the image's, by some PATH, would be one that reads it.
    fn check_programs(&self, listing: &Listing) -> Result<(), Whole> {
        let Some(line) = self.late_command else { return Ok(()) };
        let found = listing.entries.iter().find(|(path, entry)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            PROGRAMS.contains(&name) && **entry != Entry::Directory
        });
        match found {
            Some((path, _)) => Err(self.whole(
                line,
                &format!("runs after the bento was copied, which has a `{path}` of its own"),
            )),
            None => Ok(()),
        }
    }

    /// What one source names among the files that are there.
    fn check_found(&self, copy: &Copy, source: &Source, listing: &Listing) -> Result<(), Whole> {
        let whole =
            |path: &str, what: &str| self.whole(copy.line, &format!("copies `{path}`, {what}"));
        if let Source::Path { path, is_directory } = source {
            let is_link =
                |path: &str| matches!(listing.entries.get(path), Some(Entry::Link { .. }));
            if let Some(link) = parents(path).find(|parent| is_link(parent)) {
                return Err(whole(path, &format!("and `{link}` is a link")));
            }
            if *is_directory && listing.has(path) && !listing.is_directory(path) {
                return Err(whole(path, "which is no directory"));
            }
        }
        for (path, entry) in listing.entries.iter().filter(|(path, _)| source.names(path)) {
            match entry {
                Entry::Link { .. } => return Err(whole(path, "which is a link")),
                Entry::File { size, .. } if copy.adds => match listing.texts.get(path) {
                    Some(content) if !is_archive(path, content) => {}
                    // An empty file is none.
                    None if *size == 0 && !has_archive_s_name(path) => {}
                    _ => return Err(whole(path, "and ADD unpacks archives")),
                },
                Entry::File { .. } | Entry::Directory => {}
            }
        }
        Ok(())
    }

    /// kaniko fails where something that is named is not there, and skips a pattern that matches nothing.
    fn check_sources(&self, listing: &Listing) -> Result<(), Whole> {
        for copy in &self.copies {
            for source in &copy.sources {
                match source {
                    Source::Path { path, .. } if !listing.has(path) => {
                        let reason = format!("copies `{path}`, which the bento does not have");
                        return Err(self.whole(copy.line, &reason));
                    }
                    Source::Glob { .. } => {
                        let found = missing(listing).find(|name| source.names(name));
                        if let Some(name) = found {
                            let reason = format!(
                                "matches `{name}`, which the bento does not have and each environment has"
                            );
                            return Err(self.whole(copy.line, &reason));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn check_chmods(&self, listing: &Listing) -> Result<(), Whole> {
        for chmod in &self.chmods {
            let is_there = listing
                .entries
                .iter()
                .any(|(path, entry)| matches!(entry, Entry::File { .. }) && chmod.may_be(path));
            if !is_there {
                return Err(self.whole(chmod.line, "names no file of the bento"));
            }
        }
        Ok(())
    }

    /// What the bento lacks is taken out of the environment, which may have made one of its own.
    fn check_directories(&self, listing: &Listing) -> Result<(), Whole> {
        for name in missing(listing) {
            if let Some((line, _)) = self.names.iter().find(|(_, named)| *named == name) {
                let reason =
                    format!("names `{name}`, which the bento does not have and may be made there");
                return Err(self.whole(*line, &reason));
            }
        }
        Ok(())
    }

    fn whole(&self, line: usize, reason: &str) -> Whole {
        Whole::in_line(&self.file, &self.text, line, text::clean(reason))
    }
}

/// The directories of each skeleton that a bento does not have.
fn missing(listing: &Listing) -> impl Iterator<Item = &'static str> {
    DIRECTORIES.into_iter().filter(|name| !listing.has(name))
}

/// Whether ADD unpacks it, or may: kaniko looks at what is in it, other builders at less.
fn is_archive(path: &str, content: &[u8]) -> bool {
    has_archive_s_name(path)
        || MAGICS.iter().any(|magic| content.starts_with(magic))
        || matches!(content, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) // a frame of Zstandard that holds nothing
        || is_tar(content)
}

fn has_archive_s_name(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, end)| ARCHIVES.iter().any(|archive| end.eq_ignore_ascii_case(archive)))
}

/// Whether it begins with a header of tar, of which all formats have the checksum.
fn is_tar(content: &[u8]) -> bool {
    let Some(block) = content.first_chunk::<512>() else { return false };
    let field = &block[148..156];
    let digits = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| (b'0'..=b'7').contains(*byte));
    let wanted = digits.fold(0_i64, |sum, digit| sum * 8 + i64::from(digit - b'0'));
    let bytes = || {
        block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte })
    };
    // Old programs summed up signed bytes.
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    wanted == unsigned || wanted == signed
}
