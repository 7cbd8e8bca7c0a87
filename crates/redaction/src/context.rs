//! The words before a number that say what it is, in several languages.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::hit::{before, byte, is_word, part};
use crate::kind::Kind;

/// How far before a number the word may stand, in bytes.
const REACH: usize = 48;

/// What the words before a number say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// Data of a kind.
    Kind(Kind),
    /// A number of something, not of somebody.
    Thing,
}

const LABELS: &[(Label, &str)] = &[
    (
        Label::Kind(Kind::Phone),
        "phone|telephone|tel|desk|office|home|work|mobile|cell|cellphone|fax|call|calls|called|calling|dial|ring|whatsapp|sms|hotline|\
         text me|reach me|reach him|reach her|reach us|contact number|phone number|landline|\
         telefon|telefonnummer|handy|mobil|mobilnummer|rufnummer|anrufen|festnetz|durchwahl|\
         t\u{e9}l\u{e9}phone|t\u{e9}l|portable|appelez|joindre|tel\u{e9}fono|m\u{f3}vil|celular|ll\u{e1}meme|telefono|cellulare|\
         chiama|telefoon|telefoonnummer|mobiel|gsm|bel|telefone|telem\u{f3}vel|ligue|kom\u{f3}rka|zadzwo\u{144}",
    ),
    (
        Label::Kind(Kind::CreditCard),
        "card|credit card|card number|debit card|visa|mastercard|amex|american express|maestro|cc|kreditkarte|karte|\
         carte|carte bancaire|tarjeta|carta di credito|carta|creditcard|cart\u{e3}o|karta",
    ),
    (Label::Kind(Kind::Ssn), "ssn|social security|social security number|itin|social"),
    (
        Label::Kind(Kind::NationalId),
        "nhs|nhs number|nino|national insurance|national id|identity number|identity card|id card|steuer-id|\
         steueridentifikationsnummer|idnr|steuer id|sozialversicherungsnummer|nir|s\u{e9}curit\u{e9} sociale|num\u{e9}ro de s\u{e9}cu|\
         dni|nie|nif|documento|codice fiscale|bsn|burgerservicenummer|sofinummer|contribuinte|pesel|rijksregisternummer|\
         niss|personnummer|f\u{f8}dselsnummer|cpr|ahv|avs|svnr|rodn\u{e9} \u{10d}\u{ed}slo|cnp|egn|oib|isikukood|asmens kodas|\
         amka|kimlik|cpf|sin|social insurance|medicare|aadhaar|resident id|rrn|my number|sa id|teudat zehut|rut|pps|\
         personal code|national number",
    ),
    (
        Label::Kind(Kind::TaxId),
        "vat|vat number|vat id|ust-id|ustid|ust-idnr|tva|iva|btw|tax id|tax number|tin|ein|tfn|cuit|cnpj|steuernummer|partita iva",
    ),
    (
        Label::Kind(Kind::Passport),
        "passport|passport number|reisepass|passeport|pasaporte|passaporto|paspoort|passaporte|paszport",
    ),
    (
        Label::Kind(Kind::DrivingLicence),
        "driver's license|drivers license|driver license|driving licence|driving license|driver's licence|licence number|\
         license number|dl|f\u{fc}hrerschein|permis de conduire|permiso de conducir|patente|rijbewijs|prawo jazdy|carta de condu\u{e7}\u{e3}o",
    ),
    (
        Label::Kind(Kind::BankAccount),
        "account number|bank account|account no|acct|sort code|routing|routing number|aba|kontonummer|konto|blz|\
         rekeningnummer|num\u{e9}ro de compte|n\u{fa}mero de cuenta|numero di conto|konta",
    ),
    (Label::Kind(Kind::Bic), "bic|swift|swift code|bic code|bank identifier"),
    (
        Label::Kind(Kind::DateOfBirth),
        "born|born on|dob|d.o.b|date of birth|birth date|birthdate|birthday|geboren|geboren am|geburtsdatum|geburtstag|\
         n\u{e9} le|n\u{e9}e le|date de naissance|nacido|nacida|fecha de nacimiento|nato il|nata il|data di nascita|geboortedatum|\
         nascido|nascida|data de nascimento|urodzony|urodzona|data urodzenia",
    ),
    (Label::Kind(Kind::DeviceId), "imei|device id|device number|serial of the phone"),
    (
        Label::Thing,
        "order|orders|order number|order no|order id|invoice|invoice number|ticket|case|ref|reference|sku|item|product|\
         part number|serial|serial number|tracking|tracking number|shipment|batch|lot|version|build|commit|isbn|ean|gtin|\
         upc|firmware|release|revision|rev|software|driver|app|kernel|os|protocol|api|library|package|section|quantity|qty|amount|total|price|room|page|chapter|error|code|line|bestellung|bestellnummer|rechnung|auftrag|\
         commande|facture|pedido|factura|ordine|fattura|bestelling|factuur|fatura|zam\u{f3}wienie|faktura|artikel|article",
    ),
];

struct Words {
    automaton: AhoCorasick,
    kinds: Vec<Label>,
}

static WORDS: LazyLock<Option<Words>> = LazyLock::new(|| {
    let words = LABELS.iter().flat_map(|(kind, words)| words.split('|').map(move |word| (*kind, word)));
    let (kinds, words): (Vec<_>, Vec<_>) = words.unzip();
    let automaton = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::LeftmostLongest)
        .ascii_case_insensitive(true)
        .build(words)
        .ok()?;
    Some(Words { automaton, kinds })
});

/// What the nearest telling word before `at` says: a kind, or that it is no data of a person.
pub(crate) fn label_before(text: &[u8], at: usize) -> Option<Label> {
    let words = WORDS.as_ref()?;
    let from = at.saturating_sub(REACH);
    let window = part(text, from, at);
    let is_whole =
        |start: usize, end: usize| !is_word(before(text, from + start)) && !is_word(byte(text, from + end));
    // What was said in the line before is about something else.
    let line = memchr::memrchr(b'\n', window).map_or(0, |end| end + 1);
    let found = words.automaton.find_iter(window);
    let last = found.filter(|found| found.start() >= line && is_whole(found.start(), found.end())).last()?;
    words.kinds.get(last.pattern().as_usize()).copied()
}

/// Whether the word that follows a number says that it is a telephone's, as in signatures.
pub(crate) fn is_phone_after(text: &[u8], at: usize) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"office", b"fax", b"mobile", b"cell", b"home", b"work", b"desk", b"tel", b"phone", b"mobil",
        b"handy", b"direct",
    ];
    let rest = part(text, at, text.len().min(at + 16));
    let lead = rest.iter().take_while(|byte| matches!(byte, b' ' | b'(' | b'-' | b',')).count();
    let rest = rest.get(lead..).unwrap_or_default();
    let word = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    WORDS.iter().any(|known| rest.get(..word).is_some_and(|word| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Option<Label> {
        label_before(text.as_bytes(), text.len())
    }

    #[test]
    fn the_nearest_whole_word_counts() {
        assert_eq!(label("Please call me at "), Some(Label::Kind(Kind::Phone)));
        assert_eq!(label("call about order "), Some(Label::Thing));
        assert_eq!(label("Geburtsdatum: "), Some(Label::Kind(Kind::DateOfBirth)));
        assert_eq!(label("the hotel "), None);
        assert_eq!(label("phone\nthe next "), None);
    }
}
