//! What the name of a field says of its value.
//!
//! A name is cut into words at case, digits and signs, and looked up in the [`lexicon`]; a value
//! that cannot be of the kind that its field names is not taken for it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use crate::kind::Kind;

mod lexicon;
mod plausible;
mod words;

pub(crate) use plausible::{is_full_name, is_plausible};
pub use words::FieldWords;

/// Longest name that is looked up, in bytes, and most words of one.
const MAX_NAME: usize = 96;
const MAX_WORDS: usize = 10;

/// Most words of a name that are one entry of the lexicon.
const MAX_TERM: usize = 5;

/// The names of the detectors by language.
pub(crate) fn detectors() -> impl Iterator<Item = &'static str> {
    lexicon::LEXICON.iter().map(|(detector, _, _)| *detector)
}

/// What a field holds, by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldClass {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Data of a kind; with the name of the detector that says so.
    Kind(Kind, &'static str),
    /// A name: of a person in the company of other data of persons.
    Name,
    /// Somebody, or a team, or an account.
    Role,
    /// The number of a thing.
    Thing,
}

/// Names that were looked up before are known for longer than one text; most that are kept.
const MAX_KNOWN: usize = 4_096;

/// A hasher for words that are there from the beginning: nobody can choose them so that they collide.
#[derive(Clone, Copy, Debug, Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Names of fields by what they hold.
#[derive(Debug)]
pub(crate) struct Lexicon {
    terms: HashMap<Box<str>, Term, BuildHasherDefault<WordHasher>>,
    known: RwLock<HashMap<Box<str>, FieldClass>>,
}

#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether a word is in one list of the lexicon")]
struct Term {
    kind: Option<(Kind, &'static str)>,
    people: bool,
    name: bool,
    role: bool,
    about: bool,
    thing: bool,
    /// Whether the configuration has it.
    own: bool,
}

impl Lexicon {
    /// The lexicon of this crate with `more` words, which go before its own.
    pub(crate) fn new<'a>(more: impl IntoIterator<Item = (&'a str, Option<Kind>)>) -> Self {
        let mut terms: HashMap<Box<str>, Term, BuildHasherDefault<WordHasher>> = HashMap::default();
        for (detector, kind, words) in lexicon::LEXICON {
            for word in words.split_ascii_whitespace() {
                terms.entry(word.into()).or_default().kind.get_or_insert((*kind, detector));
            }
        }
        let mut mark = |words: &str, set: fn(&mut Term)| {
            words.split_ascii_whitespace().for_each(|word| set(terms.entry(word.into()).or_default()));
        };
        mark(lexicon::PEOPLE, |term| term.people = true);
        mark(lexicon::NAMES, |term| term.name = true);
        mark(lexicon::ROLES, |term| term.role = true);
        mark(lexicon::ABOUT, |term| term.about = true);
        mark(lexicon::THINGS, |term| term.thing = true);
        for (words, kind) in more {
            let term = terms.entry(joined(words)).or_default();
            let kind = kind.map(|kind| (kind, "field.own"));
            *term = Term { kind, thing: kind.is_none(), own: true, ..Term::default() };
        }
        Self { terms, known: RwLock::default() }
    }

    fn term(&self, word: &str) -> Option<&Term> {
        let stem = || word.strip_suffix('s').filter(|stem| stem.len() > 2);
        self.terms.get(word).or_else(|| self.terms.get(stem()?))
    }

    /// What a field called `name` holds.
    pub(crate) fn classify(&self, name: &str) -> FieldClass {
        if name.len() > MAX_NAME {
            return FieldClass::Unknown;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        known.unwrap_or_else(|| {
            let class = self.look_up(name);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MAX_KNOWN {
                known.insert(name.into(), class);
            }
            class
        })
    }

    fn look_up(&self, name: &str) -> FieldClass {
        match self.classify_words(name) {
            known @ FieldClass::Kind(..) => known,
            other => match self.without_particles(name) {
                Some(known @ FieldClass::Kind(..)) => known,
                _ => other,
            },
        }
    }

    fn classify_words(&self, name: &str) -> FieldClass {
        let mut joined = String::with_capacity(name.len() + 8);
        let mut ends = [0_usize; MAX_WORDS];
        let count = split(name, &mut joined, &mut ends);
        let start = |at: usize| at.checked_sub(1).and_then(|at| ends.get(at).copied()).unwrap_or(0);
        let words = |from: usize, to: usize| joined.get(start(from)..start(to)).unwrap_or_default();
        let mut best: Option<(usize, usize, (Kind, &'static str))> = None;
        let (mut people, mut names, mut roles, mut about, mut things) = (false, 0, false, false, false);
        for from in 0..count {
            for to in from + 1..=count.min(from + MAX_TERM) {
                let Some(term) = self.term(words(from, to)) else { continue };
                let length = to - from;
                if term.own {
                    return term.kind.map_or(FieldClass::Thing, |(kind, by)| FieldClass::Kind(kind, by));
                }
                if let Some(kind) = term.kind
                    && best.is_none_or(|(longest, _, known)| {
                        length > longest || (length == longest && !yields(kind.0, known.0))
                    })
                {
                    best = Some((length, from, kind));
                }
                people |= term.people;
                names += usize::from(term.name && length == 1);
                roles |= term.role && length == count;
                about |= term.about;
                things |= term.thing;
            }
        }
        decide(
            best.map(|(length, _, kind)| (length == count, kind)),
            (people, names, roles),
            (about, things),
            count,
        )
    }

    /// What a field called `name` holds, if the small words of its name are passed over: `date de la naissance`.
    fn without_particles(&self, name: &str) -> Option<FieldClass> {
        const PARTICLES: [&str; 16] =
            ["de", "di", "da", "do", "du", "del", "des", "la", "le", "of", "the", "y", "e", "et", "und", "i"];
        let is_particle = |word: &&str| PARTICLES.iter().any(|known| known.eq_ignore_ascii_case(word));
        let words: Vec<&str> = name.split([' ', '_', '-']).collect();
        let kept: Vec<&str> = words.iter().copied().filter(|word| !is_particle(word)).collect();
        (kept.len() < words.len() && kept.len() > 1).then(|| self.classify_words(&kept.join("_")))
    }

    /// Whether an object called `name` is a person.
    pub(crate) fn is_person(&self, name: &str) -> bool {
        if name.len() > MAX_NAME {
            return false;
        }
        let mut joined = String::with_capacity(name.len());
        let mut ends = [0_usize; MAX_WORDS];
        let count = split(name, &mut joined, &mut ends);
        let start = count.checked_sub(2).and_then(|at| ends.get(at).copied()).unwrap_or(0);
        joined.get(start..).and_then(|word| self.term(word)).is_some_and(|term| term.people)
    }
}

/// What a name says of which is known: the kind, and whether all of the name is it; what else its words are.
fn decide(
    kind: Option<(bool, (Kind, &'static str))>,
    (people, names, roles): (bool, usize, bool),
    (about, things): (bool, bool),
    count: usize,
) -> FieldClass {
    match kind {
        // The whole name is known: nothing in it makes it something else.
        Some((true, (kind, detector))) => FieldClass::Kind(kind, detector),
        _ if about && things => FieldClass::Thing,
        _ if about => FieldClass::Unknown,
        Some((false, (kind, detector))) => FieldClass::Kind(kind, detector),
        None if names > 0 && people => FieldClass::Kind(Kind::PersonName, "field.person"),
        None if roles => FieldClass::Role,
        None if names > 0 && count == 1 => FieldClass::Name,
        None if things => FieldClass::Thing,
        None => FieldClass::Unknown,
    }
}

/// Whether `kind` says less than `known` in a name that has both: an IP address is no address.
fn yields(kind: Kind, known: Kind) -> bool {
    kind == Kind::Address && matches!(known, Kind::Ip | Kind::Mac | Kind::Email | Kind::CryptoAddress)
}

/// `name` as it is compared: its words in one piece.
fn joined(name: &str) -> Box<str> {
    let mut joined = String::with_capacity(name.len());
    split(name, &mut joined, &mut [0; MAX_WORDS]);
    joined.into()
}

/// Writes the words of `name` to `joined`, folded; notes where each ends, and returns how many there are.
fn split(name: &str, joined: &mut String, ends: &mut [usize; MAX_WORDS]) -> usize {
    let mut count = 0_usize;
    let mut previous = ' ';
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let begins = (character.is_uppercase()
            && (previous.is_lowercase() || (previous.is_uppercase() && next.is_lowercase())))
            || (character.is_ascii_digit() != previous.is_ascii_digit() && previous.is_alphanumeric());
        let is_sign = !character.is_alphanumeric();
        let length = joined.len();
        let last = count.checked_sub(1).and_then(|at| ends.get(at).copied()).unwrap_or(0);
        if (begins || is_sign) && length > last {
            let Some(end) = ends.get_mut(count) else { return count };
            *end = length;
            count += 1;
        }
        // A number at the end tells one field from the next and says nothing of either.
        if !is_sign && !character.is_ascii_digit() {
            fold(character, joined);
        } else if character.is_ascii_digit() && matches!(previous, 'v' | 'V') {
            joined.push(character);
        }
        previous = character;
    }
    let last = count.checked_sub(1).and_then(|at| ends.get(at).copied()).unwrap_or(0);
    if joined.len() > last
        && let Some(end) = ends.get_mut(count)
    {
        *end = joined.len();
        count += 1;
    }
    count
}

/// Adds `character` in lower case and without its accent.
fn fold(character: char, out: &mut String) {
    match character {
        'A'..='Z' | 'a'..='z' => out.push(character.to_ascii_lowercase()),
        'ß' => out.push_str("ss"),
        'ł' | 'Ł' => out.push('l'),
        'ø' | 'Ø' => out.push('o'),
        'æ' | 'Æ' => out.push_str("ae"),
        _ => {
            let plain = match character.to_lowercase().next().unwrap_or(character) {
                'à'..='å' | 'ą' | 'ă' => 'a',
                'ç' | 'ć' | 'č' => 'c',
                'è'..='ë' | 'ę' | 'ě' => 'e',
                'ì'..='ï' => 'i',
                'ñ' | 'ń' | 'ň' => 'n',
                'ò'..='ö' | 'ő' => 'o',
                'ù'..='ü' | 'ű' | 'ů' => 'u',
                'ý' | 'ÿ' => 'y',
                'ś' | 'š' => 's',
                'ź' | 'ż' | 'ž' => 'z',
                'ř' => 'r',
                other => other,
            };
            out.push(plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<Kind> {
        match Lexicon::new([]).classify(name) {
            FieldClass::Kind(kind, _) => Some(kind),
            _ => None,
        }
    }

    #[test]
    fn names_are_known_in_every_spelling_and_language() {
        for (names, expected) in [
            (
                "email e-mail EMAIL userEmail customer_email_address Email-Address contactEmail courriel emailadresse emails",
                Kind::Email,
            ),
            (
                "phone phoneNumber PHONE_NO tel telefonnummer numéro_téléphone móvil cellulare telefoon telemóvel komórka homePhone2",
                Kind::Phone,
            ),
            (
                "date_of_birth dateOfBirth DOB birthDate geburtsdatum dateDeNaissance fecha_nacimiento dataDiNascita geboortedatum data_urodzenia",
                Kind::DateOfBirth,
            ),
            (
                "first_name lastName fullName customer_name vorname Nachname prénom apellidos cognome achternaam sobrenome imię nazwisko clientName nom_client",
                Kind::PersonName,
            ),
            ("ipAddress client_ip remoteIP ip", Kind::Ip),
            ("street address shippingAddress address_line_2 Straße indirizzo endereço ulica", Kind::Address),
            ("cardNumber credit_card_number kreditkartennummer", Kind::CreditCard),
            ("SSN socialSecurityNumber", Kind::Ssn),
            ("apiKey client_secret access_token", Kind::SecretGeneric),
        ] {
            for name in names.split(' ') {
                assert_eq!(kind(name), Some(expected), "{name}");
            }
        }
    }

    #[test]
    fn fields_about_such_data_are_not_the_data() {
        for name in [
            "emailVerified",
            "phone_type",
            "email_count",
            "ip_version",
            "card_type",
            "next_page_token",
            "passwordPolicy",
            "product_name",
            "file_name",
            "max_tokens",
            "address_id_count",
            "hostname",
            "tokens_used",
            "description",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }

    #[test]
    fn names_roles_and_things_are_told_apart() {
        let lexicon = Lexicon::new([("Matrikel-Nr", Some(Kind::NationalId)), ("phone_model_number", None)]);
        assert_eq!(lexicon.classify("name"), FieldClass::Name);
        assert_eq!(lexicon.classify("assignee"), FieldClass::Role);
        assert_eq!(lexicon.classify("version"), FieldClass::Thing);
        assert_eq!(lexicon.classify("userId"), FieldClass::Thing);
        assert_eq!(lexicon.classify("order_number"), FieldClass::Thing);
        assert_eq!(lexicon.classify("matrikelNr"), FieldClass::Kind(Kind::NationalId, "field.own"));
        assert_eq!(lexicon.classify("phoneModelNumber"), FieldClass::Thing);
        assert!(lexicon.is_person("billing_contact") && !lexicon.is_person("contact_form"));
    }
}
