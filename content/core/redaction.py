"""What must not be kept is taken out of a text: people's addresses and numbers, and what opens doors.

A mark stands in its place. What has a checksum is taken out only where that is right: so a number of the same form
stays. Redacting twice is redacting once, and takes time that grows with the length of the text. What is found and what
is not stands in `docs/content.md`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from content.core.secrets import API_KEYS, JSON_WEB_TOKENS, PRIVATE_KEYS, Span, find_secrets

MARKS = {
    "private_key": "[private key]",
    "token": "[token]",
    "api_key": "[API key]",
    "data": "[data]",
    "email": "[e-mail]",
    "iban": "[IBAN]",
    "card": "[card]",
    "phone": "[phone]",
}


class Redacted(NamedTuple):
    """A text without what must not be kept, and how much of each kind of MARKS it held."""

    text: str
    counts: Counter[str]


ROUNDS_MAX = 4


def redact_text(text: str) -> Redacted:
    """Take out what must not be kept, the surest kinds first: what one kind took, no later one sees.

    Again where something was taken out, because that may end a word in whose middle a number stood.
    """
    counts: Counter[str] = Counter()
    for _ in range(ROUNDS_MAX):
        found = counts.total()
        for kind, find in FINDERS:
            text, count = _replace(text, find(text), MARKS[kind])
            if count:
                counts[kind] += count
        if counts.total() == found:
            break
    return Redacted(text, counts)


def _replace(text: str, spans: Iterator[Span], mark: str) -> tuple[str, int]:
    """The text with `mark` in place of each span, and their number; overlapping ones are one."""
    pieces: list[str] = []
    at = count = 0
    for start, end in sorted(spans):
        if start >= at:
            pieces += (text[at:start], mark)
            count += 1
        at = max(at, end)
    return ("".join((*pieces, text[at:])), count) if count else (text, 0)


# Images, sound and files: what cannot be read here cannot be redacted. A long run of base64, or lines of it.
DATA = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{256,}+={0,2}"
    r"|(?:[A-Za-z0-9+/]{60,76}(?:\r?\n|\\n)){4,}+[A-Za-z0-9+/]{0,76}={0,2})",
    re.ASCII,
)


DATA_CHARACTERS_MIN = 8  # a rule of hyphens has one


def _find_data(text: str) -> Iterator[Span]:
    if len(text) > 255:
        for match in DATA.finditer(text):
            if len(set(match[0])) >= DATA_CHARACTERS_MIN:
                yield match.span()


DOMAINS = tuple(
    re.compile(rf"{at}(?:[\w-]{{1,63}}\.){{1,10}}(?:xn--[A-Za-z0-9-]{{2,59}}|[^\W\d_]{{2,63}})") for at in ("@", "%40")
)


def _find_emails(text: str) -> Iterator[Span]:
    """Addresses, also of other alphabets: from each @ back to where its name begins."""
    for domain in DOMAINS:
        after = 0
        for match in domain.finditer(text):
            start = match.start()
            while start > after and (text[start - 1].isalnum() or text[start - 1] in "._+-"):
                start -= 1
            if start < match.start():
                yield start, match.end()
            after = match.end()


# Country and length of its account numbers: SWIFT's registry of IBANs, release 99.
IBAN_REGISTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in IBAN_REGISTRY.split()}
IBAN_START = re.compile(r"[0-9]{2}(?<=(?<![^\W_])[A-Za-z]{2}[0-9]{2})")
IBAN_RUN = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,30}")
SEPARATORS = " \u00a0-"
WITHOUT_SEPARATORS = str.maketrans("", "", SEPARATORS)


def _find_ibans(text: str) -> Iterator[Span]:
    after = 0
    for match in IBAN_START.finditer(text):
        start = match.start() - 2
        length = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        run = IBAN_RUN.match(text, start) if length and start >= after else None
        if run is None:
            continue
        characters, ends = _read_run(run)
        if length <= len(ends) and _ends_word(text, ends[length - 1]):
            account = characters[:length]
            is_written_apart = ends[length - 1] - start > length
            if is_iban(account if is_written_apart else account.upper()):
                after = ends[length - 1]
                yield start, after


def is_iban(account: str) -> bool:
    """Whether the check digits are right (ISO 13616, mod 97); capitals, without separators."""
    if not account.isascii() or not account.isalnum() or account != account.upper():
        return False
    moved = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the digit sum of the double
CARD_RUN = re.compile(r"\d(?:[ \u00a0-]?\d){12,18}")
CARD_START = re.compile(r"\d{4}(?<!\w\d{4})")
FRACTION_START = re.compile(r"(?<!\d)\d{1,9}\.\Z")
CARD_LENGTHS = range(13, 20)  # ISO/IEC 7812, as they are issued
# Issuers by their first digits, and the lengths of their numbers.
CARD_ISSUERS = (
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("30[0-59]|3[689]"), (14, 15, 16, 17, 18, 19)),
    (re.compile("35|6|220[0-4]"), (16, 17, 18, 19)),
    (re.compile("5[06-8]"), CARD_LENGTHS),
    (re.compile("9792|8[12]"), (16,)),
)


def _find_cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards, in groups or without; the longest that is one, where several begin alike."""
    after = 0
    for match in CARD_START.finditer(text):
        start = match.start()
        lengths = _list_lengths(match[0]) if start >= after else ()
        run = CARD_RUN.match(text, start) if lengths else None
        if run is None or FRACTION_START.search(text[max(0, start - 11) : start]):
            continue
        digits, ends = _read_run(run)
        for length in reversed(lengths):
            if length <= len(ends) and _ends_word(text, ends[length - 1]) and _has_check_digit(digits[:length]):
                after = ends[length - 1]
                yield start, after
                break


def is_card(digits: str) -> bool:
    """Whether an issuer gives numbers of this beginning and length, and the check digit is right."""
    return len(digits) in _list_lengths(digits) and _has_check_digit(digits)


def _list_lengths(digits: str) -> Sequence[int]:
    """How many digits a number has that begins with these, at least four; none for one of no issuer."""
    return next((lengths for first, lengths in CARD_ISSUERS if first.match(digits)), ())


def _has_check_digit(digits: str) -> bool:
    """By Luhn's rule (ISO/IEC 7812-1, annex B)."""
    return (sum(map(int, digits[-1::-2])) + sum(DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def _read_run(run: re.Match[str]) -> tuple[str, list[int]]:
    """The letters and digits of a run without their separators, and where in the text each of them ends."""
    ends = [place for place, character in enumerate(run[0], run.start() + 1) if character not in SEPARATORS]
    return run[0].translate(WITHOUT_SEPARATORS), ends


def _ends_word(text: str, end: int) -> bool:
    return not (text[end : end + 1].isalnum() or text[end : end + 1] == "_")


DIGITS = re.compile(r"\d(?:[\d \u00a0./()-]{5,})")  # where a telephone number may stand
PHONE_WORD_LENGTH_MAX = 32
PHONE_WORD = re.compile(
    r"(?<!\w)(?:tel|telefon|telephone|phone|mobile|mobil|mob|fax|handy|rufnummer|whatsapp|sms)\.?"
    r"(?:[ ](?:number|nummer|no|nr)\.?)?[ \u00a0:=#\"']{0,4}(?:is )?[+(]{0,2}\Z",
    re.IGNORECASE,
)
PHONE_AFTER_WORD = re.compile(r"\d(?:[ \u00a0./()-]{0,2}\d){6,14}(?!\w)")
PHONE_FORMS = tuple(
    re.compile(form)
    for form in (
        # +49 30 1234567, +1 (415) 555-2671, +44 (0)20 7946 0958
        r"(?<!\+)\+\(?[1-9](?:[ \u00a0./()-]{0,2}\d){6,14}(?!\w)",
        # 0049 30 1234567: without a gap it could as well be an id with zeros before
        r"(?<![\w.,-])00[1-9]\d{0,2}[ \u00a0/-](?:\(0\) ?)?[1-9](?:[ \u00a0/()-]{0,2}\d){4,11}(?!\w)",
        # (415) 555-2671, 415-555-2671, 1-415-555-2671: North America
        r"(?:\([2-9]\d\d\)[ -]?|(?<![\w.,-])(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?|[2-9]\d\d[ .-]))[2-9]\d\d[ .-]\d{4}(?!\w)",
        # 030 1234567, (030) 123-4567, 0171/1234567: the code of an area or a network with its zero, then a gap, and
        # not on into the next number
        r"(?<![\w.,/-])\(?(?=0\d{1,5}\)?[ \u00a0/-])0[1-9]"
        r"(?:(?![ \u00a0/-]{1,3}\(?0[1-9]\d{1,4}\)?[ \u00a0/-]\d)[ \u00a0/()-]{0,3}\d){6,11}(?!\w)",
        # 01.23.45.67.89: France
        r"(?<![\w.,/-])0[1-9](?:\.\d\d){4}(?!\w)",
    )
)
DATE = re.compile(r"\d{1,2}([ ./-])\d{1,2}\1\d{4}(?!\d)|\d{4}([ ./-])\d{1,2}\2\d{1,2}(?!\d)")
DECIMAL = re.compile(r"\+?\d+\.\d+")


def _find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers as they are written to be read, or called one by the word before; no dates, no amounts."""
    for digits in DIGITS.finditer(text):
        start, end = digits.start(), digits.end() + 1  # one more: whether a word goes on
        for form in PHONE_FORMS:
            at = max(0, start - 2)
            while match := form.search(text, at, end):
                date = DATE.match(match[0])
                if not date and not DECIMAL.fullmatch(match[0]):
                    yield match.span()
                at = match.start() + date.end() if date else match.end()
        if PHONE_WORD.search(text[max(0, start - PHONE_WORD_LENGTH_MAX) : start]):
            named = PHONE_AFTER_WORD.match(text, start, end)
            if named and not DATE.match(named[0]):
                yield named.span()


Finder = Callable[[str], Iterator[Span]]
FINDERS: tuple[tuple[str, Finder], ...] = (
    ("private_key", lambda text: find_secrets(text, PRIVATE_KEYS)),
    ("token", lambda text: find_secrets(text, JSON_WEB_TOKENS)),
    ("api_key", lambda text: find_secrets(text, API_KEYS)),
    ("data", _find_data),
    ("email", _find_emails),
    ("iban", _find_ibans),
    ("card", _find_cards),
    ("phone", _find_phones),
)
