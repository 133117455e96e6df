//! Bytes or connections, so many and no more, and of nobody more than a third of them: a stranger leaves the
//! others two thirds.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) struct Room {
    most: usize,
    held: Mutex<Holders>,
}

#[derive(Default)]
struct Holders {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A part of it, given back when it is dropped
pub(crate) struct Held {
    room: Arc<Room>,
    peer: IpAddr,
    units: usize,
}

impl Room {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    pub(crate) fn hold(self: &Arc<Self>, peer: IpAddr, units: usize) -> Option<Held> {
        let mut held = Held { room: Arc::clone(self), peer: peer.to_canonical(), units: 0 };
        held.grow(units).then_some(held)
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Holds so many more, or as many as before.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let mut holders = self.room.holders();
        let own = holders.of.get(&self.peer).copied().unwrap_or_default();
        let fits = holders.all + more <= self.room.most && own + more <= self.room.most / 3;
        if fits && more > 0 {
            holders.all += more;
            holders.of.insert(self.peer, own + more);
            self.units += more;
        }
        fits
    }

    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holders = self.room.holders();
        holders.all -= self.units;
        if let Some(own) = holders.of.get_mut(&self.peer) {
            *own -= self.units;
            if *own == 0 {
                holders.of.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_holds_more_than_a_third_and_all_no_more_than_there_is() {
        let room = Room::new(90);
        let [ada, bob, eve, joe]: [IpAddr; 4] =
            ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|ip| ip.parse().unwrap());
        let mut first = room.hold(ada, 20).unwrap();
        assert!(!first.grow(11) && first.grow(10));
        assert!(room.hold(ada, 1).is_none());
        let others = [room.hold(bob, 30).unwrap(), room.hold(eve, 29).unwrap()];
        assert!(room.hold(joe, 2).is_none());
        assert!(room.hold(joe, 1).is_some(), "and given back at once");
        assert!(room.hold("::ffff:10.0.0.1".parse().unwrap(), 1).is_none(), "the same in IPv6");
        drop((first, others));
        assert_eq!(room.holders().all, 0);
        assert!(room.holders().of.is_empty());
    }
}
