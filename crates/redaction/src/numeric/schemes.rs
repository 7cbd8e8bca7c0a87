//! The numbers by which states know people, where they are digits alone.
//!
//! A flat table: shapes and check digits as the issuing offices publish them. A number in one
//! piece counts by itself only where a random number passes its checks less than once in 200.

use super::Candidate;
use crate::checksum::{digit, is_day, luhn, mod_11_10, number, verhoeff, weighted};
use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

struct Scheme {
    detector: &'static str,
    kind: Kind,
    /// What is sure enough by itself.
    medium: &'static [&'static str],
    /// What needs words around it.
    weak: &'static [&'static str],
    check: fn(&[u8]) -> bool,
}

/// Shapes that nothing else has, together with their check digits.
const DISTINCT: &[&str] = &["3.4.4.2", "3.3.3-2", "2.3.3/4-2", "1-4-5-2-1", "1 2 2 2 3 3 2"];

const SCHEMES: &[Scheme] = &[
    scheme("ssn", Kind::Ssn, &["3-2-4"], &["9", "3 2 4"], us_ssn),
    scheme("national_id.uk_nhs", Kind::NationalId, &[], &["3 3 4", "3-3-4", "10"], uk_nhs),
    scheme("national_id.de_steuer_id", Kind::NationalId, &["2 3 3 3"], &["11"], de_steuer_id),
    scheme("national_id.fr_nir", Kind::NationalId, &["15", "1 2 2 2 3 3 2", "13 2"], &[], fr_nir),
    scheme("national_id.nl_bsn", Kind::NationalId, &[], &["9", "4.2.3", "3.3.3", "3 3 3"], nl_bsn),
    scheme("national_id.pt_nif", Kind::NationalId, &[], &["9", "3 3 3"], pt_nif),
    scheme("national_id.pl_pesel", Kind::NationalId, &[], &["11"], pl_pesel),
    scheme("national_id.be_register", Kind::NationalId, &["2.2.2-3.2", "11"], &["6 3 2"], be_register),
    scheme("national_id.se_personnummer", Kind::NationalId, &["6-4", "8-4", "12"], &["10"], se_personnummer),
    scheme("national_id.no_fodselsnummer", Kind::NationalId, &["11", "6 5"], &[], no_fodselsnummer),
    scheme("national_id.dk_cpr", Kind::NationalId, &["6-4"], &["10"], dk_cpr),
    scheme("national_id.ch_ahv", Kind::NationalId, &["3.4.4.2", "13"], &[], ch_ahv),
    scheme("national_id.at_svnr", Kind::NationalId, &["4 6"], &["10"], at_svnr),
    scheme("national_id.cz_rodne_cislo", Kind::NationalId, &["6/4"], &["10"], cz_rodne_cislo),
    scheme("national_id.ro_cnp", Kind::NationalId, &["13"], &[], ro_cnp),
    scheme("national_id.bg_egn", Kind::NationalId, &[], &["10"], bg_egn),
    scheme("national_id.hr_oib", Kind::NationalId, &[], &["11"], mod_11_10),
    scheme("national_id.ee_lt", Kind::NationalId, &["11"], &[], ee_lt),
    scheme("national_id.gr_amka", Kind::NationalId, &[], &["11"], gr_amka),
    scheme("national_id.tr_kimlik", Kind::NationalId, &[], &["11"], tr_kimlik),
    scheme("national_id.br_cpf", Kind::NationalId, &["3.3.3-2"], &["11"], br_cpf),
    scheme("national_id.ca_sin", Kind::NationalId, &[], &["9", "3 3 3", "3-3-3"], ca_sin),
    scheme("national_id.au_medicare", Kind::NationalId, &["4 5 1"], &["10"], au_medicare),
    scheme("national_id.in_aadhaar", Kind::NationalId, &["4 4 4", "4-4-4"], &["12"], in_aadhaar),
    scheme("national_id.cn_resident", Kind::NationalId, &["18"], &[], cn_resident),
    scheme("national_id.kr_rrn", Kind::NationalId, &["6-7"], &["13"], kr_rrn),
    scheme("national_id.jp_my_number", Kind::NationalId, &[], &["12", "4 4 4"], jp_my_number),
    scheme("national_id.za_id", Kind::NationalId, &["13"], &[], za_id),
    scheme("national_id.il_id", Kind::NationalId, &[], &["9"], luhn),
    scheme("national_id.th_id", Kind::NationalId, &["1-4-5-2-1"], &["13"], th_id),
    scheme("national_id.cl_rut", Kind::NationalId, &["2.3.3-1", "1.3.3-1"], &["8-1", "7-1"], cl_rut),
    scheme("tax_id.ar_cuit", Kind::TaxId, &["2-8-1"], &["11"], ar_cuit),
    scheme("tax_id.br_cnpj", Kind::TaxId, &["2.3.3/4-2"], &["14"], br_cnpj),
    scheme("tax_id.au_tfn", Kind::TaxId, &[], &["9", "3 3 3"], au_tfn),
    scheme("tax_id.us_ein", Kind::TaxId, &[], &["2-7"], |_| true),
    scheme("passport", Kind::Passport, &[], &["7", "8", "9"], |_| true),
    scheme(
        "driving_licence",
        Kind::DrivingLicence,
        &[],
        &["7", "8", "9", "10", "12", "3-3-3", "3 3 3"],
        |_| true,
    ),
    scheme("bank.us_routing", Kind::BankAccount, &[], &["9"], us_routing),
    scheme("bank.number", Kind::BankAccount, &[], &["6", "7", "8", "9", "10", "11", "12", "2-2-2"], |_| true),
];

const fn scheme(
    detector: &'static str,
    kind: Kind,
    medium: &'static [&'static str],
    weak: &'static [&'static str],
    check: fn(&[u8]) -> bool,
) -> Scheme {
    Scheme { detector, kind, medium, weak, check }
}

pub(super) fn detectors() -> impl Iterator<Item = &'static str> {
    SCHEMES.iter().map(|scheme| scheme.detector)
}

pub(super) fn find(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    let shape = candidate.shape();
    let digits = candidate.digits();
    let is_one_digit = digits.windows(2).all(|pair| pair.first() == pair.last());
    if is_one_digit {
        return;
    }
    for scheme in SCHEMES {
        let among = |shapes: &[&str]| shapes.iter().any(|known| known.as_bytes() == shape);
        let confidence = if among(scheme.medium) {
            if among(DISTINCT) { Confidence::Strong } else { Confidence::Medium }
        } else if among(scheme.weak) {
            Confidence::Weak
        } else {
            continue;
        };
        if (scheme.check)(digits) {
            hits.push(candidate.hit(scheme.kind, scheme.detector, confidence));
        }
    }
}

/// SSA: no area 000, 666 or above 899, no group 00, no serial 0000; above are numbers of the IRS.
fn us_ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = (number(digits, 0, 3), number(digits, 3, 5), number(digits, 5, 9));
    let is_itin = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    (area != 0 && area != 666 && (area < 900 || is_itin)) && group != 0 && serial != 0
}

fn uk_nhs(digits: &[u8]) -> bool {
    let check = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == digit(digits, 9) && check != 10
}

/// Bundeszentralamt für Steuern: of the first ten digits one is there twice or three times.
fn de_steuer_id(digits: &[u8]) -> bool {
    let body = digits.get(..10).unwrap_or_default();
    let count = |wanted: u8| memchr::memchr_iter(wanted, body).count();
    let repeated = (0..10).filter(|digit| count(*digit) > 1).count();
    let is_limited = (0..10).all(|digit| count(digit) <= 3);
    digits.first() != Some(&0) && repeated == 1 && is_limited && mod_11_10(digits)
}

fn fr_nir(digits: &[u8]) -> bool {
    let month = number(digits, 3, 5);
    matches!(digits.first(), Some(1..=4 | 7 | 8))
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - number(digits, 0, 13) % 97 == number(digits, 13, 15)
}

fn nl_bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum >= digit(digits, 8) && (sum - digit(digits, 8)).is_multiple_of(11)
}

fn pt_nif(digits: &[u8]) -> bool {
    let check = 11 - weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(digits.first(), Some(1..=3 | 5 | 6 | 8 | 9))
        && (if check > 9 { 0 } else { check }) == digit(digits, 8)
}

fn pl_pesel(digits: &[u8]) -> bool {
    let check = (10 - weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    is_day(number(digits, 2, 4) % 20, number(digits, 4, 6)) && check == digit(digits, 10)
}

fn be_register(digits: &[u8]) -> bool {
    let body = number(digits, 0, 9);
    let check = number(digits, 9, 11);
    let is_born = is_day(number(digits, 2, 4) % 20, number(digits, 4, 6));
    is_born && (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check)
}

fn se_personnummer(digits: &[u8]) -> bool {
    let full = digits.len() == 12;
    let is_century = !full || matches!(number(digits, 0, 2), 18..=20);
    let short = digits.get(usize::from(full) * 2..).unwrap_or_default();
    let day = number(short, 4, 6);
    let day = if day > 60 { day - 60 } else { day };
    is_century && is_day(number(short, 2, 4), day) && luhn(short)
}

fn no_fodselsnummer(digits: &[u8]) -> bool {
    let day = number(digits, 0, 2);
    let day = if day > 40 { day - 40 } else { day };
    let first = (11 - weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
    let second = (11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    is_day(number(digits, 2, 4), day) && first == digit(digits, 9) && second == digit(digits, 10)
}

/// The check digit was given up in 2007, so the date is all that there is.
fn dk_cpr(digits: &[u8]) -> bool {
    is_day(number(digits, 2, 4), number(digits, 0, 2))
}

fn ch_ahv(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    number(digits, 0, 3) == 756 && (10 - sum % 10) % 10 == digit(digits, 12)
}

fn at_svnr(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    is_day(number(digits, 6, 8), number(digits, 4, 6)) && sum % 11 == digit(digits, 3)
}

fn cz_rodne_cislo(digits: &[u8]) -> bool {
    let month = number(digits, 2, 4) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let is_checked = number(digits, 0, 10).is_multiple_of(11)
        || (number(digits, 0, 9) % 11 == 10 && digit(digits, 9) == 0);
    is_day(month, number(digits, 4, 6)) && is_checked
}

fn ro_cnp(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    matches!(digits.first(), Some(1..=8))
        && is_day(number(digits, 3, 5), number(digits, 5, 7))
        && (if sum == 10 { 1 } else { sum }) == digit(digits, 12)
}

fn bg_egn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    is_day(number(digits, 2, 4) % 20, number(digits, 4, 6)) && sum == digit(digits, 9)
}

/// Estonia and Lithuania have the same rule.
fn ee_lt(digits: &[u8]) -> bool {
    let first = weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    matches!(digits.first(), Some(1..=8))
        && is_day(number(digits, 3, 5), number(digits, 5, 7))
        && check == digit(digits, 10)
}

fn gr_amka(digits: &[u8]) -> bool {
    is_day(number(digits, 2, 4), number(digits, 0, 2)) && luhn(digits)
}

fn tr_kimlik(digits: &[u8]) -> bool {
    let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let all = weighted(digits, &[1; 10]);
    digits.first() != Some(&0)
        && (odd * 7 + 90 - even) % 10 == digit(digits, 9)
        && all % 10 == digit(digits, 10)
}

/// The check digit of Brazil's numbers, of a sum of digits times weights.
fn brazilian(sum: u32) -> u32 {
    if sum % 11 < 2 { 0 } else { 11 - sum % 11 }
}

fn br_cpf(digits: &[u8]) -> bool {
    brazilian(weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 9)
        && brazilian(weighted(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 10)
}

fn br_cnpj(digits: &[u8]) -> bool {
    brazilian(weighted(digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 12)
        && brazilian(weighted(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(digits, 13)
}

fn ca_sin(digits: &[u8]) -> bool {
    !matches!(digits.first(), Some(0 | 8)) && luhn(digits)
}

fn au_medicare(digits: &[u8]) -> bool {
    matches!(digits.first(), Some(2..=6))
        && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digit(digits, 8)
}

fn au_tfn(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

fn in_aadhaar(digits: &[u8]) -> bool {
    digits.first() > Some(&1) && verhoeff(digits)
}

fn cn_resident(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let is_born = (1900..2100).contains(&number(digits, 6, 10))
        && is_day(number(digits, 10, 12), number(digits, 12, 14));
    is_born && (12 - sum % 11) % 11 == digit(digits, 17)
}

fn kr_rrn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    is_day(number(digits, 2, 4), number(digits, 4, 6)) && (11 - sum % 11) % 10 == digit(digits, 12)
}

fn jp_my_number(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == digit(digits, 11)
}

fn za_id(digits: &[u8]) -> bool {
    is_day(number(digits, 2, 4), number(digits, 4, 6)) && digit(digits, 10) < 3 && luhn(digits)
}

fn th_id(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.first() != Some(&0) && (11 - sum % 11) % 10 == digit(digits, 12)
}

fn cl_rut(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let weights = [2, 3, 4, 5, 6, 7].iter().cycle();
    let sum: u32 = body.iter().rev().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    (11 - sum % 11) % 11 == u32::from(*check)
}

fn ar_cuit(digits: &[u8]) -> bool {
    let check = (11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    matches!(number(digits, 0, 2), 20 | 23 | 24 | 27 | 30 | 33 | 34) && check == digit(digits, 10)
}

fn us_routing(digits: &[u8]) -> bool {
    weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published examples of the offices, or numbers made for documentation.
    #[test]
    fn example_numbers_of_each_country_pass_and_a_wrong_last_digit_does_not() {
        for (detector, example) in [
            ("national_id.uk_nhs", "9434765919"),
            ("national_id.de_steuer_id", "86095742719"),
            ("national_id.fr_nir", "255081416802538"),
            ("national_id.nl_bsn", "111222333"),
            ("national_id.pt_nif", "123456789"),
            ("national_id.pl_pesel", "44051401359"),
            ("national_id.be_register", "85073003328"),
            ("national_id.se_personnummer", "8112289874"),
            ("national_id.no_fodselsnummer", "13097248022"),
            ("national_id.ch_ahv", "7569217076985"),
            ("national_id.at_svnr", "1237010180"),
            ("national_id.cz_rodne_cislo", "7103192745"),
            ("national_id.ro_cnp", "1630615123457"),
            ("national_id.bg_egn", "7523169263"),
            ("national_id.ee_lt", "37605030299"),
            ("national_id.tr_kimlik", "17291716060"),
            ("national_id.br_cpf", "52998224725"),
            ("national_id.ca_sin", "130692544"),
            ("national_id.in_aadhaar", "234123412346"),
            ("national_id.za_id", "7503305044089"),
            ("national_id.cl_rut", "125319092"),
            ("tax_id.ar_cuit", "20055361682"),
            ("tax_id.br_cnpj", "16727230000197"),
            ("tax_id.au_tfn", "123456782"),
            ("bank.us_routing", "111000025"),
        ] {
            let scheme = SCHEMES.iter().find(|scheme| scheme.detector == detector).expect(detector);
            let digits: Vec<u8> = example.bytes().map(|byte| byte - b'0').collect();
            assert!((scheme.check)(&digits), "{detector} {example}");
            let mut wrong = digits.clone();
            if let Some(last) = wrong.last_mut() {
                *last = (*last + 1) % 10;
            }
            assert!(!(scheme.check)(&wrong), "{detector} accepts {wrong:?}");
        }
    }
}
