//! The ring of hashes: an endpoint has many points on it, and a key belongs to the endpoint of the next point. As in libketama
//! (Last.fm, 2007), 160 points for each unit of weight; another hash, and a bound on all points together.

use super::hash::{hash, mix};

/// Points for each unit of weight …
const POINTS: u64 = 160;

/// … and of all endpoints together, at most about so many; each has one at least.
const MOST: u64 = 1 << 17;

/// Points in the order of their hashes, each with the place of its endpoint.
#[derive(Debug, Default)]
pub(crate) struct Ring(Box<[(u64, u32)]>);

impl Ring {
    /// The ring of those addresses and weights, which are whole units.
    pub fn new<'a>(members: impl Iterator<Item = (&'a str, u64)> + Clone) -> Ring {
        let units: u64 = members.clone().map(|(_, weight)| weight).sum();
        let each = |weight: u64| if units * POINTS <= MOST { weight * POINTS } else { (weight * MOST / units).max(1) };
        let mut points: Vec<(u64, u32)> = members
            .enumerate()
            .flat_map(|(at, (address, weight))| {
                let start = hash(address.as_bytes());
                (0..each(weight))
                    .map(move |point| (mix(start.wrapping_add(point.wrapping_mul(0x9E37_79B9_7F4A_7C15))), at as u32))
            })
            .collect();
        points.sort_unstable();
        Ring(points.into())
    }

    /// The places of the endpoints that a key comes by, from its own on; an endpoint comes as often as it has points.
    pub fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = self.0.partition_point(|(hash, _)| *hash < key);
        self.0[start..].iter().chain(&self.0[..start]).map(|(_, at)| *at as usize)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn owners(names: &[(&'static str, u64)]) -> Vec<&'static str> {
        let ring = Ring::new(names.iter().copied());
        (0..10_000u64).map(|key| names[ring.from(hash(&key.to_le_bytes())).next().unwrap()].0).collect()
    }

    #[test]
    fn keys_are_shared_out_by_weight() {
        let owners = owners(&[("a:1", 1), ("b:1", 1), ("c:1", 2)]);
        let share = |name| owners.iter().filter(|owner| **owner == name).count();
        assert!(share("c:1").abs_diff(5000) < 600 && share("a:1").abs_diff(2500) < 500, "{}", share("c:1"));
    }

    #[test]
    fn when_an_endpoint_goes_its_own_keys_move_and_no_others() {
        let (before, after) = (owners(&[("a:1", 1), ("b:1", 1), ("c:1", 1)]), owners(&[("a:1", 1), ("c:1", 1)]));
        for (before, after) in before.iter().zip(&after) {
            assert!(*before == "b:1" || before == after);
        }
    }

    #[test]
    fn however_heavy_the_endpoints_are_the_ring_is_bounded() {
        let names: Vec<String> = (0..500).map(|n| format!("10.0.0.{n}")).collect();
        let ring = Ring::new(names.iter().map(|name| (name.as_str(), 1000)));
        assert!(ring.0.len() as u64 <= MOST);
        assert_eq!(ring.from(7).collect::<std::collections::HashSet<_>>().len(), 500);
    }
}
