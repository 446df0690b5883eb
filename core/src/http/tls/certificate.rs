//! What a certificate says of itself, for messages: whom it is for, who issued it, when it is valid, its public key. Nothing is
//! verified here. Whatever it says was written by the peer, and so is shortened and made printable before anybody sees it.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::prelude::{BASE64_STANDARD, Engine};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// How many names are told of a certificate that is for many.
const MOST_NAMES: usize = 8;

/// How much is told of a text of the peer's.
const MOST_LETTERS: usize = 200;

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub subject: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: Option<i64>,
    pub not_after: Option<i64>,
    /// DNS names and addresses.
    pub names: Vec<String>,
    /// Whether it says that it was issued by itself.
    pub is_self_issued: bool,
}

impl Stated {
    pub fn of(certificate: &CertificateDer<'_>) -> Stated {
        let Some(fields) = fields(certificate) else { return Stated::default() };
        Stated {
            subject: distinguished_name(fields.subject),
            issuer: distinguished_name(fields.issuer),
            not_before: fields.not_before,
            not_after: fields.not_after,
            names: alternative_names(fields.extensions),
            is_self_issued: fields.subject == fields.issuer,
        }
    }

    /// The names that it is for, as a list for people.
    pub fn names_shown(&self) -> String {
        let mut shown = self.names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > MOST_NAMES {
            let _ = write!(shown, " and {} more", self.names.len() - MOST_NAMES);
        }
        if shown.is_empty() { "no name".into() } else { shown }
    }
}

impl fmt::Display for Stated {
    /// `CN=api.example.com, issued by CN=Some CA, valid from 2025-01-01 00:00:00 to 2026-01-01 00:00:00 UTC`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.issuer.is_empty() && self.not_after.is_none() {
            return f.write_str("one that cannot be read");
        }
        let subject = if self.subject.is_empty() { "no subject" } else { &self.subject };
        write!(f, "{subject}, issued by {}", self.issuer)?;
        match (self.not_before, self.not_after) {
            (Some(from), Some(to)) => write!(f, ", valid from {} to {} UTC", date(from), date(to)),
            _ => Ok(()),
        }
    }
}

/// The SHA-256 of a certificate's public key; `None` when it is no certificate.
pub(crate) fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    EndEntityCert::try_from(certificate).ok().map(|parsed| digest_of(&parsed.subject_public_key_info()))
}

/// The SHA-256 of a public key (SPKI).
pub(crate) fn digest_of(spki: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, spki).as_ref());
    bytes
}

/// A pin as settings spell it.
pub(crate) fn spelled(pin: &[u8; 32]) -> String {
    BASE64_STANDARD.encode(pin)
}

/// An instant as `2026-01-31 23:59:59`.
pub(crate) fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Days since 1970 as a date of the Gregorian calendar. Years begin in March, so that the leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The days from 1970 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A text of the peer's, as it may be shown.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown: String =
        text.chars().take(MOST_LETTERS).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if text.chars().nth(MOST_LETTERS).is_some() {
        shown.push('…');
    }
    shown
}

// ---- DER: an element is a tag, a length, and so many bytes.

const SEQUENCE: u8 = 0x30;

struct Fields<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: Option<i64>,
    not_after: Option<i64>,
    extensions: &'a [u8],
}

/// The next element, and what comes after it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of the next element, which has to have that tag, and what comes after it.
fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    element(input).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

fn elements(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(input)?;
        input = rest;
        Some((tag, content))
    })
}

/// RFC 5280, section 4.1.
fn fields<'a>(certificate: &'a CertificateDer<'_>) -> Option<Fields<'a>> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let rest = match element(signed)? {
        // The version, which the first one leaves out.
        (0xa0, _, rest) => rest,
        _ => signed,
    };
    let (_serial, rest) = expect(0x02, rest)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, rest) = expect(SEQUENCE, rest)?;
    let (subject, rest) = expect(SEQUENCE, rest)?;
    let (_key, rest) = expect(SEQUENCE, rest)?;
    let mut times = elements(validity).map(|(tag, text)| time(tag, text));
    let (not_before, not_after) = (times.next().flatten(), times.next().flatten());
    let extensions = elements(rest).find(|(tag, _)| *tag == 0xa3).and_then(|(_, content)| expect(SEQUENCE, content));
    Some(Fields { issuer, subject, not_before, not_after, extensions: extensions.map_or(&[], |(content, _)| content) })
}

/// `UTCTime` (`YYMMDDHHMMSSZ`) or `GeneralizedTime` (`YYYYMMDDHHMMSSZ`).
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut two = (0..5).map(|at| rest.get(2 * at..2 * at + 2).and_then(|digits| digits.parse::<i64>().ok()));
    let mut next = || two.next().flatten();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `CN=api.example.com, O=Example`: of a name's parts, those that people know.
fn distinguished_name(name: &[u8]) -> String {
    let mut text = String::new();
    for (_, set) in elements(name) {
        for (_, part) in elements(set) {
            let mut pair = elements(part);
            let (Some((0x06, oid)), Some((tag, value))) = (pair.next(), pair.next()) else { continue };
            let kind = match oid {
                [0x55, 0x04, 3] => "CN",
                [0x55, 0x04, 6] => "C",
                [0x55, 0x04, 7] => "L",
                [0x55, 0x04, 8] => "ST",
                [0x55, 0x04, 10] => "O",
                [0x55, 0x04, 11] => "OU",
                _ => continue,
            };
            // A BMPString has two bytes a letter.
            let value = if tag == 0x1e {
                value.chunks(2).filter_map(|pair| pair.get(1).copied()).collect()
            } else {
                value.to_vec()
            };
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{kind}={}", shown(&value));
        }
    }
    text
}

/// The DNS names and addresses of the extension `subjectAltName`.
fn alternative_names(extensions: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for (_, extension) in elements(extensions) {
        let mut parts = elements(extension);
        if parts.next() != Some((0x06, &[0x55, 0x1d, 17])) {
            continue;
        }
        let Some((list, _)) = parts.find(|(tag, _)| *tag == 0x04).and_then(|(_, value)| expect(SEQUENCE, value)) else {
            continue;
        };
        names.extend(elements(list).filter_map(|(tag, name)| match tag {
            0x82 => Some(shown(name)),
            0x87 => match name.len() {
                4 => <[u8; 4]>::try_from(name).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(name).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
            },
            _ => None,
        }));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn certificate(params: CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_says_whom_it_is_for_who_issued_it_and_when_it_is_valid() {
        let mut params = CertificateParams::new(["api.example.com".into(), "10.0.0.7".into(), "::1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the API");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        (params.not_before, params.not_after) = (date_time_ymd(2024, 2, 29), date_time_ymd(2051, 12, 31));
        let stated = Stated::of(&certificate(params));
        assert_eq!(
            stated.to_string(),
            "CN=the API, O=Example, issued by CN=the API, O=Example, valid from 2024-02-29 00:00:00 to 2051-12-31 00:00:00 UTC"
        );
        assert_eq!(stated.names_shown(), "api.example.com, 10.0.0.7, ::1");
        assert!(stated.is_self_issued);
    }

    #[test]
    fn what_a_peer_wrote_is_made_printable_and_short() {
        let mut params =
            CertificateParams::new((0..50).map(|n| format!("{n}.example.com")).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("a\nb\u{1b}[31m{}", "c".repeat(5000)));
        let stated = Stated::of(&certificate(params));
        assert!(
            !stated.subject.contains(char::is_control) && stated.subject.chars().count() < 210,
            "{}",
            stated.subject
        );
        assert!(stated.names_shown().ends_with("7.example.com and 42 more"), "{}", stated.names_shown());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_798_761_599, "2026-12-31 23:59:59"),
            (-1, "1969-12-31 23:59:59"),
            (4_102_444_800, "2100-01-01 00:00:00"),
        ] {
            assert_eq!(date(seconds), text);
        }
        for day in (-100_000..100_000).step_by(37) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 1, 2, 3, 4], &[0x30, 3, 0x30, 0x83, 0xff], b"HTTP/1.1 400"] {
            assert_eq!(Stated::of(&CertificateDer::from(bytes)).to_string(), "one that cannot be read");
            assert_eq!(key_digest(&CertificateDer::from(bytes)), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0usize..600, byte: u8, cut in 0usize..600) {
            let mut params = CertificateParams::new(["api.example.com".into(), "10.0.0.7".into()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, "the API");
            let mut bytes = certificate(params).to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut % 50));
            let _ = Stated::of(&CertificateDer::from(bytes)).to_string();
        }
    }
}
