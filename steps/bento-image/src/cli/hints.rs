//! What to do next, by what went wrong.

use std::path::Path;

use step::Failure;

pub(crate) fn unprepared(folder: &Path) -> Failure {
    Failure {
        what: format!("failed to read what `{}` holds", folder.display()),
        hint: "`bento-image prepare --into DIR` fills it, in the same pod".into(),
    }
}

pub(crate) fn prepared_for_another(folder: &Path, image: &str) -> Failure {
    Failure {
        what: format!("failed to finish: `{}` was prepared for {image}", folder.display()),
        hint: "give `finish` the flags that `prepare` had".into(),
    }
}

pub(crate) fn folder(folder: &Path) -> Failure {
    Failure {
        what: format!("failed to fill `{}`", folder.display()),
        hint: "it is a folder on a volume that this user may write to, with room for the bento"
            .into(),
    }
}
