//! The headers of a response, as a mapping that does not mind the case of names and knows those that came more than once.

use http::{HeaderMap, HeaderName, HeaderValue};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};

use super::response::Response;

/// Of these the values are not shown (S3).
const HIDDEN: [&str; 4] = ["authorization", "proxy-authorization", "set-cookie", "cookie"];

/// The headers of a response: a mapping, to which the case of names is all the same.
#[pyclass(frozen, mapping, module = "ambassador_proxy")]
pub struct Headers {
    of: Py<Response>,
}

impl Headers {
    pub fn new(of: Py<Response>) -> Headers {
        Headers { of }
    }

    fn map(&self) -> &HeaderMap {
        self.of.get().header_map()
    }

    fn find(&self, name: &Bound<'_, PyAny>) -> Option<HeaderName> {
        HeaderName::from_bytes(name.cast::<PyString>().ok()?.to_str().ok()?.as_bytes()).ok()
    }

    /// All of that name in one.
    fn joined(&self, name: &HeaderName) -> Option<String> {
        let mut values = self.map().get_all(name).iter();
        let mut joined = text(values.next()?);
        for value in values {
            joined.push_str(", ");
            joined.push_str(&text(value));
        }
        Some(joined)
    }

    fn pairs(&self) -> Vec<(&str, String)> {
        self.map().keys().filter_map(|name| Some((name.as_str(), self.joined(name)?))).collect()
    }
}

/// UTF-8 where it is, else Latin-1, which everything is.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &Bound<'_, PyAny>) -> PyResult<String> {
        self.find(name).and_then(|name| self.joined(&name)).ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        self.find(name).is_some_and(|name| self.map().contains_key(name))
    }

    fn __len__(&self) -> usize {
        self.map().keys_len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    #[pyo3(signature = (name, default=None))]
    fn get(&self, py: Python<'_>, name: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        match self.find(name).and_then(|name| self.joined(&name)) {
            Some(value) => Ok(PyString::new(py, &value).into_any().unbind()),
            None => Ok(default.unwrap_or_else(|| py.None())),
        }
    }

    /// Every value of that name, one by one.
    fn get_list(&self, name: &Bound<'_, PyAny>) -> Vec<String> {
        self.find(name).map_or_else(Vec::new, |name| self.map().get_all(name).iter().map(text).collect())
    }

    /// The names, in lower case.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.map().keys().map(HeaderName::as_str))
    }

    fn values(&self) -> Vec<String> {
        self.pairs().into_iter().map(|(_, value)| value).collect()
    }

    fn items(&self) -> Vec<(&str, String)> {
        self.pairs()
    }

    /// As they came: each name as often as it did.
    fn multi_items(&self) -> Vec<(&str, String)> {
        self.map().iter().map(|(name, value)| (name.as_str(), text(value))).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = pyo3::types::PyDict::new(py);
        for (name, value) in self.pairs() {
            shown.set_item(name, if HIDDEN.contains(&name) { "***" } else { &value })?;
        }
        Ok(format!("Headers({})", shown.repr()?))
    }
}
