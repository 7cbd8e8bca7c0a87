//! Addresses of cryptocurrencies: `Base58Check`, Bech32 (BIP 173, BIP 350) and Ethereum's.

use sha2::{Digest as _, Sha256};

use super::Word;
use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

pub(super) fn find(word: &Word<'_>, hits: &mut Vec<Hit>) {
    let written = word.written();
    let found = match written {
        [b'0', b'x', hex @ ..] if hex.len() == 40 && hex.iter().all(u8::is_ascii_hexdigit) => {
            Some(("crypto.ethereum", Confidence::Medium))
        }
        [b'b' | b'B', b'c' | b'C', b'1', ..] if is_bech32(written) => {
            Some(("crypto.bech32", Confidence::Strong))
        }
        _ if written.len() <= 35 && is_base58_check(written) => Some(("crypto.base58", Confidence::Strong)),
        _ => None,
    };
    if let Some((detector, confidence)) = found.filter(|_| word.is_clean()) {
        hits.push(word.hit(Kind::CryptoAddress, detector, confidence));
    }
}

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// 25 bytes, the last four of which are the beginning of a double SHA-256 of the others.
fn is_base58_check(written: &[u8]) -> bool {
    if !matches!(written.first(), Some(b'1' | b'3' | b'L' | b'M' | b'D' | b'T')) {
        return false;
    }
    let mut number = [0_u8; 25];
    for character in written {
        let Some(value) = BASE58.iter().position(|known| known == character) else { return false };
        let mut carry = u32::try_from(value).unwrap_or(0);
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff).try_into().unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    let Some((body, check)) = number.split_at_checked(21) else { return false };
    Sha256::digest(Sha256::digest(body)).starts_with(check)
}

const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn is_bech32(written: &[u8]) -> bool {
    if !(14..=90).contains(&written.len()) {
        return false;
    }
    let generator = [0x3b6a_57b2_u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let step = |check: u32, value: u32| {
        let top = check >> 25;
        let shifted = (check & 0x01ff_ffff) << 5 ^ value;
        let on = generator.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1);
        on.fold(shifted, |check, (_, constant)| check ^ constant)
    };
    // The part before the `1` is `bc`: its high bits, a zero, its low bits.
    let mut check = [3, 3, 0, 2, 3].into_iter().fold(1, step);
    for character in written.iter().skip(3) {
        let lower = character.to_ascii_lowercase();
        let Some(value) = BECH32.iter().position(|known| *known == lower) else { return false };
        check = step(check, u32::try_from(value).unwrap_or(0));
    }
    matches!(check, 1 | 0x2bc8_30a3)
}
