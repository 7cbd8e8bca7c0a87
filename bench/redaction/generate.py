"""Makes records of which it is known what is personal in them.

    python3 generate.py SEED COUNT > records.jsonl      (what is known goes to records.jsonl's neighbour, argument 3)

Three kinds of records, the same for the same seed:

- `named`: what a company's systems hold, with names of fields in eight languages and three spellings;
- `unnamed`: the same values in fields whose names say nothing;
- `sentence`: the templates of presidio-evaluator, filled by Faker.

Beside them stand values that are nobody's: order numbers, SKUs, part numbers, tracking numbers, times, notes.
Of each value the line of truth says where it is (record, RFC 6901 pointer, start, end) and what it is.
"""

import importlib.util
import json
import random
import re
import sys
from pathlib import Path

from faker import Faker

LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_PT", "pl_PL", "pt_BR", "sv_SE"]
LANGUAGE = {"pt_BR": "pt", "sv_SE": "en"}

NAMES = {
    "en": {"person_name": ["full name", "customer name", "contact name"], "first": ["first name", "given name"], "last": ["last name", "surname"], "email": ["email", "email address", "work email"], "phone": ["phone", "phone number", "mobile", "contact number"], "credit_card": ["card number", "credit card number", "credit card"], "iban": ["iban", "iban number"], "national_id": ["national id", "identity number", "personal number"], "ip": ["ip address", "client ip", "last login ip"], "mac": ["mac address"], "address": ["address", "street address", "shipping address"], "date_of_birth": ["date of birth", "birth date", "dob"], "ssn": ["ssn", "social security number"]},
    "de": {"person_name": ["kundenname", "ansprechpartner"], "first": ["vorname"], "last": ["nachname", "familienname"], "email": ["email adresse", "mailadresse"], "phone": ["telefonnummer", "handynummer", "mobil"], "credit_card": ["kreditkartennummer", "kartennummer"], "iban": ["iban"], "national_id": ["steuer id", "sozialversicherungsnummer"], "ip": ["ip adresse", "ip"], "mac": ["mac adresse"], "address": ["anschrift", "adresse", "lieferadresse"], "date_of_birth": ["geburtsdatum", "geburtstag"]},
    "fr": {"person_name": ["nom complet", "nom client"], "first": ["prénom"], "last": ["nom de famille"], "email": ["courriel", "adresse email"], "phone": ["téléphone", "numéro de téléphone", "portable"], "credit_card": ["numéro de carte", "carte bancaire"], "iban": ["iban"], "national_id": ["numéro de sécurité sociale", "nir"], "ip": ["adresse ip", "ip"], "mac": ["adresse mac"], "address": ["adresse", "adresse postale", "domicile"], "date_of_birth": ["date de naissance"]},
    "es": {"person_name": ["nombre completo", "nombre cliente"], "first": ["primer nombre"], "last": ["apellidos"], "email": ["correo", "correo electrónico"], "phone": ["teléfono", "móvil", "celular"], "credit_card": ["número de tarjeta", "tarjeta de crédito"], "iban": ["iban"], "national_id": ["dni", "documento de identidad"], "ip": ["ip", "dirección ip"], "mac": ["mac"], "address": ["dirección", "domicilio"], "date_of_birth": ["fecha de nacimiento"]},
    "it": {"person_name": ["nome completo", "intestatario"], "first": ["nome cliente"], "last": ["cognome"], "email": ["indirizzo email", "email"], "phone": ["telefono", "cellulare"], "credit_card": ["numero carta", "carta di credito"], "iban": ["iban"], "national_id": ["codice fiscale"], "ip": ["indirizzo ip"], "mac": ["indirizzo mac"], "address": ["indirizzo", "residenza"], "date_of_birth": ["data di nascita"]},
    "nl": {"person_name": ["volledige naam", "klantnaam"], "first": ["voornaam"], "last": ["achternaam"], "email": ["emailadres"], "phone": ["telefoonnummer", "mobiel"], "credit_card": ["creditcardnummer", "kaartnummer"], "iban": ["iban"], "national_id": ["bsn", "burgerservicenummer"], "ip": ["ip adres", "ip"], "mac": ["mac adres"], "address": ["adres", "postadres"], "date_of_birth": ["geboortedatum"]},
    "pt": {"person_name": ["nome completo"], "first": ["primeiro nome"], "last": ["sobrenome", "apelido"], "email": ["email", "correio eletrónico"], "phone": ["telefone", "telemóvel"], "credit_card": ["número do cartão", "cartão de crédito"], "iban": ["iban"], "national_id": ["nif", "cpf"], "ip": ["endereço ip"], "mac": ["endereço mac"], "address": ["morada", "endereço"], "date_of_birth": ["data de nascimento"]},
    "pl": {"person_name": ["imię i nazwisko"], "first": ["imię"], "last": ["nazwisko"], "email": ["adres email"], "phone": ["numer telefonu", "telefon", "komórka"], "credit_card": ["numer karty"], "iban": ["iban"], "national_id": ["pesel"], "ip": ["adres ip"], "mac": ["adres mac"], "address": ["adres zamieszkania", "ulica"], "date_of_birth": ["data urodzenia"]},
}
# Names that say nothing.
SILENT = ["value", "field_1", "data", "content", "col_a", "attr", "x", "entry", "v2", "raw"]
NOTES = [
    "Delivered to the reception, no signature needed.", "Customer asked for a refund on the second item.",
    "Reorder when fewer than 12 units are left.", "Rev B replaces rev A from batch 2024-07 on.",
    "The pump failed after 1500 hours, replaced under warranty.", "See chapter 12.4 of the manual, page 230.",
    "Shipment split: 3 of 5 pallets arrived on 2024-05-17 at 14:30.", "Torque to 45.5 Nm, then 90 degrees.",
    "Price raised from 1,249.00 to 1,349.00 EUR.", "Works with firmware 2.11.4.1 and later.",
    "Waiting for parts; next look on Monday.", "Dimensions 120 x 80 x 75 cm, 38.5 kg.",
    "Error 0x80070057 after 10000 cycles, ticket closed.", "Lot 88123 passed, lots 88124 to 88130 on hold.",
    "Use channel 5 at 2412 MHz.", "Batch of 250 at 17:05:33, yield 98.7 %.",
]


def negatives(r):
    digits = lambda n: "".join(r.choice("0123456789") for _ in range(n))
    letters = lambda n: "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(n))
    return {
        "order_ref": r.choice([f"ORD-{r.randint(2019, 2026)}-{digits(6)}", f"{digits(9)}", f"PO{digits(8)}", f"#{digits(7)}", f"{digits(3)}-{digits(7)}-{digits(7)}", f"SO-{digits(10)}", digits(10), digits(12)]),
        "sku": r.choice([f"SKU-{digits(4)}-{letters(2)}", f"{letters(3)}-{digits(5)}", f"{letters(2)}{digits(6)}", f"{digits(4)}-{digits(4)}-{digits(2)}", f"{letters(4)}{digits(4)}{letters(1)}", digits(8)]),
        "part_number": f"{digits(3)}-{digits(5)}-{letters(1)}{digits(1)}",
        "tracking_number": f"1Z{letters(2)}{digits(1)}{digits(12)}",
        "ean": digits(13),
        "uuid": f"{r.getrandbits(128):032x}",
        "updated_at": f"2025-{r.randint(1, 12):02}-{r.randint(1, 28):02}T{r.randint(0, 23):02}:{r.randint(0, 59):02}:11Z",
        "note": r.choice(NOTES),
        "product": r.choice(["Hex bolt M8x40", "Steel bracket 90", "Oak table 180x90", "USB-C cable 2m", "Filter cartridge F7"]),
    }


def spelling(r, name):
    words = name.split(" ")
    form = r.randrange(3)
    if form == 0:
        return "_".join(words)
    if form == 1:
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return "-".join(words) if r.random() < 0.5 else " ".join(word.capitalize() for word in words)


def card(r, fake):
    number = fake.credit_card_number()
    if len(number) == 16 and r.random() < 0.5:
        return r.choice([" ", "-"]).join(number[i : i + 4] for i in range(0, 16, 4))
    return number


def birthday(r, fake):
    day = fake.date_of_birth(minimum_age=18, maximum_age=90)
    return day.strftime(r.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y"]))


def values(r, fake, locale):
    name = fake.name()
    out = {
        "person_name": name, "first": fake.first_name(), "last": fake.last_name(), "email": fake.email(), "phone": fake.phone_number(),
        "credit_card": card(r, fake), "iban": fake.iban(), "ip": fake.ipv6() if r.random() < 0.3 else fake.ipv4_public(),
        "mac": fake.mac_address(), "address": fake.street_address(), "date_of_birth": birthday(r, fake),
    }
    out["ssn" if locale == "en_US" else "national_id"] = fake.ssn()
    return out


CLASS = {"first": "person_name", "last": "person_name"}


def named(r, fake, locale):
    language = LANGUAGE.get(locale, locale[:2]) if r.random() < 0.6 else "en"
    record, truth = {}, []
    groups = {"top": record}
    if r.random() < 0.5:
        groups["customer"] = record.setdefault("customer", {})
    entries = []
    for kind, value in values(r, fake, locale).items():
        names = NAMES[language].get(kind) or NAMES["en"][kind]
        entries.append((spelling(r, r.choice(names)), value, CLASS.get(kind, kind)))
    entries += [(key, value, None) for key, value in negatives(r).items()]
    r.shuffle(entries)
    for key, value, kind in entries:
        group = r.choice(list(groups)) if kind else "top"
        pointer = f"/{'customer/' if group == 'customer' else ''}{key.replace('~', '~0').replace('/', '~1')}"
        groups[group][key] = value
        truth.append({"path": pointer, "class": kind, "start": 0, "end": len(value.encode()), "field": key if kind is None else ""})
    return record, truth


def unnamed(r, fake, locale):
    record, truth = {}, []
    for number, (kind, value) in enumerate(values(r, fake, locale).items()):
        if CLASS.get(kind, kind) in ("person_name", "address", "date_of_birth", "national_id"):
            continue
        key = f"{r.choice(SILENT)}_{number}"
        record[key] = value
        truth.append({"path": f"/{key}", "class": kind, "start": 0, "end": len(value.encode()), "field": ""})
    for key, value in negatives(r).items():
        silent = f"{r.choice(SILENT)}_{20 + len(record)}"
        record[silent] = value
        truth.append({"path": f"/{silent}", "class": None, "start": 0, "end": len(value.encode()), "field": f"unnamed {key}"})
    return record, truth


FILL = {
    "credit_card_number": ("credit_card", card), "phone_number": ("phone", lambda r, f: f.phone_number()), "email": ("email", lambda r, f: f.email()),
    "iban": ("iban", lambda r, f: f.iban()), "ip_address": ("ip", lambda r, f: f.ipv4_public()), "ssn": ("ssn", None), "date_of_birth": ("date_of_birth", birthday),
    "address": ("address", lambda r, f: f.street_address()),
    "name": ("person_name", lambda r, f: f.name()), "person": ("person_name", lambda r, f: f.name()), "name_male": ("person_name", lambda r, f: f.name_male()), "name_female": ("person_name", lambda r, f: f.name_female()),
}


def plain(key, r, fake):
    table = {
        "organization": fake.company, "city": fake.city, "country": fake.country, "job": fake.job, "zipcode": fake.postcode, "postcode": fake.postcode,
        "url": fake.url, "age": lambda: str(r.randint(18, 90)), "year": lambda: str(r.randint(1950, 2025)), "building_number": fake.building_number,
        "street_name": fake.street_name, "secondary_address": lambda: f"Apt. {r.randint(1, 999)}", "day_of_week": fake.day_of_week,
        "date_time": lambda: f"2025-{r.randint(1, 12):02}-{r.randint(1, 28):02} 10:30", "state_abbr": lambda: "CA",
    }
    if key in table:
        return str(table[key]())
    return fake.first_name() if "first" in key else fake.last_name() if "last" in key else "French" if "nation" in key else ""


def sentence(r, fake, locale, us, template):
    text, truth = "", []
    template = template.replace("{{building_number}} {{street_name}}", "{{address}}")
    for piece in re.split(r"(\{\{\w+\}\})", template.replace("\\n", "\n").replace("\\,", ",").replace("\\|", "|")):
        key = piece[2:-2] if piece.startswith("{{") else None
        if key in FILL:
            kind, make = FILL[key]
            value = us.ssn() if key == "ssn" else make(r, fake)
            start = len(text.encode())
            truth.append({"path": "/text", "class": kind, "start": start, "end": start + len(value.encode()), "field": ""})
            text += value
        else:
            text += plain(key, r, fake) if key else piece
    return {"text": text}, truth


def main():
    seed, count, truth_file = int(sys.argv[1]), int(sys.argv[2]), open(sys.argv[3], "w")
    # Only its data is used: importing it would want all that it depends on.
    folder = Path(importlib.util.find_spec("presidio_evaluator").submodule_search_locations[0]) / "data_generator" / "raw_data"
    templates = [line.strip() for line in (folder / "templates.txt").read_text().splitlines() if line.strip()]
    r = random.Random(seed)
    number = 0
    us = Faker("en_US")
    us.seed_instance(seed)
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(seed * 1000 + LOCALES.index(locale))
        for form in ["named"] * count + ["unnamed"] * (count // 2) + ["sentence"] * (count * 2):
            if form == "named":
                record, truth = named(r, fake, locale)
            elif form == "unnamed":
                record, truth = unnamed(r, fake, locale)
            else:
                record, truth = sentence(r, fake, locale, us, r.choice(templates))
            print(json.dumps(record, ensure_ascii=False))
            for line in truth:
                print(json.dumps({"record": number, "form": form, "locale": locale, **line}, ensure_ascii=False), file=truth_file)
            if form == "sentence":
                # All of a sentence that nobody's data is in counts for false positives.
                print(json.dumps({"record": number, "form": form, "locale": locale, "path": "/text", "class": None, "start": 0, "end": 0, "field": "sentence"}), file=truth_file)
            number += 1


main()
