//! The sample company's records, before they are in any database.
//!
//! The company sells port software to invented customers. The records follow
//! from one seed, so the database ([`super::company`]) and the ticketing system
//! ([`super::ticketing`]) know the same tickets. Addresses end in
//! `example.test` (RFC 2606); account numbers have the country code XX, which
//! ISO 3166 leaves to users, so they are at no bank, though their check digits
//! are right.
//!
//! Invariants:
//! - A contract belongs to an account, a booking to a contract, a ticket to an
//!   account; a booking lies within its contract.
//! - Amounts are whole cents, so that sums are exact.

use std::fmt;
use std::rc::Rc;

use super::seeded::Seeded;
use words::{
    COMPANY_FIRST, COMPANY_SECOND, COUNTRIES, FIRST_NAMES, INDUSTRIES, LAST_NAMES, OWNERS, PRODUCTS, SUBJECTS,
};

mod words;

const SEED: u64 = 0x0051_5541_594d_4153;

const ACCOUNTS: usize = 400;
const CONTRACTS: usize = 600;
const BOOKINGS: usize = 4_000;
const TICKETS: usize = 1_500;

/// The months for which there are bookings: 2024-01 to 2026-10.
const FIRST_MONTH: u32 = month(2024, 1);
const LAST_MONTH: u32 = month(2026, 10);

/// How severe a ticket or an escalation can be.
pub(super) const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
/// What can have become of a ticket.
pub(super) const STATUSES: [&str; 4] = ["open", "pending", "solved", "closed"];

/// A day of a month, counted so that days compare and months can be added.
/// Days 29 to 31 do not occur, which spares the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    month: u32,
    day: u32,
}

impl Day {
    fn months_later(self, months: u32) -> Self {
        Self { month: self.month + months, ..self }
    }

    fn days_later(self, days: u32) -> Self {
        let from_first = self.day - 1 + days;
        Self { month: self.month + from_first / 28, day: from_first % 28 + 1 }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}-{:02}", 2000 + self.month / 12, self.month % 12 + 1, self.day)
    }
}

const fn month(year: u32, of_year: u32) -> u32 {
    (year - 2000) * 12 + of_year - 1
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) segment: &'static str,
    pub(super) industry: &'static str,
    pub(super) region: &'static str,
    pub(super) country: &'static str,
    pub(super) owner: &'static str,
    pub(super) health_score: u32,
    pub(super) contact_name: String,
    pub(super) contact_email: String,
    pub(super) iban: String,
}

#[derive(Debug, Default)]
pub(super) struct Contract {
    pub(super) id: String,
    pub(super) account: Rc<Account>,
    pub(super) product: &'static str,
    pub(super) starts_on: Day,
    pub(super) ends_on: Day,
    pub(super) renewal: &'static str,
    pub(super) annual_value_cents: u32,
}

#[derive(Debug)]
pub(super) struct Booking {
    pub(super) contract: Rc<Contract>,
    pub(super) kind: &'static str,
    pub(super) booked_at: Day,
    pub(super) amount_cents: u32,
}

#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) id: String,
    pub(super) account: Rc<Account>,
    pub(super) product: &'static str,
    pub(super) severity: &'static str,
    pub(super) status: &'static str,
    pub(super) subject: &'static str,
    pub(super) description: &'static str,
    pub(super) opened_at: Day,
    pub(super) closed_at: Option<Day>,
}

/// Everything that the company knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) accounts: Vec<Rc<Account>>,
    pub(super) contracts: Vec<Rc<Contract>>,
    pub(super) bookings: Vec<Booking>,
    pub(super) tickets: Vec<Ticket>,
}

impl World {
    /// Makes the records. Each kind has its own generator, so that a change to one leaves the others alone.
    pub(super) fn new() -> Self {
        let accounts = accounts(&mut Seeded::new(SEED + 1));
        let contracts = contracts(&mut Seeded::new(SEED + 2), &accounts);
        let bookings = bookings(&mut Seeded::new(SEED + 3), &contracts);
        let tickets = tickets(&mut Seeded::new(SEED + 4), &accounts);
        Self { accounts, contracts, bookings, tickets }
    }
}

fn accounts(seeded: &mut Seeded) -> Vec<Rc<Account>> {
    let mut names: Vec<(&str, &str)> = COMPANY_FIRST
        .iter()
        .flat_map(|first| COMPANY_SECOND.iter().map(|second| (*first, *second)))
        .collect();
    seeded.shuffle(&mut names);
    names
        .iter()
        .take(ACCOUNTS)
        .zip(1..)
        .map(|(name, number)| Rc::new(account(seeded, *name, number)))
        .collect()
}

fn account(seeded: &mut Seeded, (first, second): (&str, &str), number: u32) -> Account {
    let (contact_first, contact_last) = (seeded.pick(FIRST_NAMES), seeded.pick(LAST_NAMES));
    let (region, country) = seeded.pick(COUNTRIES);
    let domain = format!("{first}-{second}").to_lowercase();
    Account {
        id: format!("ACC-{number:04}"),
        name: format!("{first} {second}"),
        segment: seeded.weighted(&[("enterprise", 15), ("mid_market", 35), ("small", 50)]),
        industry: seeded.pick(INDUSTRIES),
        region,
        country,
        owner: seeded.pick(OWNERS),
        health_score: seeded.between(20, 100),
        contact_name: format!("{contact_first} {contact_last}"),
        contact_email: format!("{contact_first}.{contact_last}@{domain}.example.test").to_lowercase(),
        iban: iban(seeded.below(1_000_000_000)),
    }
}

/// An account number of the form of ISO 13616 with right check digits and the country code XX.
fn iban(number: u32) -> String {
    // Q, M and X count as 26, 22 and 33; the country code and two zeros go to the end (ISO 7064, MOD 97-10).
    let rearranged = format!("2622{number:012}333300");
    let rest = rearranged.bytes().fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("XX{:02}QM{number:012}", 98 - rest)
}

fn contracts(seeded: &mut Seeded, accounts: &[Rc<Account>]) -> Vec<Rc<Contract>> {
    (0..CONTRACTS)
        .map(|index| {
            // Every account has one; the rest go to whoever wants more.
            let account = accounts.get(index).cloned().unwrap_or_else(|| seeded.pick(accounts));
            Rc::new(contract(seeded, account, index + 1))
        })
        .collect()
}

fn contract(seeded: &mut Seeded, account: Rc<Account>, number: usize) -> Contract {
    let hundreds = match account.segment {
        "enterprise" => seeded.between(600, 4_000),
        "mid_market" => seeded.between(150, 800),
        _ => seeded.between(20, 150),
    };
    let starts_on = Day { month: seeded.between(FIRST_MONTH - 6, LAST_MONTH), day: seeded.between(1, 28) };
    Contract {
        id: format!("CON-{number:04}"),
        account,
        product: seeded.pick(PRODUCTS),
        starts_on,
        ends_on: starts_on.months_later(seeded.pick(&[12, 24, 24, 36])),
        renewal: seeded.weighted(&[("automatic", 60), ("manual", 40)]),
        annual_value_cents: hundreds * 10_000,
    }
}

fn bookings(seeded: &mut Seeded, contracts: &[Rc<Contract>]) -> Vec<Booking> {
    let mut bookings: Vec<Booking> = (0..BOOKINGS)
        .map(|index| match contracts.get(index) {
            Some(contract) => first_booking(contract),
            None => later_booking(seeded, contracts),
        })
        .collect();
    bookings.sort_by(|a, b| (a.booked_at, &a.contract.id).cmp(&(b.booked_at, &b.contract.id)));
    bookings
}

/// Each contract is booked when it starts, or in the first month of the books.
fn first_booking(contract: &Rc<Contract>) -> Booking {
    let books_open = Day { month: FIRST_MONTH, ..contract.starts_on };
    Booking {
        contract: Rc::clone(contract),
        kind: if contract.starts_on < books_open { "renewal" } else { "new" },
        booked_at: contract.starts_on.max(books_open),
        amount_cents: contract.annual_value_cents,
    }
}

fn later_booking(seeded: &mut Seeded, contracts: &[Rc<Contract>]) -> Booking {
    let contract = seeded.pick(contracts);
    let from = contract.starts_on.month.max(FIRST_MONTH);
    let to = contract.ends_on.month.saturating_sub(1).min(LAST_MONTH).max(from);
    let month = seeded.between(from, to);
    let first_day = if month == contract.starts_on.month { contract.starts_on.day } else { 1 };
    let kind = seeded.weighted(&[("usage", 60), ("service", 25), ("expansion", 15)]);
    let percent = match kind {
        "usage" => seeded.between(2, 9),
        "service" => seeded.between(1, 12),
        _ => seeded.between(5, 30),
    };
    let booked_at = Day { month, day: seeded.between(first_day, 28) };
    // Some odd cents, so that a sum in floating point would show.
    let amount_cents = contract.annual_value_cents / 100 * percent + seeded.below(100);
    Booking { contract, kind, booked_at, amount_cents }
}

fn tickets(seeded: &mut Seeded, accounts: &[Rc<Account>]) -> Vec<Ticket> {
    let mut opened: Vec<Day> = (0..TICKETS)
        .map(|_| Day { month: seeded.between(month(2025, 1), LAST_MONTH), day: seeded.between(1, 28) })
        .collect();
    opened.sort_unstable();
    opened.into_iter().zip(1..).map(|(day, number)| ticket(seeded, accounts, day, number)).collect()
}

fn ticket(seeded: &mut Seeded, accounts: &[Rc<Account>], opened_at: Day, number: u32) -> Ticket {
    let open_percent = if opened_at.month + 1 >= LAST_MONTH { 60 } else { 2 };
    let status = if seeded.chance(open_percent) {
        seeded.weighted(&[("open", 65), ("pending", 35)])
    } else {
        seeded.weighted(&[("solved", 30), ("closed", 70)])
    };
    let days = seeded.between(0, 20);
    let (subject, description) = seeded.pick(SUBJECTS);
    Ticket {
        id: format!("TCK-{number:05}"),
        account: seeded.pick(accounts),
        product: seeded.pick(PRODUCTS),
        severity: seeded.weighted(&[("low", 35), ("medium", 40), ("high", 20), ("critical", 5)]),
        status,
        subject,
        description,
        opened_at,
        closed_at: matches!(status, "solved" | "closed").then(|| opened_at.days_later(days)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_as_many_records_as_the_demo_promises() {
        let world = World::new();
        let counts = [world.accounts.len(), world.contracts.len(), world.bookings.len(), world.tickets.len()];
        assert_eq!(counts, [ACCOUNTS, CONTRACTS, BOOKINGS, TICKETS]);
    }

    #[test]
    fn no_two_accounts_share_a_name() {
        let names: BTreeSet<String> = World::new().accounts.iter().map(|a| a.name.clone()).collect();
        assert_eq!(names.len(), ACCOUNTS);
    }

    #[test]
    fn a_booking_lies_within_its_contract_and_the_books() {
        for booking in World::new().bookings {
            let contract = &booking.contract;
            assert!(booking.booked_at >= contract.starts_on, "{booking:?}");
            assert!(booking.booked_at < contract.ends_on, "{booking:?}");
            assert!((FIRST_MONTH..=LAST_MONTH).contains(&booking.booked_at.month), "{booking:?}");
            assert!(booking.amount_cents > 0, "{booking:?}");
        }
    }

    #[test]
    fn a_ticket_is_closed_after_it_was_opened_or_not_at_all() {
        for ticket in World::new().tickets {
            assert_eq!(ticket.closed_at.is_some(), matches!(ticket.status, "solved" | "closed"));
            assert!(ticket.closed_at.is_none_or(|closed| closed >= ticket.opened_at), "{ticket:?}");
            assert!(SEVERITIES.contains(&ticket.severity) && STATUSES.contains(&ticket.status), "{ticket:?}");
        }
    }

    #[test]
    fn every_address_is_one_that_cannot_be_delivered_to() {
        for account in World::new().accounts {
            assert!(account.contact_email.ends_with(".example.test"), "{}", account.contact_email);
            assert!(account.contact_email.is_ascii());
        }
    }

    #[test]
    fn account_numbers_have_right_check_digits_and_no_bank() {
        for account in World::new().accounts {
            let number = &account.iban;
            assert!(number.starts_with("XX") && number.len() == 18, "{number}");
            let (head, tail) = number.split_at(4);
            let digits: String = tail
                .chars()
                .chain(head.chars())
                .map(|c| c.to_digit(36).map(|d| d.to_string()).unwrap_or_default())
                .collect();
            let rest = digits.bytes().fold(0_u32, |rest, d| (rest * 10 + u32::from(d - b'0')) % 97);
            assert_eq!(rest, 1, "{number}");
        }
    }

    #[test]
    fn days_print_as_dates_and_carry_over() {
        let day = Day { month: month(2026, 12), day: 28 };
        assert_eq!(day.to_string(), "2026-12-28");
        assert_eq!(day.days_later(1).to_string(), "2027-01-01");
        assert_eq!(day.months_later(13).to_string(), "2028-01-28");
    }
}
