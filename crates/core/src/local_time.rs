//! The time of day where people work.
//!
//! Which offset a place has when comes from the IANA time zone database that is built in, so a
//! decision is the same on every machine.

use std::fmt;

use jiff::tz::TimeZone;

use crate::Timestamp;

/// A time zone, such as `Europe/Berlin` or `UTC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// The clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// 0 to 23.
    pub hour: u8,
    /// Minutes since midnight, by the clock on the wall: 0 to 1439.
    pub minute: u16,
    /// 1 is Monday, 7 is Sunday (ISO 8601).
    pub weekday: u8,
}

impl Zone {
    /// The zone called `name` in the IANA time zone database.
    ///
    /// # Errors
    ///
    /// Says so if there is none of that name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let unknown = |_| format!("`{}` is not a time zone such as `Europe/Berlin`", name.escape_debug());
        let zone = TimeZone::get(name).map_err(unknown)?;
        Ok(Self { name: zone.iana_name().unwrap_or(name).to_owned(), zone })
    }

    /// What the clock on the wall shows at an instant.
    pub fn at(&self, instant: Timestamp) -> LocalTime {
        let micros = i64::try_from(instant.as_micros()).unwrap_or(i64::MAX);
        let instant = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
        let wall = self.zone.to_datetime(instant);
        let part = |part: i8| u8::try_from(part).unwrap_or_default();
        LocalTime {
            hour: part(wall.hour()),
            minute: u16::from(part(wall.hour())) * 60 + u16::from(part(wall.minute())),
            weekday: part(wall.weekday().to_monday_one_offset()),
        }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall_knows_summer_time() {
        let berlin = Zone::parse("Europe/Berlin").expect("a zone");
        let at = |text| berlin.at(Timestamp::parse(text).expect("an instant"));
        assert_eq!(at("2026-07-31T22:30:00Z"), LocalTime { hour: 0, minute: 30, weekday: 6 });
        assert_eq!(at("2026-12-31T22:30:00Z"), LocalTime { hour: 23, minute: 1410, weekday: 4 });
        let utc = Zone::default().at(Timestamp::from_micros(0));
        assert_eq!(utc, LocalTime { hour: 0, minute: 0, weekday: 4 });
    }

    #[test]
    fn a_zone_that_does_not_exist_is_told() {
        assert!(Zone::parse("Mars/Olympus").is_err_and(|told| told.contains("`Mars/Olympus`")));
        assert_eq!(Zone::parse("europe/berlin").expect("a zone").to_string(), "Europe/Berlin");
    }
}
