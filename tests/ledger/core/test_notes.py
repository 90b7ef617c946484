"""Signed notes and checkpoints, held against published ones."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.notes import (
    Checkpoint,
    NoteInvalid,
    number_key,
    read_checkpoint,
    read_note,
    sign_checkpoint,
    sign_note,
    verify_checkpoint,
    verify_note,
    write_checkpoint,
    write_vkey,
)
from ledger.key_files import make_pair, verify

# From the tests of golang.org/x/mod/sumdb/note, whose format c2sp.org/signed-note writes down.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PETER = base64.b64decode(VKEY.rsplit("+", 1)[1])[1:]
# The examples of c2sp.org/signed-note and c2sp.org/tlog-checkpoint. Their keys are not published.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3Z"
    "ekRwNtIc=\n"
)
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeM"
    "cTOAYQ8=\n"
)
PAIR = make_pair(bytes(range(32)))
ORIGIN = "tokenledger/0123456789ab/7"
HEAD = Checkpoint(ORIGIN, 42, bytes(range(32)))


def sign(checkpoint=HEAD, pair=PAIR):
    return sign_checkpoint(checkpoint, public_key=pair.public_key, sign=pair.sign)


def check(note, *, origin=ORIGIN, keys=(PAIR.public_key,)):
    return verify_checkpoint(note, origin=origin, public_keys=keys, verify=verify)


def test_a_published_note_is_verified_and_its_key_has_the_published_number():
    assert verify_note(NOTE, name="PeterNeumann", public_keys=[PETER], verify=verify) == TEXT
    assert number_key("PeterNeumann", PETER).hex() == "c74f20a3"
    assert write_vkey("PeterNeumann", PETER) == VKEY


def test_the_specifications_examples_are_read():
    text, [signature] = read_note(POEM)
    assert text.endswith("sole:\n\ned è subito sera.\n")
    assert (signature.name, signature.key_number.hex()) == ("quasimodo.example/salvatore", "367ba04b")
    text, [signature] = read_note(SOFA)
    checkpoint = read_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert write_checkpoint(checkpoint) == text
    assert signature.key_number.hex() == "033de0ae"


def test_what_is_signed_is_read_again_and_is_three_lines():
    note = sign()
    assert note.split("\n")[:4] == [ORIGIN, "42", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ""]
    assert check(note) == HEAD


@given(
    origin=st.from_regex(r"[a-z0-9./-]{1,40}", fullmatch=True),
    size=st.integers(0, 2**62),
    root=st.binary(min_size=32, max_size=32),
)
def test_every_checkpoint_survives_writing_and_reading(origin, size, root):
    checkpoint = Checkpoint(origin, size, root)
    assert check(sign(checkpoint), origin=origin) == checkpoint


def test_every_flipped_byte_of_a_note_is_refused():
    data = sign().encode()
    for place in range(len(data)):
        for bit in (1, 0x20):
            flipped = bytearray(data)
            flipped[place] ^= bit
            try:
                text = flipped.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(NoteInvalid):
                check(text)


def test_another_key_of_the_name_and_another_name_of_the_key_are_passed_over():
    other = make_pair(b"o" * 32)
    with pytest.raises(NoteInvalid, match="no known key signed it"):
        check(sign(pair=other))
    both = sign() + sign(pair=other).rsplit("\n\n", 1)[1]
    assert check(both) == HEAD
    assert check(both, keys=[other.public_key]) == HEAD
    with pytest.raises(NoteInvalid, match="no known key signed it"):
        check(sign(), origin="tokenledger/0123456789ab/8")


def test_a_wrong_signature_of_a_known_key_refuses_the_note_beside_a_right_one():
    forged = sign(Checkpoint(ORIGIN, 43, HEAD.root)).rsplit("\n\n", 1)[1]
    with pytest.raises(NoteInvalid, match="the signature of .* is wrong"):
        check(sign() + forged)


def test_a_checkpoint_of_another_tree_that_our_key_signed_is_not_this_ones():
    text = write_checkpoint(Checkpoint("tokenledger/0123456789ab/8", 42, HEAD.root))
    note = sign_note(text, name=ORIGIN, public_key=PAIR.public_key, sign=PAIR.sign)
    with pytest.raises(NoteInvalid, match="it is of tokenledger/0123456789ab/8"):
        check(note)


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", f"{ORIGIN}\n42\n", f"{ORIGIN}\n042\n{'A' * 43}=\n", f"{ORIGIN}\n-1\n{'A' * 43}=\n",
        f"{ORIGIN}\n42\n{'A' * 40}\n", f"\n42\n{'A' * 43}=\n", f"{ORIGIN}\n42\n{'A' * 43}=\nmore\n",
        f"{ORIGIN}\n42\n{'A' * 42}B=\n", f"{ORIGIN}\n4 2\n{'A' * 43}=\n", f"{ORIGIN}\n٤٢\n{'A' * 43}=\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteInvalid):
        read_checkpoint(text)


@pytest.mark.parametrize(
    "note",
    [
        "", "text\n", "text\n\n", "text\n\n— name\n", "text\n\n- name AAAAAAAA\n", "text\n\n— name AAAA\n",
        "text\n\n— na me AAAAAAAAAAAA\n", "text\n\n— na+me AAAAAAAAAAAA\n", "text\n\n— name A*AAAAAA\n",
        "text\n\n— name AAAAAAAAAAAA", "te\rxt\n\n— name AAAAAAAAAAAA\n", "text\n\n" + "— name AAAAAAAAAAAA\n" * 101,
        "x" * 100_001 + "\n\n— name AAAAAAAAAAAA\n",
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(note):
    with pytest.raises(NoteInvalid):
        read_note(note)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_no_note_is_signed_under_a_name_that_none_may_have(name):
    with pytest.raises(NoteInvalid):
        sign_note("text\n", name=name, public_key=PAIR.public_key, sign=PAIR.sign)
