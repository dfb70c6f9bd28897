"""Can the report be read: on a phone, in the dark, on paper, by keyboard, by a screen reader?"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

from lrcycles.report.formatting import decimals, number
from lrcycles.report.rendering import numeric_columns, prose
from lrcycles.report.section import Table, Tone, VerdictCell
from tests.report.conftest import build_report
from tests.report_inputs import schedule_arms

STYLE = (Path(__file__).parents[2] / "src/lrcycles/report/templates/page.css").read_text()
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page, each with its attributes and the elements around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str], list[tuple[str, dict[str, str]]]]] = []
        self.texts: list[tuple[str, list[tuple[str, dict[str, str]]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given, list(self.open)))
        if tag not in VOID:
            self.open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        closed, _ = self.open.pop()
        assert closed == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1][0] not in ("style", "script"):
            self.texts.append((data, list(self.open)))

    def of(self, tag: str) -> list[tuple[dict[str, str], list[tuple[str, dict[str, str]]]]]:
        return [(attributes, around) for name, attributes, around in self.elements if name == tag]

    def within(self, tag: str) -> list[str]:
        """The texts inside elements with that tag."""
        return [text for text, around in self.texts if any(name == tag for name, _ in around)]


@pytest.fixture(scope="module")
def pages(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports with few arms and with many."""
    arms = schedule_arms()
    for place in range(1, 5):
        arms[f"rate_{place}"] = {**arms["baseline"], "group": "controls", "base_lr": place * 1e-5}
    for arm in arms.values():
        arm["errors"] = {seed: arm["errors"][seed] for seed in range(2)}
    many = build_report(tmp_path_factory.mktemp("many"), arms)
    return {"few": built, "many": many}


@pytest.fixture(scope="module")
def page(built: Path) -> Page:
    return Page((built / "report.html").read_text())


def test_the_contents_name_every_section_in_its_order(page):
    targets = [attributes["href"] for attributes, around in page.of("a") if around[-1][0] == "li"]
    sections = [attributes["id"] for attributes, _ in page.of("section")]
    assert targets == [f"#{anchor}" for anchor in sections]
    named = [text for text in page.within("nav") if text != "Show all"]
    assert named == page.within("h2")


def test_the_answer_and_the_cautions_are_open_and_all_other_sections_are_folded(page):
    folds = [
        (around[-1][1]["id"], attributes)
        for attributes, around in page.of("details")
        if around[-1][0] == "section" and around[-1][1]["class"] == "folded"
    ]
    sections = [attributes["id"] for attributes, _ in page.of("section")]
    assert sections[:2] == ["summary", "warnings"]
    assert [anchor for anchor, _ in folds] == sections[2:]
    assert not any("open" in attributes for _, attributes in folds)
    in_summaries = [around[-1][0] for _, around in page.of("h2") if around[-2][0] == "details"]
    assert in_summaries == ["summary"] * len(folds)  # which a keyboard can reach and open


def test_every_folded_section_says_what_it_holds(page):
    folded = [given for given, _ in page.of("section") if given["class"] == "folded"]
    notes = [text for text, around in page.texts if around[-2][0] == "summary"]
    assert len([text for text in notes if text.endswith(".")]) == len(folded) > 8


@pytest.mark.parametrize("arms", ["few", "many"])
def test_every_table_is_inside_a_named_region_that_scrolls(pages, arms):
    tables = Page((pages[arms] / "report.html").read_text()).of("table")
    assert len(tables) > 8
    for attributes, around in tables:
        region = around[-1][1]
        assert region["class"] == "scroll"
        assert region["tabindex"] == "0"  # or a keyboard cannot scroll it
        assert region["aria-label"].startswith("Table: ")
        assert attributes["class"].split()[1] in ("stack", "grid", "pairs")


def test_on_a_phone_every_value_of_a_stacked_table_has_the_name_of_its_column(page):
    cells = [(attributes, around) for attributes, around in page.of("td") if _of(around, "stack")]
    assert len(cells) > 50
    assert all(attributes["data-label"] for attributes, _ in cells)


def _of(around: list[tuple[str, dict[str, str]]], kind: str) -> bool:
    return any(name == "table" and kind in given["class"].split() for name, given in around)


def test_every_figure_has_a_description_a_size_and_a_numbered_caption(page):
    images = page.of("img")
    assert all(len(attributes["alt"]) > 20 for attributes, _ in images)
    assert {attributes["width"] for attributes, _ in images} == {"768"}
    assert all(int(attributes["height"]) > 100 for attributes, _ in images)
    captions = page.within("figcaption")
    assert captions[::2] == [f"Figure {place}." for place in range(1, len(images) + 1)]
    assert all(text.strip().endswith(".") for text in captions[1::2])


@pytest.mark.parametrize(("arms", "file"), product(["few", "many"], ["report.html", "report.md"]))
def test_every_number_has_one_format(pages, arms, file):
    text = (pages[arms] / file).read_text()
    if file == "report.html":
        text = "\n".join(data for data, _ in Page(text).texts)
    else:
        text = re.sub(r"\(figures/|\w+\.csv|--+:?", " ", text)
    assert not re.findall(r"(?<![\w.])[-\N{MINUS SIGN}+]?\.\d+", text)  # .008
    assert not re.findall(r"(?<=[\s(|])[-+]\d[\d.]*", text)  # a hyphen for a minus, or a plus
    assert not re.findall(r"\N{MINUS SIGN}0(?:\.0+)?(?![\d.])", text)  # -0.00
    counts = r"(?<![\w.,:/-])\d{4,}(?= (?:steps|images|updates|seeds|runs|pairs)\b)"
    assert not re.findall(counts, text.replace("\N{NO-BREAK SPACE}", " "))


@pytest.mark.parametrize("arms", ["few", "many"])
def test_no_line_breaks_within_a_number(pages, arms):
    texts = Page((pages[arms] / "report.html").read_text()).texts
    for text, around in texts:
        assert not re.search(
            r"\d (?:%|±|s\b|ms\b|percentage|seeds?\b|pairs?\b)|± \d|= \d|\d to \d", text
        )
        if re.search(r"\de-\d", text):
            assert around[-1][1] == {"class": "whole"}
    assert ".whole { white-space: nowrap; }" in STYLE
    assert ".num { text-align: right; white-space: nowrap; }" in STYLE


def test_prose_keeps_a_number_with_its_sign_unit_and_interval():
    text = prose("It is 1.5 ± 0.2 % (0.1 to \u22120.3, p < 0.001, n = 8) of 1 to many <b>")
    assert text.replace("\u00a0", "_") == (
        "It is 1.5_±_0.2_% (0.1_to_\u22120.3, p &lt;_0.001, n_=_8) of 1 to many &lt;b&gt;"
    )


def test_a_digest_may_hold_what_looks_like_a_number():
    digest = f"{'ab' * 20}8e667ba"
    assert prose(digest) == f'<span class="digest">{digest}</span>'


def test_columns_of_single_numbers_are_aligned_as_numbers():
    verdict = VerdictCell("better", Tone.GOOD)
    rows = [
        ["1", "1,200", "> 3.10", "0.1 to 0.2", verdict],
        ["2", "none", "\u22120.5", "0.3", verdict],
    ]
    assert numeric_columns(Table(["", "a", "b", "c", "d"], rows)) == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_median_interval_decides_the_decimals():
    assert decimals([(1.0, 1.05), (1.0, 1.04), (0.0, 30.0)], 2) == 3
    assert decimals([(5.0, 5.0), None], 2) == 2
    assert [number(value, 1) for value in (-0.04, -0.06, 12345.6)] == [
        "0.0",
        "\u22120.1",
        "12,345.6",
    ]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(scheme):
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", STYLE.split(":root {")[scheme + 1]))
    texts = ("text", "quiet", "link", "good", "bad")
    for text, ground in product(texts, ("ground", "soft", "warn")):
        light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_nothing_moves_for_readers_who_want_no_motion():
    moving = re.findall(r"[^\n]*(?:scroll-behavior|transition|animation)[^\n]*", STYLE)
    assert moving
    assert all("prefers-reduced-motion: no-preference" in line for line in moving)


@pytest.mark.browser
@pytest.mark.parametrize(("arms", "width"), [("few", 1200), ("many", 390)])
def test_the_page_fits_the_window_in_light_and_dark_and_loads_nothing(browser, pages, arms, width):
    complaints: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((pages[arms] / "report.html").resolve().as_uri())
    figure = page.evaluate("document.querySelector('#summary img').getBoundingClientRect().top")
    page.click("#fold")
    assert page.eval_on_selector_all("details:not([open])", "all => all.length") == 0
    sizes = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    wide = page.eval_on_selector_all(
        ".scroll:not(:has(.grid))",
        "all => all.filter(one => one.scrollWidth > one.clientWidth).length",
    )
    context.close()
    assert figure < (400 if width == 1200 else 700)  # a good part of it is on the first screen
    assert wide == 0  # only tables of many numbers scroll
    assert min(sizes) > 0
    assert grounds == ["rgb(255, 255, 255)", "rgb(23, 23, 23)"]
    assert not complaints


@pytest.mark.browser
def test_on_paper_everything_is_shown_and_nothing_is_cut_off(browser, pages):
    page = browser.new_page(viewport={"width": 703, "height": 1000})  # A4 within its margins
    page.goto((pages["many"] / "report.html").resolve().as_uri())
    page.emulate_media(media="print")
    closed = "document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(closed)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown = page.evaluate(closed)
    cut = page.eval_on_selector_all(
        "table, img",
        "all => all.filter(one => one.getBoundingClientRect().right > innerWidth).length",
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    after = page.evaluate(closed)
    page.close()
    assert (before, shown, after) == (before, 0, before)
    assert before > 8
    assert cut == 0


@pytest.mark.browser
def test_a_link_of_the_contents_opens_its_section_and_a_click_on_a_head_sorts(browser, built):
    page = browser.new_page()
    page.goto((built / "report.html").resolve().as_uri() + "#bounds")
    assert page.is_visible("#figure-bounds")
    assert not page.is_visible("#figure-errors")
    page.focus("nav a[href='#controlled']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#figure-errors")
    table = page.locator("table", has=page.locator("th", has_text="run ends")).first
    orders = []
    for _ in range(2):
        table.locator("thead th", has_text="test error").click()
        shown = table.locator("tbody td:nth-child(2)").all_inner_texts()
        orders.append([float(text.split()[0]) for text in shown])
    page.close()
    assert orders[0] == sorted(orders[0])
    assert orders[1] == orders[0][::-1]
    assert len(orders[0]) > 1
