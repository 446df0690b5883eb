//! Where an attempt may go: one of a target's endpoints, as it was configured or discovered. What is known of its health while
//! calls run is kept by [`balance`](crate::balance).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::target::Target;

/// One endpoint of a target. Two of the same address are one endpoint, the later of which holds.
///
/// ```
/// use ambassador_core::Endpoint;
///
/// let near = Endpoint::new("http://10.0.0.7:8080").unwrap().weight(3).zone("eu-west-1a");
/// assert_eq!((near.as_str(), near.host(), near.port()), ("http://10.0.0.7:8080", "10.0.0.7", Some(8080)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: Target,
    weight: u32,
    zone: Option<Arc<str>>,
    metadata: Arc<BTreeMap<String, String>>,
}

impl Endpoint {
    /// The most that a weight may be.
    pub const MOST_WEIGHT: u32 = 1000;

    /// The endpoint at that host, host and port, or URL; `None` when it is none. Its weight is 1.
    pub fn new(address: &str) -> Option<Endpoint> {
        Target::parse(address).map(Endpoint::at)
    }

    /// The endpoint at that address.
    pub fn at(address: Target) -> Endpoint {
        Endpoint { address, weight: 1, zone: None, metadata: Arc::default() }
    }

    /// Its share of the calls beside those of other weights: 1 to [`MOST_WEIGHT`](Endpoint::MOST_WEIGHT); what lies beyond is
    /// taken for the nearest of these.
    pub fn weight(self, weight: u32) -> Endpoint {
        Endpoint { weight: weight.clamp(1, Endpoint::MOST_WEIGHT), ..self }
    }

    /// The zone that it stands in.
    pub fn zone(self, zone: &str) -> Endpoint {
        Endpoint { zone: Some(zone.into()), ..self }
    }

    /// What else is known of it, for the user's own function.
    pub fn metadata(self, metadata: BTreeMap<String, String>) -> Endpoint {
        Endpoint { metadata: Arc::new(metadata), ..self }
    }

    /// Its address as it was given.
    pub fn as_str(&self) -> &str {
        self.address.as_str()
    }

    /// Its address.
    pub fn address(&self) -> &Target {
        &self.address
    }

    /// Its host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        self.address.host()
    }

    /// Its port, if one was given.
    pub fn port(&self) -> Option<u16> {
        self.address.port()
    }

    /// Its weight.
    pub fn its_weight(&self) -> u32 {
        self.weight
    }

    /// Its zone.
    pub fn its_zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// What else is known of it.
    pub fn its_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}
