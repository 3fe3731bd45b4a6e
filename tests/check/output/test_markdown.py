"""Markdown for a comment: rendered, it shows the text of the report and does nothing else."""

from __future__ import annotations

import html
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harden.check.output.markdown import escape, render_markdown
from harden.check.output.printable import printable
from tests.check.output.reports import CLEAN, REPORT, finding, reports

PARSER = MarkdownIt("gfm-like", {"linkify": False})
TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)[^>]*>")
OURS = {"code", "table", "thead", "tbody", "tr", "th", "td", "h3", "p", "ul", "li", "strong", "hr"}


def rendered(report) -> str:
    page: str = PARSER.render(render_markdown(report).decode())
    return page


def visible(markdown: str) -> str:
    """What a reader sees of inline Markdown without markup of its own."""
    return html.unescape(re.sub(r"<!-- -->", "", markdown))


def test_the_table():
    text = render_markdown(REPORT).decode()
    assert text.startswith("### harden check: failed\n")
    row = "| high | <code>ptrace</code> | <code>web&#46;profile&#46;toml&#58;12&#58;3</code> | ptrace is allowed"
    assert row in text
    page = rendered(REPORT)
    assert page.count("<table>") == 2
    assert page.count("<tr>") == 5 + 2
    assert "<code>web.profile.toml:12:3</code>" in page
    assert "needed until the port" in page
    assert "mount is granted no more" in page


def test_a_clean_report_passes():
    assert render_markdown(CLEAN).decode().startswith("### harden check: passed\n")


@given(
    st.text(max_size=60) | st.sampled_from(("@everyone", "org/repo#1", "GH-7", "a|b", "``x``", "<b>", "https://a.b"))
)
def test_escaped_text_is_seen_as_it_is_and_does_nothing(text):
    escaped = escape(text)
    assert visible(escaped) == printable(text)
    assert not re.search(r"[|`<>\[\]*_~!\\&@#:.]", re.sub(r"&#[0-9]+;|<!-- -->", "", escaped).replace("-", ""))
    decoded = html.unescape(escaped)
    assert not re.search(r"[@#]\w|\bGH-\d", decoded)
    page = PARSER.renderInline(f"x {escaped}")
    assert set(TAG.findall(page)) == set()


@given(reports())
def test_any_report_renders_to_our_own_tags_only(report):
    page = rendered(report)
    assert {name.lower() for name in TAG.findall(page)} <= OURS
    assert "href" not in page
    assert "<img" not in page
    rows = len(report.findings) + len(report.waived) + bool(report.findings) + bool(report.waived)
    assert page.count("<tr>") == rows


def test_a_comment_stays_below_the_limit_and_says_what_is_missing():
    many = tuple(finding(subject=str(number), message="|" * 290) for number in range(2000))
    text = render_markdown(msgspec.structs.replace(REPORT, findings=many)).decode()
    assert len(text) < 65_536
    assert "more lines do not fit" in text
