//! Hands on a part of an archive: what a predicate names.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
};

use thiserror::Error;

use crate::archive::{
    error::ArchiveError,
    sink::{Contents, Last, Sink},
};

/// Hard links that were selected while their file was not: it had passed by when they came. Read once more with
/// [`Selected::with`], they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
#[error("{} of its hard links are to files that were passed over", .0.len())]
pub struct NotSelected(
    /// Each link's path, and the path of the file that has its contents
    BTreeMap<String, String>,
);

/// A sink for what is selected, with the directories that it lies in.
pub struct Selected<S, F> {
    inner: S,
    predicate: F,
    /// Files that are not selected, and the selected hard links to each
    linked: HashMap<String, Vec<String>>,
    /// Directories that were handed on
    made: HashSet<String>,
}

impl<S: Sink, F: FnMut(&str) -> bool> Selected<S, F> {
    /// Paths that the predicate names: files, symlinks, and directories by themselves.
    pub fn new(inner: S, predicate: F) -> Self {
        Self { inner, predicate, linked: HashMap::new(), made: HashSet::new() }
    }

    /// The same, with what a reading before has found out.
    pub fn with(mut self, known: &NotSelected) -> Self {
        for (link, file) in &known.0 {
            self.linked.entry(file.clone()).or_default().push(link.clone());
        }
        self
    }

    fn make(&mut self, directory: &str) -> Result<(), ArchiveError> {
        self.make_parents(directory)?;
        if self.made.insert(directory.to_owned()) {
            self.inner.directory(directory)?;
        }
        Ok(())
    }

    fn make_parents(&mut self, path: &str) -> Result<(), ArchiveError> {
        for (end, _) in path.match_indices('/') {
            if !self.made.contains(&path[..end]) {
                self.made.insert(path[..end].to_owned());
                self.inner.directory(&path[..end])?;
            }
        }
        Ok(())
    }
}

impl<S: Sink, F: FnMut(&str) -> bool> Sink for Selected<S, F> {
    type Output = S::Output;

    fn scratch_file(&mut self) -> Result<Option<File>, ArchiveError> {
        self.inner.scratch_file()
    }

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        if (self.predicate)(path) { self.make(path) } else { Ok(()) }
    }

    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        let path = if (self.predicate)(&path) {
            path
        } else {
            // Under the name of a link to it, which the others are then copies of.
            let Some(link) = self.linked.get(&path).and_then(|links| links.first()) else {
                return Ok(());
            };
            link.clone()
        };
        self.make_parents(&path)?;
        self.inner.file(path, executable, contents)
    }

    fn finish(mut self, last: Last) -> Result<S::Output, ArchiveError> {
        let mut files: HashMap<String, String> = HashMap::new();
        let mut selected = Last::default();
        let mut missing = BTreeMap::new();
        for (from, to) in last.copies {
            let file = files.get(&from).cloned().unwrap_or(from); // a link to a link is one to the file
            files.insert(to.clone(), file.clone());
            if !(self.predicate)(&to) {
                continue;
            }
            self.make_parents(&to)?;
            if (self.predicate)(&file) {
                selected.copies.push((file, to));
                continue;
            }
            match self.linked.get(&file).and_then(|links| links.first()) {
                Some(first) if *first == to => {}
                Some(first) => selected.copies.push((first.clone(), to)),
                None => {
                    missing.insert(to, file);
                }
            }
        }
        if !missing.is_empty() {
            let error = ArchiveError::Sink(NotSelected(missing).into());
            return Err(self.inner.abandon(error));
        }
        for (name, target) in last.links {
            if (self.predicate)(&name) {
                self.make_parents(&name)?;
                selected.links.push((name, target));
            }
        }
        self.inner.finish(selected)
    }

    fn abandon(self, error: ArchiveError) -> ArchiveError {
        self.inner.abandon(error)
    }
}
