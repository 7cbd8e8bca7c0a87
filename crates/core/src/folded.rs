//! When two names are taken for one: how people are told apart where somebody must not decide twice, or
//! on what they asked for themselves.
//!
//! Names are compared as Unicode has it for identifiers without regard to case (The Unicode Standard,
//! section 3.13, D147): compatibility forms are composed (NFKC, which includes NFC), case is folded letter
//! by letter, and what is not drawn is left out. No mail system and no directory that is in use tells two
//! people apart by such a difference, and the comparison only ever takes a say away: whoever is wrongly
//! taken for somebody else may not decide, and nobody decides who must not. Letters of different scripts
//! that look alike stay different, because issuers give such names to different people.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

use crate::ActorId;
use crate::arguments::sha256_text;
use crate::text::misleads;

/// Longest folded name, in bytes; of longer ones a digest stands for the name.
const MAX_BYTES: usize = 200;

/// A name as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldedName(Arc<str>);

impl FoldedName {
    /// How `name` is compared.
    pub fn of(name: &str) -> Self {
        // Folding can undo the composition, so both are done twice.
        let folded = fold(&fold(name));
        let trimmed = folded.trim();
        match trimmed.len() {
            // Nothing of it is drawn: then only the same is the same.
            0 => Self(sha256_text(name.as_bytes()).into()),
            1..=MAX_BYTES => Self(trimmed.into()),
            _ => Self(sha256_text(trimmed.as_bytes()).into()),
        }
    }

    /// A name that was folded before it was stored.
    pub fn from_stored(name: &str) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The actor of this name.
    ///
    /// # Errors
    ///
    /// The text, if no actor can be called so, which is true of no name that was folded here.
    pub fn to_actor(&self) -> Result<ActorId, String> {
        ActorId::parse(&self.0)
    }
}

impl fmt::Display for FoldedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ActorId {
    /// How this name is compared with others.
    pub fn folded(&self) -> FoldedName {
        FoldedName::of(self.as_str())
    }
}

fn fold(text: &str) -> String {
    let composed = text.nfkc().filter(|c| !is_unseen(*c));
    // By way of the capital, so that letters with two small forms (U+03C2, U+017F) meet.
    composed.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// Characters that are not drawn (Unicode property `Default_Ignorable_Code_Point`), and control characters.
fn is_unseen(c: char) -> bool {
    misleads(c)
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0080}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_name_however_it_is_spelled_is_one() {
        let ada = FoldedName::of("ada@example.test");
        for spelled in [
            "Ada@Example.TEST",
            " ada@example.test ",
            "\u{ff41}da@example.test",
            "a\u{200b}da@example.test",
            "ada\u{fe0f}@example.test",
        ] {
            assert_eq!(FoldedName::of(spelled), ada, "{spelled:?}");
        }
        assert_eq!(FoldedName::of("Jose\u{301}"), FoldedName::of("JOS\u{c9}"));
        assert_eq!(FoldedName::of("STRASSE"), FoldedName::of("stra\u{df}e"));
        assert_eq!(FoldedName::of("\u{39f}\u{3a3}"), FoldedName::of("\u{3bf}\u{3c2}"));
    }

    #[test]
    fn names_of_two_people_stay_two() {
        for (one, other) in [
            ("ada@example.test", "ada@example.org"),
            ("jose", "jos\u{e9}"),
            ("corp:ada", "ada"),
            ("a da", "ada"),
        ] {
            assert_ne!(FoldedName::of(one), FoldedName::of(other));
        }
        let (long, longer) = (format!("{}a", "x".repeat(200)), format!("{}b", "x".repeat(200)));
        assert_ne!(FoldedName::of(&long), FoldedName::of(&longer));
        assert_ne!(FoldedName::of("\u{200b}"), FoldedName::of("\u{200c}"));
    }

    proptest! {
        #[test]
        fn every_name_of_an_actor_folds_to_a_name_that_an_actor_can_have(name in "\\PC{1,40}") {
            if let Ok(actor) = ActorId::parse(&name) {
                prop_assert!(actor.folded().to_actor().is_ok());
            }
        }

        #[test]
        fn letters_in_another_case_are_the_same_name(name in "[a-zA-Z\u{e0}-\u{f6}@.]{1,40}") {
            prop_assert_eq!(FoldedName::of(&name.to_uppercase()), FoldedName::of(&name.to_lowercase()));
        }
    }
}
