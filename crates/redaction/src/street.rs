//! Streets with a number, as people of several countries write them.
//!
//! Cities and regions by themselves are not looked for: they name no person. What follows a
//! street and belongs to its address is taken with it.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

/// The words that the US Postal Service (Publication 28, C1) and Royal Mail have for streets.
const ENGLISH: &str = "Alley|Annex|Arcade|Avenue|Ave|Bayou|Beach|Bend|Bluffs?|Bottom|Boulevard|Blvd|Branch|Bridge|\
    Brooks?|Burgs?|Bypass|Camp|Canyon|Cape|Causeway|Centers?|Circles?|Cir|Cliffs?|Close|Club|Common|Corners?|Course|\
    Courts?|Ct|Coves?|Creek|Crescent|Crest|Crossing|Crossroad|Curve|Dale|Dam|Divide|Drives?|Dr|Estates?|Expressway|\
    Extensions?|Falls?|Ferry|Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Fort|Freeway|Gardens?|Gateway|Glens?|Greens?|\
    Groves?|Harbors?|Haven|Heights|Highway|Hwy|Hills?|Hollow|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Land|\
    Landing|Lane|Ln|Lights?|Loaf|Locks?|Lodge|Loop|Mall|Manors?|Meadows?|Mews|Mills?|Mission|Motorway|Mount|\
    Mountains?|Neck|Orchard|Oval|Overpass|Parade|Parks?|Parkways?|Pkwy|Pass|Passage|Path|Pike|Pines?|Place|Pl|Plains?|\
    Plaza|Points?|Ports?|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|Ridges?|River|Roads?|Rd|Route|Row|Rue|Run|Shoals?|\
    Shores?|Skyway|Springs?|Spurs?|Squares?|Sq|Station|Stravenue|Stream|Streets?|St|Summit|Terrace|Ter|Throughway|\
    Trace|Track|Trafficway|Trail|Trl|Tunnel|Turnpike|Underpass|Unions?|Valleys?|Via|Viaduct|Views?|Villages?|Ville|\
    Vista|Walks?|Wall|Ways?|Wells?";

static STREETS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let letter = r"[A-Za-z\x80-\xff'.\-]";
    let english = format!(
        r"\b\d{{1,6}}[A-Za-z]?(?:[-/]\d+)?\s+(?:[NSEW]\.?\s+)?(?:[A-Z0-9]{letter}*\s+){{1,4}}(?:{ENGLISH})\b\.?(?:\s+(?:North|South|East|West|N|S|E|W)\b)?(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\.?\s*[0-9A-Za-z]+)?(?:,\s+[A-Z][A-Za-z'.\-]+(?:\s[A-Z][A-Za-z'.\-]+){{0,3}})?(?:,?\s+[A-Z]{{2}},?\s+\d{{5}}(?:-\d{{4}})?)?"
    );
    let unit = r"(?:Apt\.|Suite)\s\d{1,4}";
    let german = format!(
        r"\b[A-Z\x80-\xff]{letter}*(?:stra(?:\xc3\x9f|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|singel|dijk|dreef|steeg|pad)\s+\d{{1,4}}\s?[a-z]?\b(?:,?\s+\d{{4,5}}(?:\s?[A-Z]{{2}})?\s+[A-Z\x80-\xff]{letter}+)?"
    );
    let apart = format!(
        r"\b[A-Z\x80-\xff]{letter}+\s(?:Stra(?:\xc3\x9f|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer)\s+\d{{1,4}}\s?[a-z]?\b"
    );
    let french = format!(
        r"\b\d{{1,4}}(?:\s?(?:bis|ter))?,?\s+(?:[Rr]ue|[Aa]venue|[Bb]oulevard|[Cc]hemin|[Pp]lace|[Aa]ll\xc3\xa9e|[Ii]mpasse|[Qq]uai|[Rr]oute|[Cc]ours)\s+{letter}+(?:\s{letter}+){{0,4}}"
    );
    let romance = format!(
        r"\b(?:[Cc]alle|[Aa]venida|Avda?\.|[Pp]laza|[Pp]aseo|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Rr]ua|[Tt]ravessa|[Ll]argo|[Uu]l\.|[Uu]lica|[Aa]l\.|[Aa]leja|[Cc]\.|[Rr]onda|[Vv]icolo|[Cc]ontrada|[Bb]orgo|[Ss]trada|[Pp]asaje|[Gg]lorieta|[Cc]amino|[Cc]uesta|[Aa]cceso|[Aa]lameda|[Rr]ambla|[Vv]\xc3\xada|[Pp]raceta|[Aa]v\.|[Rr]\.|[Ll]g\.)\s+{letter}+(?:\s{letter}+){{0,5}},?\s+(?:n[.\xc2\xba\xb0]*\s*)?\d{{1,4}}\b"
    );
    let pattern = format!("(?-u)(?:{english}|{unit}|{german}|{apart}|{french}|{romance})");
    RegexBuilder::new(&pattern).unicode(false).size_limit(64 << 20).build().ok()
});

/// Adds the addresses of `text`.
pub(crate) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    let Some(pattern) = STREETS.as_ref() else { return };
    for found in pattern.find_iter(text) {
        let (start, end, kind, detector) = (found.start(), found.end(), Kind::Address, "address");
        hits.push(Hit { start, end, kind, detector, confidence: Confidence::Medium });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut hits = Vec::new();
        find(text.as_bytes(), &mut hits);
        hits.iter().map(|hit| &text[hit.start..hit.end]).collect()
    }

    #[test]
    fn streets_of_several_countries_are_found() {
        for (text, expected) in [
            ("lives at 1600 Pennsylvania Avenue NW", "1600 Pennsylvania Avenue"),
            (
                "send to 742 Evergreen Terrace, Springfield, IL 62704 today",
                "742 Evergreen Terrace, Springfield, IL 62704",
            ),
            ("Hauptstraße 12, 10115 Berlin", "Hauptstraße 12, 10115 Berlin"),
            ("in der Berliner Straße 7", "Berliner Straße 7"),
            ("12 bis, rue de la Paix", "12 bis, rue de la Paix"),
            ("vive en Calle de Alcalá 45", "Calle de Alcalá 45"),
            ("Via Giuseppe Garibaldi 9", "Via Giuseppe Garibaldi 9"),
            ("ul. Marszałkowska 10", "ul. Marszałkowska 10"),
            ("Prinsengracht 263", "Prinsengracht 263"),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
    }

    #[test]
    fn prose_with_numbers_has_no_street() {
        for text in
            ["we sold 12 units on the street", "ring 5 times", "3 of 4 drives failed", "top 10 places to see"]
        {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
