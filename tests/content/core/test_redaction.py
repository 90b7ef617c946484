"""What is taken out of a text, what stays, and that an awkward text takes no longer than its length."""

import base64
import json
import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from content.core.redaction import CARD_ISSUERS, IBAN_LENGTHS, MARKS, is_card, is_iban, redact_text
from content.core.secrets import write_checksum

ALNUM = string.digits + string.ascii_uppercase + string.ascii_lowercase


def encode(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def make_github_token(secret):
    return f"ghp_{secret}{write_checksum(secret)}"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Write to bob.o+billing@sub.example.co.uk.", "Write to [e-mail]."),
        ("<jürgen@müller.example>, mailto:a%40b.example", "<[e-mail]>, mailto:[e-mail]"),
        ("Call +49 30 1234567 or +1 (415) 555-2671 now", "Call [phone] or [phone] now"),
        ("(415) 555-2671, 415.555.2671, 1-415-555-2671", "[phone], [phone], [phone]"),
        ("030 1234567; (030) 123 45 67; 0171/1234567; 0049 171 1234567", "[phone]; [phone]; [phone]; [phone]"),
        ("030 123456 / 030 123457, 01 02 2026 030 1234567", "[phone] / [phone], 01 02 2026 [phone]"),
        ("020 7946 0958 and 01 23 45 67 80 and 01.23.45.67.89", "[phone] and [phone] and [phone]"),
        ("phone: 01711234567, Tel.: 5552671, mobile is 5552671", "phone: [phone], Tel.: [phone], mobile is [phone]"),
        # Numbers that the card networks and SWIFT publish as examples.
        ("4111 1111 1111 1111 12/27, 5555-5555-5555-4444; 378282246310005", "[card] 12/27, [card]; [card]"),
        ("order 12 6011111111111117,4111111111111111.5555555555554444", "order 12 [card],[card].[card]"),
        ("DE89 3704 0044 0532 0130 00 EUR", "[IBAN] EUR"),
        ("GB82WEST12345698765432, nl91abna0417164300", "[IBAN], [IBAN]"),
        # A token from GitHub's own tests of its checksum.
        ("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", "[API key]"),
        ("key=AKIAIOSFODNN7EXAMPLE", "key=[API key]"),
        ('aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"', 'aws_secret_access_key = "[API key]"'),
        ("sk-" + "aB3" * 16, "[API key]"),
        ("sk-ant-api03-" + "a" * 30 + " sk-proj-" + "b" * 30, "[API key] [API key]"),
        ("xoxb-1234567890-abcdefghij", "[API key]"),
        ("AIza" + "b" * 35, "[API key]"),
        ("sk_live_" + "c" * 24 + " rk_test_" + "c" * 24, "[API key] [API key]"),
        ("Authorization: Bearer abcdef.0123456789.ghijk", "Authorization: Bearer [API key]"),
        (f"{encode({'alg': 'HS256'})}.{encode({'sub': '1'})}.c2lnbmF0dXJl", "[token]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nbye", "[private key]\nbye"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0B\\n and then", "[private key]\\n and then"),
        ("data:image/png;base64," + "iVBORw0KGgo" * 40, "data:image/png;base64,[data]"),
    ],
)
def test_what_must_not_be_kept_is_taken_out(text, redacted):
    assert redact_text(text).text == redacted


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 05:00:00, 22.11.2026, 11/22/2026, 01.02.2026, 01-02-2026, 22 11 2026, tel 2026-11-22",
        "1,234,567.89 EUR, 12.345.678,90, 1 200 000 tokens, 0.004750000000, +12.345678 %",
        "1732266000000 ms, 1732266000000000 µs, 4539.578763621486, 10.0.0.1, version 1.2.3.4",
        "019a8f00-0000-7000-8000-000000000001.0, chatcmpl-9f, req-8f1c, 4bf92f3577b34da6a3ce929d0e0e4736",
        "order 00123456789, ISBN 978-3-16-148410-0, row 12345678901234567890123",
        "4111 1111 1111 1112, 5555555555554445",  # the check digit is wrong
        "DE88370400440532013000, GB82WEST12345698765433",
        "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18, tl_" + "a" * 12 + "_" + "b" * 43 + "_000000",
        "sk-hynix-semiconductor-annual-report-2024, sk-learn, the eyJ of a.b.c, eyJhbGciOiJIUzI1.e.e",
        "https://example.com/@name/post, a @ b.c, @scope/package, user@localhost",
        "-" * 400 + " " + "_" * 300 + " " + "=" * 300 + " " + "ab" * 200,
        "secretary, do not call, ghosts, AIzawa, Bearer of bad news",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert redact_text(text) == (text, {})


def add_luhn(payload):
    return next(payload + digit for digit in string.digits if luhn_sum(payload + digit) % 10 == 0)


def luhn_sum(digits):
    """The sum of ISO/IEC 7812-1, annex B: every second digit from the right is doubled, and its digits added."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled)


def add_check_digits(country, account):
    letters = "".join(str(ord(c) - 55) if c.isalpha() else c for c in f"{account}{country}00")
    return f"{country}{98 - int(letters) % 97:02d}{account}"


ISSUED = [("4", 13), ("4", 16), ("4", 19), ("51", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15),
          ("6011", 16), ("65", 16), ("62", 19), ("3528", 16), ("36", 14), ("5018", 13), ("2200", 16)]  # fmt: skip
BEFORE = st.sampled_from(["", " ", "\n", "(", '"', ": ", "card no. ", "€", ", "])
AFTER = st.sampled_from(["", " ", "\n", ")", '"', ": ", " no more", "€", ", ", ". "])
GAPS = st.sampled_from(["", " ", "-", "\u00a0"])


@st.composite
def card_numbers(draw):
    prefix, length = draw(st.sampled_from(ISSUED))
    count = length - len(prefix) - 1
    return add_luhn(prefix + "".join(draw(st.lists(st.sampled_from(string.digits), min_size=count, max_size=count))))


@st.composite
def ibans(draw):
    country = draw(st.sampled_from(sorted(IBAN_LENGTHS)))
    count = IBAN_LENGTHS[country] - 4
    characters = st.lists(st.sampled_from(string.digits + string.ascii_uppercase), min_size=count, max_size=count)
    return add_check_digits(country, "".join(draw(characters)))


def group(text, gap):
    return gap.join(text[at : at + 4] for at in range(0, len(text), 4))


@given(card_numbers(), GAPS, BEFORE, AFTER)
def test_every_valid_card_number_is_taken_out(number, gap, before, after):
    assert redact_text(f"{before}{group(number, gap)}{after}").text == f"{before}[card]{after}"


@given(card_numbers(), st.integers(0, 18), st.integers(1, 9))
def test_a_card_number_with_a_wrong_digit_is_none(number, place, shift):
    place %= len(number)
    wrong = f"{number[:place]}{(int(number[place]) + shift) % 10}{number[place + 1 :]}"
    assert not is_card(wrong)
    assert "card" not in redact_text(wrong).counts


@given(ibans(), GAPS, BEFORE, AFTER)
def test_every_valid_iban_is_taken_out(account, gap, before, after):
    assert redact_text(f"{before}{group(account, gap)}{after}").text == f"{before}[IBAN]{after}"


@given(ibans(), st.integers(4, 33), st.integers(1, 9))
def test_an_iban_with_a_wrong_digit_is_none(account, place, shift):
    place = 4 + place % (len(account) - 4)
    if account[place].isdecimal():
        wrong = f"{account[:place]}{(int(account[place]) + shift) % 10}{account[place + 1 :]}"
        assert not is_iban(wrong)
        assert "iban" not in redact_text(wrong).counts


@given(st.text(ALNUM, min_size=30, max_size=30), BEFORE, AFTER)
def test_every_token_of_github_is_taken_out_and_none_with_a_wrong_checksum(secret, before, after):
    token = make_github_token(secret)
    assert redact_text(f"{before}{token}{after}").text == f"{before}[API key]{after}"
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert redact_text(wrong).text == wrong


PIECES = st.sampled_from(
    ["bob@example.com", "@b.de", "a.b", "+49 30 1234567", "030 1234567", "4111 1111 1111 1111", "4111111111111111",
     "DE89 3704 0044 0532 0130 00", "DE89", "1234", "12", "0", "00", "+", "-", ".", " ", "(", ")", "/", "_", "x",
     "tel ", "phone: ", "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", "sk-ant-" + "a1" * 12, "eyJhbGciOiJIUzI1NiJ9.a.b",
     "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "[card]", "[e-mail]", "%40",
     "Bearer ", "\n", "é", "٣", "A" * 64]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=12).map("".join))
@example("4111 1111 1111 1111 DE89 3704 0044 0532 0130 00")
def test_redacting_twice_is_redacting_once(text):
    once = redact_text(text).text
    assert redact_text(once) == (once, {})


@given(st.text())
def test_any_text_is_read_and_only_marks_are_added(text):
    redacted, counts = redact_text(text)
    assert set(counts) <= set(MARKS)
    assert (redacted == text) is not bool(counts)


UNITS = ["1", "a@", "@a.", "-eyJ", "-----BEGIN PRIVATE KEY-----\n", "030 1234567 ", "+49 30 123", "sk-", "aB3/", "a.",
         "DE89 ", "4111 ", "0-1 ", "tel ", "bearer ", "eyJhbGciOiJIUzI1NiJ9.", "xoxb-", "%40", " ", "(",
         "0"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_four_times_the_text_takes_about_four_times_as_long(unit):
    # Work that grew with the square would take sixteen times as long.
    def measure(size):
        text = unit * (size // len(unit))
        started = time.process_time()
        redact_text(text)
        return time.process_time() - started

    size = 50_000
    ratios = [measure(4 * size) / max(measure(size), 0.001) for _ in range(2)]
    assert min(ratios) < 9


def test_every_issuer_is_tried_by_the_tests_above():
    tried = {index for prefix, _ in ISSUED for index, (first, _) in enumerate(CARD_ISSUERS) if first.match(prefix)}
    assert tried == set(range(len(CARD_ISSUERS) - 1))  # without Troy's and RuPay's
