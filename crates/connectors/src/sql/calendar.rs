//! Days and times of day as text, in the forms of RFC 3339 and ISO 8601.
//!
//! PostgreSQL sends days and microseconds since 2000-01-01, in the proleptic
//! Gregorian calendar and without leap seconds. What they are as text, and
//! whether an argument is a day or an instant at all, is what this module knows;
//! the calendar itself is jiff's.
//!
//! Invariant: every value that PostgreSQL can send has a text, the ends of its
//! calendar and infinity included; no value makes this panic.

use jiff::civil::{Date, Time, date};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Span};

const START: Date = date(2000, 1, 1);
/// After so many days and years the calendar is the same again.
const DAYS_IN_A_CYCLE: i64 = 146_097;
const YEARS_IN_A_CYCLE: i64 = 400;
const MICROS_IN_A_DAY: i64 = 86_400_000_000;
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// The day `days` after 2000-01-01, such as `2026-01-31`. The year before 0001 is 0000.
pub(crate) fn day(days: i64) -> String {
    // jiff's years end with 9999 and PostgreSQL's with 5874897, so the day is
    // looked up in the first cycle. jiff would write six digits of a year BC.
    let day = START.saturating_add(Span::new().days(days.rem_euclid(DAYS_IN_A_CYCLE)));
    let year = i64::from(day.year()) + days.div_euclid(DAYS_IN_A_CYCLE) * YEARS_IN_A_CYCLE;
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{:02}-{:02}", year.unsigned_abs(), day.month(), day.day())
}

/// The time of day `micros` after midnight, such as `08:30:00` or `08:30:00.25`.
pub(crate) fn time_of_day(micros: i64) -> Option<String> {
    if micros == MICROS_IN_A_DAY {
        // The end of a day is a time of its own for PostgreSQL and none for jiff.
        return Some("24:00:00".into());
    }
    Some(Time::midnight().checked_add(SignedDuration::from_micros(micros)).ok()?.to_string())
}

/// The instant `micros` after 2000-01-01, without a zone, such as `2026-01-31T08:30:00`.
pub(crate) fn instant(micros: i64) -> Option<String> {
    let of_day = time_of_day(micros.rem_euclid(MICROS_IN_A_DAY))?;
    Some(format!("{}T{of_day}", day(micros.div_euclid(MICROS_IN_A_DAY))))
}

/// An offset from UTC of `seconds` to the east, such as `+02:00`.
pub(crate) fn offset(seconds: i32) -> Option<String> {
    let mut time = BrokenDownTime::default();
    time.set_offset(Some(Offset::from_seconds(seconds).ok()?));
    time.to_string("%:z").ok()
}

/// A length of time in the form of ISO 8601, such as `P1Y2M3DT4H5M6.5S`.
///
/// Written here because a span of jiff's has one sign and no end of time, where
/// PostgreSQL has a sign for each part, 178 million years, and infinity.
pub(crate) fn interval(months: i32, days: i32, micros: i64) -> String {
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => return "infinity".into(),
        (i32::MIN, i32::MIN, i64::MIN) => return "-infinity".into(),
        _ => {}
    }
    let part = |number: i64, letter: char| {
        if number == 0 { String::new() } else { format!("{number}{letter}") }
    };
    let rest = micros % 60_000_000;
    let date = part((months / 12).into(), 'Y') + &part((months % 12).into(), 'M') + &part(days.into(), 'D');
    let time = part(micros / 3_600_000_000, 'H') + &part(micros / 60_000_000 % 60, 'M') + &seconds(rest);
    match (date.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".into(),
        (false, true) => format!("P{date}"),
        (_, false) => format!("P{date}T{time}"),
    }
}

fn seconds(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.abs());
    format!("{sign}{}{}S", micros / 1_000_000, fraction(micros % 1_000_000))
}

/// `.25` for 250,000 microseconds; nothing for none.
fn fraction(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// Whether `text` is a day such as `2026-01-31` (RFC 3339, `full-date`).
pub(crate) fn is_day(text: &str) -> bool {
    // jiff reads other forms of ISO 8601 too, and writes this one.
    text.parse::<Date>().is_ok_and(|day| day.year() > 0 && day.to_string() == text)
}

/// Whether `text` is an instant such as `2026-01-31T08:30:00Z` (RFC 3339, `date-time`).
pub(crate) fn is_instant(text: &str) -> bool {
    let Some((day, rest)) = text.split_once(['T', 't']) else { return false };
    // jiff reads other forms of ISO 8601 too, such as `08:30+02` and `[Europe/Paris]`.
    let form: String =
        rest.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let Some(end) = form.strip_prefix("00:00:00") else { return false };
    let zone = end.strip_prefix('.').map_or(end, |fraction| fraction.trim_start_matches('0'));
    matches!(zone, "Z" | "+00:00" | "-00:00")
        && is_day(day)
        // The pieces, because the last day of 9999 is no timestamp for jiff and a day for everyone else.
        && Pieces::parse(text).is_ok_and(|p| {
            p.to_numeric_offset().is_some_and(|o| o.duration_since(Offset::UTC).abs() < A_DAY)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_gregorian_calendar() {
        for (days, text) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (9_527, "2026-01-31"),
            (-10_957, "1970-01-01"),
            (-730_120, "0000-12-31"),
            (-730_486, "-0001-12-31"),
            // The first and the last day of PostgreSQL, and of its timestamps.
            (-2_451_179, "-4712-11-24"),
            (2_145_031_948, "5874897-12-31"),
            (106_751_982, "294276-12-31"),
        ] {
            assert_eq!(day(days), text);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before_it() {
        let texts: Vec<String> = (0..DAYS_IN_A_CYCLE).map(day).collect();
        assert!(texts.is_sorted() && texts.iter().all(|t| is_day(t)));
        assert_eq!(texts.last().map(String::as_str), Some("2399-12-31"));
    }

    #[test]
    fn times_show_no_more_digits_than_they_have() {
        for (micros, text) in [(0, "2000-01-01T00:00:00"), (-250_000, "1999-12-31T23:59:59.75")] {
            assert_eq!(instant(micros).as_deref(), Some(text));
        }
        for (micros, text) in [(30_600_000_001, "08:30:00.000001"), (MICROS_IN_A_DAY, "24:00:00")] {
            assert_eq!(time_of_day(micros).as_deref(), Some(text));
        }
        for (seconds, text) in [
            (-12_600, "-03:30"),
            (7_200, "+02:00"),
            (0, "+00:00"),
            (21_208, "+05:53:28"),
            (-57_599, "-15:59:59"),
        ] {
            assert_eq!(offset(seconds).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_no_clock_shows_has_no_text() {
        for micros in [-1, MICROS_IN_A_DAY + 1, i64::MIN, i64::MAX] {
            assert_eq!(time_of_day(micros), None, "{micros}");
        }
        for seconds in [i32::MIN, 100_000, i32::MAX] {
            assert_eq!(offset(seconds), None, "{seconds}");
        }
    }

    #[test]
    fn intervals_keep_their_signs() {
        for (months, days, micros, text) in [
            (14, 3, 14_706_500_000, "P1Y2M3DT4H5M6.5S"),
            (0, 0, 0, "PT0S"),
            (-1, 2, -500_000, "P-1M2DT-0.5S"),
            (0, 0, 3_600_000_000, "PT1H"),
            (i32::MAX, i32::MAX, i64::MAX, "infinity"),
            (i32::MIN, i32::MIN, i64::MIN, "-infinity"),
            (i32::MIN, 0, i64::MIN, "P-178956970Y-8MT-2562047788H-54.775808S"),
        ] {
            assert_eq!(interval(months, days, micros), text);
        }
    }

    #[test]
    fn days_and_instants_that_do_not_exist_are_told_apart_from_those_that_do() {
        for good in ["2026-01-31", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert!(is_day(good), "{good}");
        }
        for bad in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "0000-01-01",
            "20260131",
            "+002026-01-31",
            "-000001-01-31",
            "2026-01-31T08:30:00",
            "now",
            "infinity",
            "2026-01-31 ",
            "٢٠٢٦-01-01",
        ] {
            assert!(!is_day(bad), "{bad}");
        }
        for good in [
            "2026-01-31T08:30:00Z",
            "2026-01-31t08:30:60.123456+02:00",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.999999999z",
            "2026-01-31T08:30:00-00:00",
        ] {
            assert!(is_instant(good), "{good}");
        }
        for bad in [
            "2026-01-31",
            "2026-01-31T08:30:00",
            "2026-01-31T24:00:00Z",
            "2026-01-31T08:30:00.Z",
            "2026-01-31T08:30:00,5Z",
            "2026-01-31T08:30:00.0123456789Z",
            "2026-01-31T08:30Z",
            "2026-01-31T08:30:61Z",
            "2026-01-31T08:30:00+02",
            "2026-01-31T08:30:00+0200",
            "2026-01-31T08:30:00+24:00",
            "2026-01-31T08:30:00+02:60",
            "2026-01-31T08:30:00+02:00:00",
            "2026-01-31T08:30:00Z[UTC]",
            "2026-01-31T08:30:00+01:00[Europe/Paris]",
            "2026-01-31 08:30:00Z",
            "0000-01-01T00:00:00Z",
            "nowT",
            "T",
        ] {
            assert!(!is_instant(bad), "{bad}");
        }
    }
}
