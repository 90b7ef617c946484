from dashboards.core.sent_lines import list_sent_lines


def test_every_value_has_the_path_by_which_problems_name_it():
    lines = list_sent_lines('{"id":"r","usage":{"input_tokens":1.50},"tags":{"a":"b"},"list":[1,{"x":null}]}')
    assert [(line.text, line.path) for line in lines] == [
        ("{", ""),
        ('  "id": "r",', "id"),
        ('  "usage": {', "usage"),
        ('    "input_tokens": 1.50', "usage.input_tokens"),
        ("  },", ""),
        ('  "tags": {', "tags"),
        ('    "a": "b"', "tags.a"),
        ("  },", ""),
        ('  "list": [', "list"),
        ("    1,", "list[0]"),
        ("    {", "list[1]"),
        ('      "x": null', "list[1].x"),
        ("    }", ""),
        ("  ]", ""),
        ("}", ""),
    ]


def test_what_a_reader_of_json_would_lose_stays_as_it_was_sent():
    text = '{"a":1,"a":2,"n":1e400,"big":12345678901234567890.10,"no":NaN,"e":{},"l":[],"s":"ü\\ud800"}'
    assert [line.text.strip() for line in list_sent_lines(text)] == [
        "{", '"a": 1,', '"a": 2,', '"n": 1e400,', '"big": 12345678901234567890.10,', '"no": NaN,', '"e": {},',
        '"l": [],', '"s": "\\u00fc\\ud800"', "}",
    ]  # fmt: skip


def test_what_is_no_json_or_nested_without_end_has_no_lines():
    assert list_sent_lines("{") is None
    assert list_sent_lines("") is None
    assert list_sent_lines("[" * 100_000) is None
