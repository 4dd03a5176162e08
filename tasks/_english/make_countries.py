"""Makes `countries.csv` from CLDR: `pip install babel`, then `python tasks/_english/make_countries.py`.

A country is in the table when CLDR gives it exactly one official language, de facto ones included, and when
its name is one word that a reader of English knows, without an article. At most four are kept of a language,
so that a cell meets each of them often; 16 languages, which divide the usual batches, seven of them spoken in
several of these countries: the answer cannot be had from a country's name as such. The table is kept in the
repository; Babel is not needed to run anything.
"""

import csv
from pathlib import Path

COUNTRIES = {
    "ar": "EG OM QA YE",
    "da": "DK",
    "de": "AT DE",
    "el": "GR",
    "en": "AU BB GH JM",
    "es": "CL CU ES MX",
    "fr": "FR GA MC TG",
    "hu": "HU",
    "it": "IT",
    "ja": "JP",
    "pl": "PL",
    "pt": "AO BR MZ PT",
    "ro": "MD RO",
    "ru": "RU",
    "sv": "SE",
    "th": "TH",
}


def main() -> None:
    """Write the table, after checking it against the installed CLDR."""
    from babel import Locale  # type: ignore[import-not-found]
    from babel.core import get_cldr_version  # type: ignore[import-not-found]
    from babel.languages import get_official_languages  # type: ignore[import-not-found]

    english, cldr = Locale("en"), get_cldr_version()
    rows: list[tuple[str, ...]] = []
    for language, codes in COUNTRIES.items():
        for code in codes.split():
            official = get_official_languages(code, de_facto=True)
            if official != (language,):
                raise SystemExit(f"CLDR {cldr}: the official languages of {code} are {official}")
            rows.append((english.territories[code], english.languages[language], code, language, cldr))
    rows.sort(key=lambda row: (row[1], row[0]))
    path = Path(__file__).with_name("countries.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("country", "language", "territory", "code", "cldr"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
