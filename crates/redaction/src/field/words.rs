//! The words of a field's name, for rules that name fields by them.

use super::{MAX_NAME, MAX_WORDS, split};

/// Some words, to be found in the names of fields in any spelling: `home phone` is in `homePhone`,
/// `HOME_PHONE` and `customer_home_phone_2`, and not in `homepage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldWords(Vec<String>);

impl FieldWords {
    /// The words of `text`; none if it has no letters, or is longer than a name that is looked at.
    pub fn parse(text: &str) -> Option<Self> {
        let words = words(text);
        (!words.is_empty() && text.len() <= MAX_NAME).then_some(Self(words))
    }

    /// Whether the words stand beside each other in `name`. A name that is longer than 96 bytes is taken to have them.
    pub fn are_in(&self, name: &str) -> bool {
        name.len() > MAX_NAME || words(name).windows(self.0.len()).any(|window| window == self.0)
    }
}

fn words(name: &str) -> Vec<String> {
    let mut joined = String::with_capacity(name.len());
    let mut ends = [0_usize; MAX_WORDS];
    let count = split(name, &mut joined, &mut ends);
    let mut start = 0;
    let words = ends.iter().take(count).filter_map(|end| {
        let word = joined.get(start..*end)?;
        start = *end;
        Some(word.to_owned())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_every_spelling_and_as_words_alone() {
        let salary = FieldWords::parse("Salary").expect("words");
        let phone = FieldWords::parse("home_phone").expect("words");
        for name in ["salary", "SALARY", "baseSalary", "salary_eur", "employee-salary-2"] {
            assert!(salary.are_in(name), "{name}");
        }
        for name in ["homePhone", "HOME_PHONE", "customer home phone 2"] {
            assert!(phone.are_in(name), "{name}");
        }
        for name in ["salaryman", "phone", "homepage", "phone_home", ""] {
            assert!(!salary.are_in(name) && !phone.are_in(name), "{name}");
        }
        assert!(salary.are_in(&"x".repeat(97)), "what is not looked at may be anything");
        assert_eq!(FieldWords::parse("7_"), None);
    }
}
