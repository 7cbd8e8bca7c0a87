//! The words that the sample company's records are made of: flat tables.

pub(super) const COMPANY_FIRST: &[&str] = &[
    "Alderquay",
    "Amberline",
    "Beaconmoor",
    "Birchfield",
    "Bluewater",
    "Brightholm",
    "Calderwick",
    "Cedarvale",
    "Clearport",
    "Copperhill",
    "Driftmark",
    "Eastmoor",
    "Elmbridge",
    "Fairlead",
    "Fernhill",
    "Glasswater",
    "Graniteway",
    "Greyhaven",
    "Harrowgate",
    "Hazelton",
    "Ironquay",
    "Junipero",
    "Kestrelby",
    "Larkspurn",
    "Lindenhof",
    "Merrowby",
    "Millstone",
    "Northlight",
    "Oakhurst",
    "Pinecrest",
    "Quillon",
    "Redfern",
    "Rookwood",
    "Saltmarsh",
    "Silverbay",
    "Stonebrook",
    "Thornbury",
    "Umberland",
    "Valemont",
    "Westerquay",
];

pub(super) const COMPANY_SECOND: &[&str] = &[
    "Analytics",
    "Automotive",
    "Chemicals",
    "Energy",
    "Foods",
    "Freight",
    "Health",
    "Holdings",
    "Instruments",
    "Lines",
    "Logistics",
    "Machinery",
    "Materials",
    "Metals",
    "Mills",
    "Optics",
    "Paper",
    "Pharma",
    "Retail",
    "Shipping",
    "Systems",
    "Textiles",
    "Timber",
    "Works",
];

pub(super) const FIRST_NAMES: &[&str] = &[
    "Adaeze", "Aiko", "Anton", "Beatriz", "Bram", "Carla", "Daniel", "Dilara", "Elias", "Emeka", "Farah",
    "Greta", "Hana", "Idris", "Ines", "Jonas", "Kavya", "Lars", "Leila", "Mateo", "Mina", "Nadia", "Noah",
    "Olga", "Pedro", "Priya", "Rafael", "Ruth", "Sven", "Tomas", "Valeria", "Wen",
];

pub(super) const LAST_NAMES: &[&str] = &[
    "Abara",
    "Almeida",
    "Bakker",
    "Castellan",
    "Dietrich",
    "Eklund",
    "Ferreira",
    "Grant",
    "Haddad",
    "Ibarra",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Mbeki",
    "Moreau",
    "Nakamura",
    "Novak",
    "Okafor",
    "Osei",
    "Petrov",
    "Quist",
    "Rahman",
    "Rossi",
    "Sato",
    "Silva",
    "Tanaka",
    "Udo",
    "Varga",
    "Weber",
    "Yilmaz",
];

/// Region and country.
pub(super) const COUNTRIES: &[(&str, &str)] = &[
    ("EMEA", "DE"),
    ("EMEA", "FR"),
    ("EMEA", "GB"),
    ("EMEA", "NL"),
    ("EMEA", "PL"),
    ("EMEA", "ZA"),
    ("AMER", "BR"),
    ("AMER", "CA"),
    ("AMER", "MX"),
    ("AMER", "US"),
    ("APAC", "AU"),
    ("APAC", "IN"),
    ("APAC", "JP"),
    ("APAC", "SG"),
];

pub(super) const INDUSTRIES: &[&str] =
    &["automotive", "chemicals", "consumer_goods", "energy", "food", "logistics", "machinery", "retail"];

/// Whoever at the company looks after an account.
pub(super) const OWNERS: &[&str] = &[
    "Ada Brandt",
    "Ben Ortega",
    "Chiara Lund",
    "David Mensah",
    "Eva Horvat",
    "Felix Adeyemi",
    "Grace Tan",
    "Hugo Marchetti",
];

pub(super) const PRODUCTS: &[&str] =
    &["Berth Planner", "Cargo Insight", "Dock Connect", "Harbor Ledger", "Tide Forecast"];

/// What customers report: subject and description.
pub(super) const SUBJECTS: &[(&str, &str)] = &[
    (
        "Export stops at 50,000 rows",
        "The CSV export ends without an error after 50,000 rows. We need the whole year for our auditors.",
    ),
    (
        "Single sign-on fails for new users",
        "Users added this week end up on an empty page after signing in. Older users are not affected.",
    ),
    (
        "Invoice shows the wrong VAT rate",
        "The last invoice uses the rate of our head office instead of that of our subsidiary.",
    ),
    (
        "Dashboard takes a minute to load",
        "Since Monday the overview takes about a minute in the morning. In the afternoon it is fine.",
    ),
    (
        "Webhook deliveries arrive twice",
        "Each event reaches our endpoint two times with the same id. We worked around it for now.",
    ),
    (
        "Arrival times are an hour off",
        "Since the clocks changed, arrivals from ports outside Europe are shown an hour late.",
    ),
    (
        "Cannot remove a former colleague",
        "The administration page says the person owns reports, but there are none in the list.",
    ),
    (
        "API answers with too many requests",
        "Our nightly job gets refused after some minutes although we stay below the documented rate.",
    ),
    (
        "Report by e-mail did not arrive",
        "The weekly report was not delivered twice in a row. The preview in the product works.",
    ),
    (
        "Map shows vessels in the wrong berth",
        "Two vessels are drawn in each other's berth. The list beside the map is right.",
    ),
    (
        "Import rejects umlauts in names",
        "Lines with umlauts are refused as invalid although the file is UTF-8, as your guide asks.",
    ),
    (
        "Question about data retention",
        "Our data protection officer asks how long deleted bookings stay in your backups.",
    ),
    (
        "Mobile application logs out too soon",
        "Drivers have to sign in several times a shift. They wear gloves, so this is a real burden.",
    ),
    (
        "Forecast is missing for one terminal",
        "The forecast of our smaller terminal has been empty for three days. The others are complete.",
    ),
    (
        "Two-factor reset for an administrator",
        "Our only administrator has a new telephone and cannot sign in. Please tell us what you need.",
    ),
    (
        "Duplicate container numbers accepted",
        "The same container could be booked twice on one day. The second booking should be refused.",
    ),
];
