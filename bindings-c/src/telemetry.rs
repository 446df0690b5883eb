//! All of this process: the snapshot, the metrics, the admin server.

use std::ffi::{CStr, CString, c_char};
use std::{mem, ptr};

use ambassador_core::ConfigError;
use ambassador_core::telemetry::{self, Admin, AdminOptions, Format};
use once_cell::sync::Lazy;
use sharded_slab::Slab;

use crate::options::{list, sized};
use crate::status::amb_status;
use crate::{c_text, raise};

/// An admin server. A handle: it is freed when the server is stopped, with amb_admin_stop().
pub struct amb_admin {
    _opaque: [u8; 0],
}

/// How an admin server is to be, beyond its address. Always start from amb_admin_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct amb_admin_options {
    /// The size of this struct, for the library to know which version of it the program was compiled with.
    pub size: usize,
    /// What who wants to do something, or asks from elsewhere, has to show: 16 visible characters of ASCII at least; null (the
    /// default) for one that is made.
    pub token: *const c_char,
    /// Names by which it is reached, besides `localhost` and addresses in numbers; null (the default) for none.
    pub hosts: *const *const c_char,
    /// How many there are.
    pub host_count: usize,
    /// Whether others than this machine may be served, which needs a token; default false.
    pub remote: bool,
}

impl amb_admin_options {
    fn new() -> amb_admin_options {
        let size = mem::size_of::<amb_admin_options>();
        amb_admin_options { size, token: ptr::null(), hosts: ptr::null(), host_count: 0, remote: false }
    }
}

struct Entry {
    admin: Admin,
    address: CString,
    token: CString,
}

static ADMINS: Lazy<Slab<Entry>> = Lazy::new(Slab::new);

/// This is C, for the snapshot and the metrics.
pub(crate) fn begin() {
    telemetry::set_language("c");
}

/// Everything that is known at present of every target of this process, and of the process itself, as JSON, the same in every
/// language: the health of each target (`targets`), whether calls can be sent (`ready`), memory, threads and the runtime (`process`).
/// Free it with amb_string_free().
#[unsafe(no_mangle)]
pub extern "C" fn amb_snapshot() -> *mut c_char {
    raise::shield(ptr::null_mut(), || {
        begin();
        c_text(&telemetry::snapshot()).into_raw()
    })
}

/// The same as metrics. For programs that have a route of their own for them; amb_serve_admin() has one. Free it with
/// amb_string_free(). Null when there is no such format; amb_last_error() says so.
///
/// @param format `prometheus`, for its text format 0.0.4, or `openmetrics`, for OpenMetrics 1.0; null for the first
///
/// # Safety
/// `format` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_metrics(format: *const c_char) -> *mut c_char {
    raise::shield(ptr::null_mut(), || {
        begin();
        // SAFETY: by the contract.
        let format = unsafe { text(format) }.map_or(Ok(Format::Prometheus), |format| Format::named(&format));
        match format {
            Ok(format) => c_text(&telemetry::metrics(format)).into_raw(),
            Err(wrong) => {
                raise::config(&wrong);
                ptr::null_mut()
            }
        }
    })
}

/// Fills in the defaults, and the size. #AMB_ERR_ARGUMENT when `options` is null.
///
/// # Safety
/// `options` is null or points to an `amb_admin_options` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_admin_options_init(options: *mut amb_admin_options) -> amb_status {
    raise::guard(|| {
        if options.is_null() {
            return Err(raise::argument("amb_admin_options_init: options is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { options.write(amb_admin_options::new()) };
        Ok(())
    })
}

/// Answers at that address from now on, on a thread of its own, until amb_admin_stop() or the end of the process: the page at `/`,
/// `/metrics`, `/healthz`, `/readyz`, and JSON under `/v1`. It answers also while every thread of the program's is stuck. In a child
/// made by `fork` it does not: the server is the parent's.
///
/// #AMB_ERR_CONFIG when the address is none, is taken, or is not for this machine alone without `remote`, which needs a token;
/// amb_last_error() says which. #AMB_ERR_ARGUMENT when `address` or `admin` is null. Then nothing is served, and `*admin` is null.
///
/// @param address an address and a port, such as `127.0.0.1:9901`; port 0 takes a free one
/// @param options from amb_admin_options_init(), or null for the defaults
/// @param admin   receives the handle
///
/// # Safety
/// `address` and the texts in `options` end with a zero; `options` is null or points to at least a size; `admin` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_serve_admin(
    address: *const c_char,
    options: *const amb_admin_options,
    admin: *mut *mut amb_admin,
) -> amb_status {
    raise::guard(|| {
        if admin.is_null() {
            return Err(raise::argument("amb_serve_admin: admin is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { admin.write(ptr::null_mut()) };
        begin();
        // SAFETY: by the contract.
        let Some(address) = (unsafe { text(address) }) else {
            return Err(raise::argument("amb_serve_admin: address is null"));
        };
        // SAFETY: by the contract.
        let options = unsafe { read(options) }.map_err(|wrong| raise::config(&wrong))?;
        let served = telemetry::serve_admin(&address, options).map_err(|wrong| raise::config(&wrong))?;
        let (address, token) = (c_text(&served.address().to_string()), c_text(served.token()));
        match ADMINS.insert(Entry { admin: served.clone(), address, token }) {
            // SAFETY: as above.
            Some(key) => unsafe { admin.write((key + 1) as *mut amb_admin) },
            None => {
                served.stop();
                return Err(raise::other(amb_status::AMB_ERR_INTERNAL, "amb_serve_admin: there are too many of them"));
            }
        }
        Ok(())
    })
}

/// Where an admin server answers, such as `127.0.0.1:9901`. Valid until it is stopped; empty when the handle is none.
#[unsafe(no_mangle)]
pub extern "C" fn amb_admin_address(admin: *const amb_admin) -> *const c_char {
    show(admin, |entry| entry.address.as_ptr())
}

/// What has to be shown to do something there: `authorization: Bearer …`. Valid until it is stopped; empty when the handle is none.
#[unsafe(no_mangle)]
pub extern "C" fn amb_admin_token(admin: *const amb_admin) -> *const c_char {
    show(admin, |entry| entry.token.as_ptr())
}

/// Ends an admin server, with all its connections, and frees the handle; the address is free then. #AMB_ERR_ARGUMENT when that was done
/// before. Null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn amb_admin_stop(admin: *mut amb_admin) -> amb_status {
    raise::guard(|| {
        if admin.is_null() {
            return Ok(());
        }
        match ADMINS.take(admin as usize - 1) {
            Some(entry) => entry.admin.stop(),
            None => return Err(raise::argument("amb_admin_stop: admin was stopped already, or is no admin server")),
        }
        Ok(())
    })
}

fn show(admin: *const amb_admin, text: impl Fn(&Entry) -> *const c_char) -> *const c_char {
    let none = c"".as_ptr();
    raise::shield(none, || {
        let entry = (admin as usize).checked_sub(1).and_then(|key| ADMINS.get(key));
        entry.map_or(none, |entry| text(&entry))
    })
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: not null, and by this function's contract.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// # Safety
/// As of [`amb_serve_admin`].
unsafe fn read(options: *const amb_admin_options) -> Result<AdminOptions, ConfigError> {
    if options.is_null() {
        return Ok(AdminOptions::default());
    }
    // SAFETY: not null, and by the contract; its texts are there too.
    unsafe {
        let given = sized(options, "amb_admin_options")?;
        let Some(hosts) = list(given.hosts, given.host_count) else {
            return Err(ConfigError::new("admin.hosts", "NULL", "so many names as host_count says"));
        };
        let hosts = hosts.iter().filter_map(|&host| text(host)).collect();
        Ok(AdminOptions { token: text(given.token), hosts, remote: given.remote })
    }
}
