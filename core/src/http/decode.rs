//! Bodies that come packed, unpacked as they come: gzip, deflate (zlib's), br, zstd, one within another.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http_body::{Body, Frame};
use http_body_util::BodyDataStream;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::{StreamReader, poll_read_buf};

use super::fault::{Fault, Reach};
use crate::error::Code;

/// How much is unpacked at once.
const PIECE: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// How the body is packed, the last coding first; none when it is not, or in a way that is not known here. What is to be unpacked is
/// no longer told of in the headers.
pub(super) fn codings(headers: &mut HeaderMap) -> Vec<Coding> {
    let Some(mut codings) = read(headers) else { return Vec::new() };
    codings.reverse();
    if !codings.is_empty() {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    codings
}

fn read(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            codings.push(match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                "identity" | "" => continue,
                _ => return None,
            });
        }
    }
    Some(codings)
}

/// A body unpacked; it comes from there.
pub(super) struct Unpacked {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    buffer: BytesMut,
    endpoint: Arc<str>,
}

impl Unpacked {
    pub fn new<B>(packed: B, codings: &[Coding], endpoint: Arc<str>) -> Unpacked
    where
        B: Body<Data = Bytes, Error = Fault> + Send + 'static,
    {
        let packed = BodyDataStream::new(packed);
        let mut reader: Pin<Box<dyn AsyncRead + Send>> = Box::pin(StreamReader::new(packed));
        for coding in codings {
            let packed = BufReader::with_capacity(PIECE, reader);
            // To the end of what comes, so that the connection is free when all has.
            macro_rules! by {
                ($decoder:ident) => {{
                    let mut decoder = $decoder::new(packed);
                    decoder.multiple_members(true);
                    Box::pin(decoder)
                }};
            }
            reader = match coding {
                Coding::Gzip => by!(GzipDecoder),
                Coding::Deflate => by!(ZlibDecoder),
                Coding::Brotli => by!(BrotliDecoder),
                Coding::Zstd => by!(ZstdDecoder),
            };
        }
        Unpacked { reader, buffer: BytesMut::new(), endpoint }
    }
}

impl Body for Unpacked {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Unpacked { reader, buffer, endpoint } = &mut *self;
        buffer.reserve(PIECE);
        Poll::Ready(match ready!(poll_read_buf(reader.as_mut(), cx, buffer)) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Frame::data(buffer.split().freeze()))),
            Err(error) => Some(Err(fault_of(error, endpoint))),
        })
    }
}

fn fault_of(error: io::Error, endpoint: &str) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(error) => {
            let text = format!("its response's body cannot be unpacked: {error}");
            Fault::new(Code::Body, Reach::Sent, text, endpoint)
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        io::Error::other(fault)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn codings_are_undone_from_the_last_to_the_first_or_not_at_all() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            (codings(&mut headers), headers.contains_key(CONTENT_ENCODING))
        };
        assert_eq!(of("gzip, BR"), (vec![Coding::Brotli, Coding::Gzip], false));
        assert_eq!(of("identity"), (vec![], true));
        assert_eq!(of("gzip, secret"), (vec![], true));
    }
}
