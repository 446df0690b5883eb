//! What one environment of Node's (the main thread, a worker, a test runner's sandbox) keeps here: its proxies, and their
//! calls in flight, each under a small number that JavaScript holds.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ambassador_core::AmbassadorProxy;
use ambassador_core::call::Call;
use ambassador_core::clock;

use crate::exchange::Exchange;
use crate::inbox::Inbox;
use crate::post::Post;
use crate::slab::Slab;

/// The proxies of one environment. Used by its thread alone.
pub struct Instance {
    /// Valid while functions of this environment can be called.
    pub exchange: *const Exchange,
    pub proxies: RefCell<Slab<Rc<Proxy>>>,
    /// What other threads may tell this one.
    pub post: Arc<Post>,
    /// What has become of its requests.
    pub inbox: Arc<Inbox>,
}

/// A proxy and its calls in flight.
pub struct Proxy {
    pub core: AmbassadorProxy,
    pub calls: RefCell<Slab<Call>>,
}

impl Drop for Proxy {
    /// O3: calls of a proxy that was collected, or whose worker was ended, end cancelled.
    fn drop(&mut self) {
        let now = clock::now();
        for call in self.calls.get_mut().iter_mut() {
            self.core.cancel(call, now);
        }
    }
}

/// What an `AmbassadorProxy` of JavaScript's holds; its proxy goes when this is collected.
pub struct Handle {
    pub proxy: Rc<Proxy>,
    number: usize,
    pub instance: Rc<Instance>,
}

impl Handle {
    /// A handle of a new proxy, and the proxy's number.
    pub fn new(instance: &Rc<Instance>, core: AmbassadorProxy) -> (Handle, usize) {
        let proxy = Rc::new(Proxy { core, calls: RefCell::new(Slab::new()) });
        let (number, _) = instance.proxies.borrow_mut().insert(Rc::clone(&proxy));
        (Handle { proxy, number, instance: Rc::clone(instance) }, number)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.instance.proxies.borrow_mut().remove(self.number);
    }
}
