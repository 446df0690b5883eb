//! The hash of keys and of endpoints' addresses: the same in every process, so that several of them agree on who serves a key.

/// FNV-1a, and the finalizer of SplitMix64 over it: FNV alone leaves the high bits of short texts too much alike.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fnv =
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3));
    mix(fnv)
}

/// Every bit of the number moves about half of the result's.
pub(crate) const fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_same_hash_in_every_release() {
        // Who changes these moves all keys of everybody at an update.
        assert_eq!(hash(b""), 0xF52A_15E9_A9B5_E89B);
        assert_eq!(hash(b"user-7"), hash(b"user-7"));
        assert_ne!(hash(b"user-7"), hash(b"user-8"));
    }
}
