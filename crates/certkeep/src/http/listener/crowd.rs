//! How many connections there may be, in all and from one address.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one listener: well below the 1024 descriptors that a process commonly may have.
const MAX_CONNECTIONS: usize = 768;
/// Of these, from one address: whoever takes all of these leaves places for the others.
const MAX_BY_ADDRESS: usize = 512;

/// Connections by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place for one connection, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    /// A place, if there is one for this address.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.get(&address).copied().unwrap_or_default();
        if all >= MAX_CONNECTIONS || own >= MAX_BY_ADDRESS {
            return None;
        }
        counts.insert(address, own + 1);
        Some(Place { crowd: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others_and_gives_its_own_back() {
        let (crowd, greedy, other) = (Crowd::default(), "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut places: Vec<_> = std::iter::from_fn(|| crowd.enter(greedy)).collect();
        assert_eq!(places.len(), MAX_BY_ADDRESS);
        let others: Vec<_> = std::iter::from_fn(|| crowd.enter(other)).collect();
        assert_eq!(others.len(), MAX_CONNECTIONS - MAX_BY_ADDRESS);
        places.pop();
        assert!(crowd.enter(greedy).is_some());
        drop((places, others));
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
