//! Proxies: made, looked up, freed, asked for their health, listened to, and steered by hand.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use ambassador_core::call::Outcome;
use ambassador_core::event::Event;
use ambassador_core::settings::{Settings, Spelling};
use ambassador_core::{AmbassadorProxy, ConfigError};
use once_cell::sync::Lazy;
use sharded_slab::Slab;

use crate::fallback::Fallback;
use crate::options::{self, Told, amb_classify, amb_endpoint, amb_options, amb_outcome};
use crate::status::amb_status;
use crate::{c_text, fork, raise, telemetry};

/// The ambassador for one target. A handle: free it once with amb_proxy_free().
pub struct amb_proxy {
    _opaque: [u8; 0],
}

/// What a handle stands for.
pub(crate) struct Entry {
    pub proxy: AmbassadorProxy,
    name: CString,
    classify: amb_classify,
    classify_data: *mut c_void,
    /// What answers in place of its calls' errors.
    pub fallback: Option<Fallback>,
    /// What was told of its policy: texts in it live as long as the proxy. More than one when proxies of its name have changed it.
    told: Mutex<Vec<Told>>,
}

// SAFETY: `classify_data` is the program's, which promises with it that `classify` may be called from any thread; nothing
// here reads through it.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

static PROXIES: Lazy<Slab<Arc<Entry>>> = Lazy::new(Slab::new);

impl Entry {
    /// The settings in force. A proxy has few of them in its life: one for each change that was asked for.
    fn policy(&self) -> amb_options {
        let policy = self.proxy.policy_in_force();
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = all.iter().find(|told| told.is_of(&policy)) {
            return told.options;
        }
        let told = Told::new(policy, self.name.as_ptr());
        let options = told.options;
        all.push(told);
        options
    }

    /// What that status means (A1, A2, A3).
    pub fn outcome(&self, status: i32) -> Outcome {
        const OK: i32 = amb_outcome::AMB_OUTCOME_OK as i32;
        const FAIL: i32 = amb_outcome::AMB_OUTCOME_FAIL as i32;
        if status == amb_status::AMB_CANCELLED as i32 {
            return Outcome::Cancelled;
        }
        match self.classify {
            // SAFETY: the program gave both together, for this.
            Some(classify) => match unsafe { classify(status, self.classify_data) } {
                OK => Outcome::Ok,
                FAIL => Outcome::Fail,
                _ => Outcome::Retry,
            },
            None if status == 0 => Outcome::Ok,
            None => Outcome::Retry,
        }
    }
}

/// The entry of a handle. The number in it carries a generation, so a freed one finds nothing.
pub(crate) fn find(handle: *const amb_proxy, function: &str) -> Result<Arc<Entry>, amb_status> {
    let key = (handle as usize).checked_sub(1);
    match key.and_then(|key| PROXIES.get(key)) {
        Some(entry) => Ok(Arc::clone(&entry)),
        None if handle.is_null() => Err(raise::argument(&format!("{function}: proxy is null"))),
        None => Err(raise::argument(&format!("{function}: proxy was freed already, or is no proxy"))),
    }
}

/// Makes a proxy for a target: a host such as `payment-api.example.com`, with a port if needed, or the URL of one. Proxies
/// for one target share its state.
///
/// #AMB_ERR_CONFIG when a setting is wrong: amb_last_error() says which, what it was, and what is allowed.
/// #AMB_ERR_ARGUMENT when `target` or `proxy` is null. Then nothing is made, and `*proxy` is null.
///
/// @param target  where calls go
/// @param options settings from amb_options_init(), or null for the defaults
/// @param proxy   receives the handle
///
/// # Safety
/// `target` and the texts in `options` end with a zero; its functions may be called with their data, on any thread; `proxy` may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_new(
    target: *const c_char,
    options: *const amb_options,
    proxy: *mut *mut amb_proxy,
) -> amb_status {
    raise::guard(|| {
        if proxy.is_null() {
            return Err(raise::argument("amb_proxy_new: proxy is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { proxy.write(ptr::null_mut()) };
        if target.is_null() {
            return Err(raise::argument("amb_proxy_new: target is null"));
        }
        // SAFETY: not null, and by the contract it ends with a zero. Bytes that are no UTF-8 become U+FFFD, which no target
        // may hold.
        let target = unsafe { CStr::from_ptr(target) }.to_string_lossy();
        // SAFETY: by the contract.
        let (settings, options) = unsafe { check(&target, options) }.map_err(refused)?;
        let made = AmbassadorProxy::from_settings(settings).map_err(refused)?;
        let entry = Entry {
            name: c_text(made.name()),
            classify: options.classify,
            classify_data: options.classify_data,
            // SAFETY: by the contract.
            fallback: unsafe { Fallback::new(options.fallback, options.fallback_data) },
            told: Mutex::default(),
            proxy: made,
        };
        fork::watch();
        telemetry::begin();
        let key = PROXIES
            .insert(Arc::new(entry))
            .ok_or_else(|| raise::argument("amb_proxy_new: too many proxies; free those that are not needed"))?;
        // SAFETY: as above.
        unsafe { proxy.write((key + 1) as *mut amb_proxy) };
        Ok(())
    })
}

fn refused(error: ConfigError) -> amb_status {
    raise::config(&options::in_words_of_c(error))
}

unsafe fn check(target: &str, options: *const amb_options) -> Result<(Settings, amb_options), ConfigError> {
    // SAFETY: the caller's contract is this one's.
    unsafe {
        let options = options::read(options)?;
        Ok((options::draft(target, &options)?, options))
    }
}

/// Frees a proxy. Its calls in flight go on to their ends; state that other proxies share stays. #AMB_ERR_ARGUMENT when it
/// was freed before. Null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_free(proxy: *mut amb_proxy) -> amb_status {
    raise::guard(|| {
        if proxy.is_null() || PROXIES.remove(proxy as usize - 1) {
            return Ok(());
        }
        Err(raise::argument("amb_proxy_free: proxy was freed already, or is no proxy"))
    })
}

/// Opens the circuit of the proxy's target by hand: every attempt is refused until amb_proxy_reset(). Does nothing where the
/// breaker is off.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_isolate(proxy: *const amb_proxy) -> amb_status {
    raise::guard(|| {
        find(proxy, "amb_proxy_isolate")?.proxy.isolate();
        Ok(())
    })
}

/// Closes the circuit of the proxy's target by hand, whatever it has seen.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_reset(proxy: *const amb_proxy) -> amb_status {
    raise::guard(|| {
        find(proxy, "amb_proxy_reset")?.proxy.reset();
        Ok(())
    })
}

/// These are the endpoints of the proxy's target from now on, for all proxies of its name: for a program that finds them in ways of its
/// own. None is obeyed as well: calls are refused then, until there are others.
///
/// #AMB_ERR_CONFIG when one of them is wrong; the endpoints then stay as they were.
///
/// @param proxy     the proxy
/// @param endpoints the endpoints, copied
/// @param count     how many there are
///
/// # Safety
/// `endpoints` is null, or to so many, whose texts are null or end with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_set_endpoints(
    proxy: *const amb_proxy,
    endpoints: *const amb_endpoint,
    count: usize,
) -> amb_status {
    raise::guard(|| {
        let entry = find(proxy, "amb_proxy_set_endpoints")?;
        // SAFETY: by the contract.
        let given = unsafe { options::endpoints(endpoints, count) };
        entry.proxy.set_endpoints(Settings::endpoints(Spelling::C, &given).map_err(refused)?);
        Ok(())
    })
}

/// Is told what happens to a target: JSON text such as `{"type":"circuit","name":"…","from":"closed","to":"open",…}`, valid
/// until it returns.
pub type amb_listener = Option<unsafe extern "C" fn(event: *const c_char, listener_data: *mut c_void)>;

struct Listener {
    listener: unsafe extern "C" fn(event: *const c_char, listener_data: *mut c_void),
    data: *mut c_void,
}

// SAFETY: the program gives function and data together, to be called from any thread.
unsafe impl Send for Listener {}
// SAFETY: as above.
unsafe impl Sync for Listener {}

impl Listener {
    fn hear(&self, name: &str, event: &Event) {
        let text = c_text(&event.to_json(name));
        // SAFETY: by the contract of `amb_proxy_on_event`; the text lives until this returns.
        unsafe { (self.listener)(text.as_ptr(), self.data) };
    }
}

/// Tells `listener` of every event of the proxy's target from now on, through whatever proxy of the same name: attempts,
/// retries, calls, and changes of the circuit. It is called when the event has happened, on the thread that caused it as a rule,
/// also on two at once, with nothing locked; keep it short. Listeners stay as long as the process, and so has their data to.
///
/// @param proxy         the proxy
/// @param listener      is told of each event
/// @param listener_data passed to it
///
/// # Safety
/// `listener` may be called with `listener_data` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_on_event(
    proxy: *const amb_proxy,
    listener: amb_listener,
    listener_data: *mut c_void,
) -> amb_status {
    raise::guard(|| {
        let entry = find(proxy, "amb_proxy_on_event")?;
        let Some(listener) = listener else {
            return Err(raise::argument("amb_proxy_on_event: listener is null"));
        };
        let listener = Listener { listener, data: listener_data };
        entry.proxy.on_event(move |name, event| listener.hear(name, event));
        Ok(())
    })
}

/// The health of a proxy's target as JSON: calls, attempts and retries, what is in flight and what was refused, the circuit, the
/// budget and the bulkhead, each of them null where it is off. Free it with amb_string_free().
/// Null when the handle is none; amb_last_error() says so.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_health(proxy: *const amb_proxy) -> *mut c_char {
    raise::shield(ptr::null_mut(), || match find(proxy, "amb_proxy_health") {
        Ok(entry) => c_text(&entry.proxy.health()).into_raw(),
        Err(_) => ptr::null_mut(),
    })
}

/// Every setting in force and where its value comes from, as JSON spelled as the configuration file does: an array of objects of
/// `field`, `value` and `origin`, which is `default`, `constructor`, `config FILE:LINE` or `another proxy of the name`. Byte for byte
/// the same in every language; secrets are `***`. Free it with amb_string_free().
/// Null when the handle is none; amb_last_error() says so.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_policy_json(proxy: *const amb_proxy) -> *mut c_char {
    raise::shield(ptr::null_mut(), || match find(proxy, "amb_proxy_policy_json") {
        Ok(entry) => c_text(&entry.proxy.policy_json()).into_raw(),
        Err(_) => ptr::null_mut(),
    })
}

/// The same as amb_proxy_policy_json(), spelled as C does: `timeout_ms` is a number of milliseconds. Free it with amb_string_free().
/// Null when the handle is none; amb_last_error() says so.
#[unsafe(no_mangle)]
pub extern "C" fn amb_proxy_effective_policy(proxy: *const amb_proxy) -> *mut c_char {
    raise::shield(ptr::null_mut(), || match find(proxy, "amb_proxy_effective_policy") {
        Ok(entry) => c_text(&entry.proxy.effective_policy_json(Spelling::C)).into_raw(),
        Err(_) => ptr::null_mut(),
    })
}

/// The settings in force, defaults filled in: the proxy's own, and of what it shares with others of its name, those of the
/// newest. The texts and lists in it live as long as the proxy; `classify` and `fallback` are left null, and in place of secrets, the
/// values of `headers` among them, stands `***`.
///
/// # Safety
/// `options` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_policy(proxy: *const amb_proxy, options: *mut amb_options) -> amb_status {
    raise::guard(|| {
        let entry = find(proxy, "amb_proxy_policy")?;
        if options.is_null() {
            return Err(raise::argument("amb_proxy_policy: options is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { options.write(entry.policy()) };
        Ok(())
    })
}
