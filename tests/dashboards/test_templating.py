"""What a page was made from goes when the page is written, and waits for nobody to look for it."""

import gc
import weakref

import pytest
from django.template import TemplateDoesNotExist, engines
from django.test import RequestFactory


class Line:
    """Of a table."""


@pytest.fixture
def without_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def render(code, **context):
    return engines["django"].from_string(code).render(context, RequestFactory().get("/"))


def test_the_lines_of_a_page_are_gone_once_it_is_written(without_gc):
    line = Line()
    kept = weakref.ref(line)
    assert render("{% for line in lines %}{{ line.words }}{% endfor %}{{ total }}", lines=[line], total=3) == "3"
    assert kept()
    del line
    assert kept() is None


def test_a_template_that_includes_what_is_not_there_still_says_so():
    with pytest.raises(TemplateDoesNotExist, match="nowhere.html"):
        render("{% include 'nowhere.html' %}")
