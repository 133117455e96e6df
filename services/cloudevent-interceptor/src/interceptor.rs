//! What becomes of an event: it continues to the triggers, it starts nothing, or it is refused.

use std::time::{Duration, SystemTime};

use crate::{
    authentication,
    credentials::{CredentialFolder, Credentials},
    event::Event,
    event_type::EventTypes,
    http_binding,
    normalise::normalise,
    protocol::Request,
    refusal::Refusal,
};

pub(crate) struct Interceptor {
    pub(crate) credentials: CredentialFolder,
    /// How far the time of a signature may be from now
    pub(crate) window: Duration,
    pub(crate) types: EventTypes,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Decision {
    Continue(Box<Event>),
    /// One of ours that starts nothing
    Ignore {
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

impl Interceptor {
    pub(crate) fn process(&self, request: &Request, now: SystemTime) -> Decision {
        let decision = self.credentials.read().and_then(|known| decide(request, &known, self, now));
        decision.unwrap_or_else(|refusal| {
            let (id, source) = http_binding::id_and_source(&request.header, &request.body);
            Decision::Refuse { id, source, refusal }
        })
    }
}

/// Who sends is asked before what: a stranger is told nothing about the rest.
fn decide(
    request: &Request,
    credentials: &Credentials,
    interceptor: &Interceptor,
    now: SystemTime,
) -> Result<Decision, Refusal> {
    let Request { header, body, context: _ } = request;
    let mode = http_binding::mode(header);
    authentication::check(
        credentials,
        mode.as_ref().ok().copied(),
        header,
        body,
        (now, interceptor.window),
    )?;
    let draft = http_binding::read(mode?, header, body)?;
    let (id, ty) = (draft.id.clone(), draft.ty.clone());
    Ok(match normalise(draft, &interceptor.types)? {
        Some(event) => Decision::Continue(Box::new(event)),
        None => Decision::Ignore { id, ty },
    })
}

#[cfg(test)]
mod tests;
