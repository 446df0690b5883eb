//! Protocol Buffers as they are written: no more of them than OTLP's requests need.
//! <https://protobuf.dev/programming-guides/encoding/>

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// A message that is being written. Fields of a default value are left out, as proto3 does, but by `double` and `int`, which are for
/// fields that tell presence.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, kind: u8) {
        self.number(u64::from(field << 3 | u32::from(kind)));
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn varint(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, VARINT);
            self.number(number);
        }
    }

    /// An `int64` that is there even when it is 0.
    pub fn int(&mut self, field: u32, number: i64) {
        self.tag(field, VARINT);
        self.number(number as u64);
    }

    pub fn fixed32(&mut self, field: u32, number: u32) {
        if number != 0 {
            self.tag(field, FIXED32);
            self.0.extend(number.to_le_bytes());
        }
    }

    pub fn fixed64(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.present64(field, number);
        }
    }

    /// A `fixed64` or `sfixed64` that is there even when it is 0.
    pub fn present64(&mut self, field: u32, number: u64) {
        self.tag(field, FIXED64);
        self.0.extend(number.to_le_bytes());
    }

    /// A `double` that is there even when it is 0.
    pub fn double(&mut self, field: u32, number: f64) {
        self.present64(field, number.to_bits());
    }

    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.tag(field, DELIMITED);
            self.number(bytes.len() as u64);
            self.0.extend_from_slice(bytes);
        }
    }

    /// Fields that were written before.
    pub fn raw(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    pub fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A message within this one, which is there even when it is empty.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.tag(field, DELIMITED);
        self.number(inner.0.len() as u64);
        self.0.extend(inner.0);
    }
}

/// What a collector's answer says of what it has not taken: how many, and why. The answers to spans and to metrics are alike; one that
/// cannot be read says nothing.
pub(super) fn refused(answer: &[u8]) -> (u64, String) {
    let (mut count, mut why) = (0, String::new());
    for (field, partial) in fields(answer) {
        let (1, Read::Bytes(partial)) = (field, partial) else { continue };
        for (field, value) in fields(partial) {
            match (field, value) {
                (1, Read::Number(number)) => count = number,
                (2, Read::Bytes(text)) => why = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
    }
    (count, why)
}

/// A field that was read.
enum Read<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, up to the first that is of no kind that answers have.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Read<'_>)> {
    std::iter::from_fn(move || {
        let tag = number_of(&mut message)?;
        let number = number_of(&mut message)?;
        let read = match tag as u8 & 7 {
            VARINT => Read::Number(number),
            DELIMITED => {
                let (bytes, rest) = message.split_at_checked(usize::try_from(number).ok()?)?;
                message = rest;
                Read::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, read))
    })
}

fn number_of(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_refuses_is_read_and_nonsense_says_nothing() {
        let mut answer = Message::default();
        answer.message(1, |partial| {
            partial.varint(1, 300);
            partial.text(2, "too old");
        });
        let answer = answer.into_bytes();
        assert_eq!(refused(&answer), (300, "too old".into()));
        for nonsense in [&b""[..], b"\xff", b"<html>", &answer[..answer.len() - 1], &[0x80; 64]] {
            assert_eq!(refused(nonsense).0, 0, "{nonsense:?}");
        }
    }

    #[test]
    fn it_is_written_as_its_guide_says() {
        // The guide's own examples.
        let mut message = Message::default();
        message.varint(1, 150);
        message.text(2, "testing");
        message.message(3, |inner| inner.varint(1, 150));
        let expected = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01";
        assert_eq!(message.into_bytes(), expected);
    }

    #[test]
    fn a_default_is_left_out_where_nothing_tells_presence() {
        let mut message = Message::default();
        message.varint(1, 0);
        message.fixed32(2, 0);
        message.fixed64(3, 0);
        message.text(4, "");
        assert!(message.into_bytes().is_empty());
        let mut message = Message::default();
        message.double(1, 0.0);
        message.int(2, -1);
        assert_eq!(message.into_bytes(), b"\x09\0\0\0\0\0\0\0\0\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    }
}
