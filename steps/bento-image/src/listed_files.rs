//! A bento that is judged by its list, without having been unpacked.

use std::io;

use bento_retrieve::bento::{
    BentoFiles,
    dockerfile::{Unsupported, scripts},
};
use step::text::clean;

use crate::recipe::{Entry, Listing};

/// The files of a bento, from its root on.
pub(crate) struct ListedFiles<'a>(pub(crate) &'a Listing);

impl BentoFiles for ListedFiles<'_> {
    fn root(&self) -> io::Result<String> {
        Ok(String::new())
    }

    fn is_file(&self, path: &str) -> bool {
        matches!(self.0.entries.get(path), Some(Entry::File { .. }))
    }

    fn text(&self, path: &str, most: u64) -> io::Result<Option<String>> {
        let Some(bytes) = self.0.texts.get(path).filter(|bytes| bytes.len() as u64 <= most) else {
            return Ok(None);
        };
        String::from_utf8(bytes.clone()).map(Some).map_err(io::Error::other)
    }

    fn name_with_backslash(&self, directory: &str) -> Option<String> {
        let names = self.0.entries.keys().filter_map(|path| path.strip_prefix(directory));
        let mut names = names.map(|path| path.trim_start_matches('/'));
        names.find(|name| !name.contains('/') && name.contains('\\')).map(clean)
    }

    fn broken_scripts(&self, _root: &str) -> io::Result<Vec<Unsupported>> {
        let is_script = |path: &str| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            scripts::FOLDERS.contains(&folder)
        };
        let scripts = self.0.texts.iter().filter(|(path, _)| is_script(path));
        Ok(scripts.filter_map(|(path, text)| scripts::broken(path, text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use bento_retrieve::bento::Bento;

    use super::*;

    fn listing(files: &[(&str, &str)]) -> Listing {
        let mut listing = Listing::default();
        for (path, text) in files {
            let entry = Entry::File { executable: false, size: 0, sha256: String::new() };
            listing.entries.insert((*path).into(), entry);
            listing.texts.insert((*path).into(), (*text).into());
        }
        listing
    }

    #[test]
    fn a_bento_is_judged_by_its_list_as_it_is_in_a_folder() {
        let manifest = "name: iris\nversion: v1\nmodels: [{tag: 'svm:m1'}]\n";
        let whole = [
            ("bento.yaml", manifest),
            ("env/docker/Dockerfile", "FROM a\nCOPY . .\n"),
            ("env/docker/entrypoint.sh", "#!/bin/sh\r\n"),
            ("models/svm/m1/model.yaml", "name: svm\n"),
        ];
        let judged = |files: &[(&str, &str)]| Bento::judge(&ListedFiles(&listing(files)));
        let bento = judged(&whole).unwrap();
        assert_eq!(bento.tag.to_string(), "iris:v1");
        assert_eq!(bento.unsupported.len(), 1, "the script ends its lines as on Windows");
        let error = |files: &[(&str, &str)]| judged(files).unwrap_err().to_string();
        assert!(error(&whole[..3]).contains("the model `svm:m1`"), "{}", error(&whole[..3]));
        assert!(error(&whole[..1]).contains("env/docker/Dockerfile"), "{}", error(&whole[..1]));
        assert!(error(&[("env\\docker\\Dockerfile", "")]).contains("env\\docker"));
    }
}
