//! All of this process as JavaScript sees it: the snapshot, the metrics, the admin server.

use ambassador_core::telemetry::{self, Admin, AdminOptions, Format};
use napi::bindgen_prelude::{Either, External};
use napi_derive::napi;

use crate::settings::{Wrong, told};

/// Which language this is, for the snapshot and the metrics: said when the package is loaded.
#[napi(catch_unwind)]
pub fn begin_telemetry() {
    telemetry::set_language("node");
}

/// All targets of this process and the process itself, as JSON.
#[napi(catch_unwind)]
pub fn snapshot() -> String {
    telemetry::snapshot()
}

/// The same as metrics in that format, or what is wrong with it.
#[napi(catch_unwind)]
pub fn metrics(format: String) -> Either<String, Wrong> {
    match Format::named(&format) {
        Ok(format) => Either::A(telemetry::metrics(format)),
        Err(wrong) => Either::B(told(&wrong)),
    }
}

/// Answers at that address from now on, or says what is wrong.
#[napi(catch_unwind)]
pub fn serve_admin(
    address: String,
    token: Option<String>,
    hosts: Vec<String>,
    remote: bool,
) -> Either<External<Admin>, Wrong> {
    match telemetry::serve_admin(&address, AdminOptions { token, hosts, remote }) {
        Ok(admin) => Either::A(External::new(admin)),
        Err(wrong) => Either::B(told(&wrong)),
    }
}

/// Where it answers, and what has to be shown to do something there.
#[napi(catch_unwind)]
pub fn admin_address(admin: &External<Admin>) -> Vec<String> {
    vec![admin.address().to_string(), admin.token().into()]
}

/// Whether it still answers.
#[napi(catch_unwind)]
pub fn admin_serves(admin: &External<Admin>) -> bool {
    admin.is_serving()
}

/// Ends it, with all its connections.
#[napi(catch_unwind)]
pub fn admin_stop(admin: &External<Admin>) {
    admin.stop();
}
