//! A hash that is the same for ever, which the standard library's does not promise.

/// FNV-1a (Fowler, Noll, Vo) without the sign bit.
pub(crate) fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash & (u64::MAX >> 1)
}
