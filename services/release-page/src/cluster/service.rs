//! Who gets which part of a service's requests, and which release is under way.

use std::sync::Arc;

use inference_service::same_image;
use release_record::release::{Outcome, Release};

use super::seen::{OwnerMark, Seen, digest};
use crate::known::{Canary, Share};

/// Each revision's part, the canary's last.
pub(super) fn split<'a>(
    seen: &Seen,
    mark: Option<&OwnerMark>,
    releases: &[Arc<Release>],
    digest_of: impl Fn(&str) -> &'a str,
) -> Vec<Share> {
    let mut split: Vec<Share> = Vec::new();
    for target in &seen.traffic {
        // Until a canary is ready, its part goes to the revision beside it.
        if let Some(share) = split.iter_mut().find(|share| share.revision == target.revision) {
            share.percent = percent(i64::from(share.percent).saturating_add(target.percent));
        } else if target.percent > 0 || target.has_tag {
            split.push(Share {
                version: version_of(&target.revision, releases, &digest_of),
                revision: target.revision.clone(),
                percent: percent(target.percent),
                is_canary: is_out(seen, mark) && target.revision == seen.latest,
            });
        }
    }
    split.sort_by_key(|share| share.is_canary);
    split
}

/// The release that is under way: one whose runs have not ended, or whose canary is out.
pub(super) fn canary<'a>(
    seen: &Seen,
    mark: Option<&OwnerMark>,
    releases: &[Arc<Release>],
    digest_of: impl Fn(&str) -> &'a str,
) -> Option<Canary> {
    let under_way = || releases.iter().filter(|release| release.outcome == Outcome::Underway);
    let is_of_mark = |release: &&Arc<Release>| {
        mark.is_some_and(|mark| release.runs.contains(&mark.run) || release.version == mark.version)
    };
    // Others wait for their turn.
    let release = under_way().find(is_of_mark).or_else(|| under_way().next());
    let marked = mark.filter(|_| is_out(seen, mark));
    if release.is_none() && marked.is_none() {
        return None;
    }
    let is_of_spec = digest_of(&seen.latest) == digest(&seen.image).unwrap_or(&seen.image);
    let revision = match release {
        Some(release) if !release.revision.is_empty() => release.revision.as_str(),
        _ if marked.is_some() && is_of_spec => &seen.latest,
        _ => "",
    };
    let has = seen.traffic.iter().filter(|target| target.revision == revision);
    let is_marks = release.is_none_or(|release| is_of_mark(&release));
    let of_mark = mark.filter(|_| is_marks);
    Some(Canary {
        version: match release {
            Some(release) => release.version.clone(),
            None => marked.map(|mark| mark.version.clone()).unwrap_or_default(),
        },
        percent: percent(has.map(|target| target.percent).sum()),
        revision: revision.to_owned(),
        since: of_mark.and_then(|mark| mark.live_since),
        run: match release.and_then(|release| release.runs.last()) {
            Some(run) => run.clone(),
            None => of_mark.map(|mark| mark.run.clone()).unwrap_or_default(),
        },
    })
}

/// Whether the latest revision is, or will be, a canary that nobody has taken back.
pub(super) fn is_out(seen: &Seen, mark: Option<&OwnerMark>) -> bool {
    let is_beside_another = !seen.rolled_out.is_empty() && seen.latest != seen.rolled_out;
    let is_marks = |mark: &OwnerMark| same_image(&mark.image, &seen.image) && !mark.is_rejected;
    is_beside_another
        && seen.percent.is_some_and(|percent| percent < 100)
        && mark.is_none_or(is_marks)
}

/// The version that a revision runs: of the newest release that made it, or else that made its image.
fn version_of<'a>(
    revision: &str,
    releases: &[Arc<Release>],
    digest_of: &impl Fn(&str) -> &'a str,
) -> String {
    let own = releases.iter().find(|release| release.revision == revision);
    let image = digest_of(revision);
    let same = || {
        releases.iter().find(|release| !image.is_empty() && digest(&release.image) == Some(image))
    };
    own.or_else(same).map(|release| release.version.clone()).unwrap_or_default()
}

fn percent(percent: i64) -> u8 {
    u8::try_from(percent.clamp(0, 100)).unwrap_or(100)
}
