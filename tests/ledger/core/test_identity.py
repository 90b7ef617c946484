from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.core.identity import fingerprint_facts, identify_event, make_uuid7

moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def identify(**parts):
    return identify_event(**({"provider": "openai", "response_id": "", "source": "s", "event_id": "e"} | parts))


def test_a_response_is_one_event_through_whichever_door_it_is_reported():
    assert identify(response_id="r", source="checkout", event_id="1") == identify(
        response_id="r", source="callback", event_id="2"
    )


def test_without_a_response_id_the_source_and_its_id_make_the_event():
    assert identify(source="a") != identify(source="b")
    assert identify(event_id="1") != identify(event_id="2")
    assert identify(provider="openai") == identify(provider="azure")


def test_parts_do_not_run_together():
    assert identify(source="ab", event_id="c") != identify(source="a", event_id="bc")
    assert fingerprint_facts(["ab", "c"]) != fingerprint_facts(["a", "bc"])
    assert fingerprint_facts(["1:a"]) != fingerprint_facts(["1", "a"])


@given(moment=moments, random=st.binary(min_size=8, max_size=8))
def test_a_batch_id_is_a_uuid_of_version_7_that_holds_its_millisecond(moment, random):
    batch_id = make_uuid7(moment, random)
    assert batch_id.version == 7
    assert batch_id.variant == "specified in RFC 4122"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert epoch + timedelta(milliseconds=batch_id.int >> 80) <= moment
    assert moment - (epoch + timedelta(milliseconds=batch_id.int >> 80)) < timedelta(milliseconds=1)


@given(moment=moments, one=st.binary(min_size=8, max_size=8), other=st.binary(min_size=8, max_size=8))
def test_a_later_microsecond_sorts_later(moment, one, other):
    assert make_uuid7(moment, one) < make_uuid7(moment + timedelta(microseconds=1), other)
