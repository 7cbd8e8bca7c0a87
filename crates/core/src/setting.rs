//! Settings that appear in many configuration files, each with its own form.
//!
//! They are parsed where they are read, so a value that got past loading is a
//! good one.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time, such as `250ms`, `10s`, `15m`, `4h` or `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DurationSetting(Duration);

impl DurationSetting {
    /// A setting of `duration`.
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// The length of time.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads a text such as `10s`.
    ///
    /// # Errors
    ///
    /// Says which forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 0_u64,
        };
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)) {
            Some(total) if total > 0 => Ok(Self(Duration::from_millis(total))),
            _ => Err(format!(
                "`{}` is not a length of time: expected a positive number and ms, s, m, h or d, as in `10s`",
                text.escape_debug()
            )),
        }
    }
}

/// As it is written, in the largest unit that it is a whole number of.
impl fmt::Display for DurationSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let (size, unit) =
            units.into_iter().find(|(size, _)| millis.is_multiple_of(*size)).unwrap_or((1, "ms"));
        write!(f, "{}{unit}", millis / size)
    }
}

/// A number of bytes, such as `512B`, `256KiB` or `4MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ByteSize(u64);

impl ByteSize {
    /// A setting of `bytes`.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads a text such as `256KiB`.
    ///
    /// # Errors
    ///
    /// Says which forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => 0_u64,
        };
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
            Some(total) if total > 0 => Ok(Self(total)),
            _ => Err(format!(
                "`{}` is not a size: expected a positive number and B, KiB or MiB, as in `256KiB`",
                text.escape_debug()
            )),
        }
    }
}

/// A name in lower case with hyphens, such as `business-metrics`; at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Slug(Arc<str>);

impl Slug {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as text that is shared, not copied.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Reads a text such as `business-metrics`.
    ///
    /// # Errors
    ///
    /// Says what a name may look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if fits {
            return Ok(Self(text.into()));
        }
        Err(format!(
            "`{}` is not a name: expected a letter and then at most 62 of a-z, 0-9, - and _",
            text.escape_debug()
        ))
    }
}

impl AsRef<str> for Slug {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A semantic version, such as `1.3.0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SemVer(Arc<str>);

impl SemVer {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a text such as `1.3.0`.
    ///
    /// # Errors
    ///
    /// Says what a version looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let number = |part: Option<&str>| {
            part.is_some_and(|p| {
                !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && (p == "0" || !p.starts_with('0'))
            })
        };
        if number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none() {
            return Ok(Self(text.into()));
        }
        Err(format!("`{}` is not a semantic version such as `1.3.0`", text.escape_debug()))
    }
}

macro_rules! text_setting {
    ($name:ident, $title:literal, $pattern:literal) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}

text_setting!(DurationSetting, "Duration", "^[0-9]+(ms|s|m|h|d)$");
text_setting!(ByteSize, "ByteSize", "^[0-9]+(B|KiB|MiB)$");
text_setting!(Slug, "Slug", "^[a-z]([a-z0-9_-]{0,61}[a-z0-9_])?$");
text_setting!(SemVer, "SemVer", r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_unit() {
        assert_eq!(DurationSetting::parse("250ms").map(DurationSetting::get), Ok(Duration::from_millis(250)));
        assert_eq!(DurationSetting::parse("2h").map(DurationSetting::get), Ok(Duration::from_hours(2)));
        for bad in ["", "5", "0s", "s", "-1s", "1.5s", "10 s", "99999999999999999999d"] {
            assert!(DurationSetting::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(ByteSize::parse("256KiB").map(ByteSize::get), Ok(262_144));
        for bad in ["", "5", "0B", "1KB", "1GiB"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_have_three_numbers() {
        assert!(SemVer::parse("1.30.0").is_ok());
        for bad in ["1", "1.2", "1.2.3.4", "1.02.3", "v1.2.3", "1.2.x"] {
            assert!(SemVer::parse(bad).is_err(), "{bad}");
        }
    }
}
