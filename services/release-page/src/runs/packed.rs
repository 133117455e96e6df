//! A run that has ended, in little memory: a service has many of them, and they are looked at only when one more
//! comes.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use release_record::run::RunRecord;
use serde_json as json;

/// Text that most runs have, so that little of it is kept for each
const COMMON: &[u8] = br#"{"namespace":"","name":"promotion-","uid":"","pipeline":"canary-release","service":"","version":"v","correlation":"","created":"2026-11-24T06:07:00Z","ended":"2026-11-24T06:07:00Z","state":"succeeded","cancelled":false,"reason":"Completed","message":"Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 1","params":{"baseline-image":"@sha256:","baseline-revision":"-predictor-00001","bento":":v","canary-image":"registry/models/@sha256:","canary-revision":"-predictor-00002","climbed":"10@2026-11-24T06:07:00Z","criteria":"no-restarts,errors,rejections,latency","ladder":"10,25,50,100","percent":"10","promotion":"promotion","service":"","sha256":"","started-at":"2026-11-24T06:07:00Z","version":"v","when-busy":"wait"},"tasks":[{"task":"bento-build","name":"-bento-build","started":"2026-11-24T06:07:00Z","ended":"2026-11-24T06:07:00Z","state":"succeeded","reason":"Succeeded","message":"All Steps have completed executing","results":{"IMAGE_DIGEST":"sha256:","IMAGE_URL":"","sha256":""}},{"task":"canary-create","name":"-canary-create","results":{"baseline-image":"","baseline-revision":"-predictor-00001","canary-revision":"-predictor-00002","canary-url":"http://latest-","outcome":"canary","percent":"10","started-at":"2026-11-24T06:07:00Z"}},{"task":"prometheus-gate","name":"-prometheus-gate","results":{"reason":"","verdict":"pass"}},{"task":"canary-promote","name":"-canary-promote","results":{"event-id":"","outcome":"advanced","percent":"25","status-code":"202"}},{"task":"canary-rollback","name":"-canary-rollback","results":{"outcome":"rolled-back","restored-image":""}}]}"#;

/// A record, packed
#[derive(Clone, Debug)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// None for a record that cannot be written as JSON, which is none.
    pub(super) fn new(record: &RunRecord) -> Option<Self> {
        let text = json::to_vec(record).ok()?;
        let mut deflate = Compress::new(Compression::default(), false);
        deflate.set_dictionary(COMMON).ok()?;
        let mut packed = Vec::with_capacity(text.len() / 2 + 128);
        loop {
            let read = usize::try_from(deflate.total_in()).ok()?;
            let status =
                deflate.compress_vec(&text[read..], &mut packed, FlushCompress::Finish).ok()?;
            if status == Status::StreamEnd {
                return Some(Self(packed.into_boxed_slice()));
            }
            packed.reserve(text.len() / 2 + 128);
        }
    }

    pub(super) fn record(&self) -> Option<RunRecord> {
        let mut inflate = Decompress::new(false);
        inflate.set_dictionary(COMMON).ok()?;
        let mut text = Vec::with_capacity(8 * self.0.len() + 256);
        loop {
            let read = usize::try_from(inflate.total_in()).ok()?;
            let status =
                inflate.decompress_vec(&self.0[read..], &mut text, FlushDecompress::Finish).ok()?;
            if status == Status::StreamEnd {
                return json::from_slice(&text).ok();
            }
            text.reserve(text.len() + 256);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use release_record::run::TaskRecord;

    use super::*;

    #[test]
    fn a_packed_run_takes_a_fraction_of_its_text() {
        let record: RunRecord = json::from_slice(COMMON).unwrap();
        let packed = Packed::new(&record).unwrap();
        assert!(packed.0.len() * 8 < COMMON.len(), "{} of {}", packed.0.len(), COMMON.len());
    }

    proptest! {
        #[test]
        fn a_run_is_read_as_it_was_packed(
            name in "\\PC{0,40}", message in "\\PC{0,3000}", results in proptest::collection::btree_map("\\PC{0,9}", "\\PC{0,99}", 0..40),
        ) {
            let task = TaskRecord { task: name.clone(), results, ..TaskRecord::default() };
            let record = RunRecord { name, message, tasks: vec![task; 3], ..RunRecord::default() };
            prop_assert_eq!(Packed::new(&record).unwrap().record(), Some(record));
        }
    }
}
