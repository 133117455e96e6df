//! What becomes of an event: it goes on, it starts nothing, or it is refused.

use std::time::{Duration, SystemTime};

use crate::{
    binding,
    event::{Event, Types, normalise},
    keys::{KeyRing, Keys},
    protocol::Request,
    refusal::Refusal,
    signature,
};

pub(crate) struct Judge {
    pub(crate) keys: KeyRing,
    /// How far the time of a signature may be from now
    pub(crate) window: Duration,
    pub(crate) types: Types,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Verdict {
    GoOn(Box<Event>),
    /// One of ours that starts nothing
    Stop {
        id: String,
        ty: String,
    },
    /// With id and source as far as they could be read
    Refuse {
        id: String,
        source: String,
        refusal: Refusal,
    },
}

impl Judge {
    pub(crate) fn judge(&self, request: &Request<'_>, now: SystemTime) -> Verdict {
        let verdict = self.keys.keys().and_then(|keys| judge(request, &keys, self, now));
        verdict.unwrap_or_else(|refusal| {
            let (id, source) = binding::glance(&request.header, &request.body);
            Verdict::Refuse { id, source, refusal }
        })
    }
}

/// Who sends is asked before what: a stranger is told nothing about the rest.
fn judge(
    request: &Request<'_>,
    keys: &Keys,
    judge: &Judge,
    now: SystemTime,
) -> Result<Verdict, Refusal> {
    let Request { header, body, context: _ } = request;
    let mode = binding::mode(header);
    signature::check(keys, mode.as_ref().ok().copied(), header, body, (now, judge.window))?;
    let draft = binding::read(mode?, header, body)?;
    let (id, ty) = (draft.id.clone(), draft.ty.clone());
    Ok(match normalise(draft, &judge.types)? {
        Some(event) => Verdict::GoOn(Box::new(event)),
        None => Verdict::Stop { id, ty },
    })
}

#[cfg(test)]
mod tests;
