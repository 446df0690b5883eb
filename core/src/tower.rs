//! The ambassador around any `tower::Service`: each request is a call, each attempt a clone of the service and the request. And a
//! proxy is itself a service of HTTP requests, which it [sends](AmbassadorProxy::send).
//!
//! ```
//! use ambassador_core::{AmbassadorProxy, tower::AmbassadorLayer};
//! # use tower_layer::Layer;
//! # fn around<S>(service: S) -> Result<ambassador_core::tower::Ambassador<S>, ambassador_core::ConfigError> {
//! let layer = AmbassadorLayer::new(AmbassadorProxy::new("payment-api.example.com")?);
//! let service = layer.layer(service);
//! # Ok(service) }
//! ```

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

#[cfg(feature = "http")]
use crate::error::Error;
#[cfg(feature = "http")]
use crate::http::Body;
use crate::{AmbassadorProxy, CallError};

/// Puts an [`Ambassador`] around services.
#[derive(Clone, Debug)]
pub struct AmbassadorLayer(AmbassadorProxy);

impl AmbassadorLayer {
    /// A layer of that proxy.
    pub fn new(proxy: AmbassadorProxy) -> AmbassadorLayer {
        AmbassadorLayer(proxy)
    }
}

impl<S> Layer<S> for AmbassadorLayer {
    type Service = Ambassador<S>;

    fn layer(&self, inner: S) -> Ambassador<S> {
        Ambassador { proxy: self.0.clone(), inner }
    }
}

/// A service whose requests go through the ambassador.
#[derive(Clone, Debug)]
pub struct Ambassador<S> {
    proxy: AmbassadorProxy,
    inner: S,
}

impl<S, R> Service<R> for Ambassador<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: fmt::Display + Send,
    R: Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, CallError<S::Error>>> + Send>>;

    /// Always ready: each attempt waits for the inner service itself, within its bound.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (proxy, inner) = (self.proxy.clone(), self.inner.clone());
        Box::pin(async move {
            proxy
                .call(move || {
                    let (mut service, request) = (inner.clone(), request.clone());
                    async move {
                        poll_fn(|cx| service.poll_ready(cx)).await?;
                        service.call(request).await
                    }
                })
                .await
        })
    }
}

/// [`AmbassadorProxy::send`]: the response with its body read whole.
///
/// ```
/// use ambassador_core::AmbassadorProxy;
/// use ambassador_core::http::Body;
/// use tower_service::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let mut payments = AmbassadorProxy::new("https://payment-api.example.com")?;
/// let response = Service::call(&mut payments, http::Request::get("/charges/42").body(Body::empty())?).await?;
/// # Ok(()) }
/// ```
#[cfg(feature = "http")]
impl<B: Into<Body>> Service<http::Request<B>> for AmbassadorProxy {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Error>> + Send>>;

    /// Always ready: what is too much is refused, or waits, as its policies say.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (proxy, request) = (self.clone(), request.map(Into::into));
        Box::pin(async move { proxy.send(request).await })
    }
}
