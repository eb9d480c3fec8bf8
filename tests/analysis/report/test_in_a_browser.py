"""The page in a real Chromium: no errors, no network, and all of it works by mouse, keyboard and on a phone."""

from pathlib import Path

import pytest


@pytest.fixture
def opened(chromium, page):
    """Open the page; in the end there must have been no error and no request."""
    contexts, troubles = [], []

    def open_(**options):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
        tab.goto(page.as_uri())
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []


def chart(tab, budget, backend):
    found = tab.locator(f'.chart[data-map="MMM2"][data-budget="{budget}"][data-backend="{backend}"]')
    found.scroll_into_view_if_needed()
    found.locator("canvas").wait_for()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_sideways_and_curves_are_drawn(opened, width, scheme):
    tab = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    chart(tab, "paper", "embedded")
    painted = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0)"
    assert tab.locator(".chart canvas").first.evaluate(painted)


def test_curves_are_filtered_by_backend_and_algorithm(opened):
    tab = opened()
    form = tab.locator("#curve-filters")
    form.get_by_label("Backend").select_option("starcraft")
    assert tab.locator(".chart:visible").count() == 1
    form.get_by_label("Backend").select_option("")
    form.get_by_label("MACPF", exact=True).uncheck()
    assert tab.locator('.legend li[data-algo="macpf"]:visible').count() == 0
    assert tab.locator('.legend li[data-algo="qmix"]:visible').count() > 0
    form.get_by_label("MACPF", exact=True).check()
    form.get_by_label("Policies of MACPF").select_option("dependent")
    assert tab.locator('.legend li[data-algo="macpf"][data-policy="independent"]:visible').count() == 0


def test_single_seeds_are_drawn_on_demand(opened):
    tab = opened()
    chart(tab, "paper", "embedded")
    drawn = "[...curves.drawn.values()][0].u.series.filter(({ show, width }) => show && width === 0.7).length"
    assert tab.evaluate(drawn) == 0
    tab.get_by_label("Single seeds").check()
    assert tab.evaluate(drawn) == 6  # two of QMIX, two of each policy of MACPF
    tab.get_by_label("MACPF", exact=True).uncheck()
    assert tab.evaluate(drawn) == 2


def test_losses_stand_in_the_place_of_scores_and_go_again(opened):
    tab = opened()
    found = chart(tab, "paper", "embedded")
    found.locator(".shown").select_option("loss td")
    found.locator(".plot").focus()
    tab.keyboard.press("Home")
    assert "env step 100: QMIX 2 ± 0, 2 seeds, MACPF 2 ± 0, 2 seeds" in found.get_by_role("status").inner_text()
    assert found.locator('li[data-method="MACPF_DEP"]:visible').count() == 0
    found.locator(".shown").select_option("")
    found.locator(".plot").focus()
    tab.keyboard.press("Home")
    assert "env step 0: QMIX 0 ± 0, 2 seeds" in found.get_by_role("status").inner_text()
    assert found.locator('li[data-method="MACPF_DEP"]:visible').count() == 1


AUDIT = (Path(__file__).parent / "audit.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_all_texts_are_dark_enough_and_all_that_scrolls_is_reached_by_keyboard(opened, width, scheme):
    tab = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate(AUDIT) == {"pale": [], "unreachable": []}
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_a_chart_is_read_and_zoomed_by_keyboard(opened):
    tab = opened()
    found = chart(tab, "paper", "embedded")
    found.locator(".plot").focus()
    tab.keyboard.press("Home")
    assert "env step 0: QMIX 0 ± 0, 2 seeds" in found.get_by_role("status").inner_text()
    tab.keyboard.press("ArrowRight")
    assert "env step 100" in found.get_by_role("status").inner_text()
    assert found.locator(".at").inner_text() == "at env step 100"
    width = "curves.drawn.get(document.activeElement.closest('.chart')).u.scales.x"
    whole = tab.evaluate(f"{width}.max - {width}.min")
    tab.keyboard.press("+")
    tab.wait_for_function(f"{width}.max - {width}.min < {whole}")
    tab.keyboard.press("0")
    tab.wait_for_function(f"{width}.max - {width}.min === {whole}")


def test_a_chart_is_zoomed_by_dragging(opened):
    tab = opened()
    box = chart(tab, "paper", "embedded").locator(".u-over").bounding_box()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 50, steps=5)
    tab.mouse.up()
    tab.wait_for_function("[...curves.drawn.values()].some(chart => chart.u.scales.x.min > 100)")


def test_claims_are_filtered_by_verdict(opened):
    tab = opened()
    rows = tab.locator("#claims-1 tbody tr:visible")
    before = rows.count()
    tab.get_by_label("Paper's numbers").first.select_option("contradicted")
    assert 0 < rows.count() < before


def test_runs_are_sorted_and_searched(opened):
    tab = opened()
    rows = tab.locator("#run-table tbody tr:visible")
    header = tab.get_by_role("columnheader", name="wall time")
    header.get_by_role("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").press("Enter")
    assert "5:00" in rows.first.inner_text()
    tab.get_by_label("Search").fill("5c5c5c5c")
    assert rows.count() == 1


def test_the_first_stop_of_the_keyboard_skips_the_contents_and_focus_is_seen(opened):
    tab = opened()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_whoever_asked_for_less_motion_gets_still_pictures(opened):
    tab = opened(reduced_motion="reduce")
    tab.get_by_role("button", name="Play").wait_for()
    assert tab.locator(".pictures img:visible").count() == 0
    tab.get_by_role("button", name="Play").click()
    assert tab.locator(".pictures img:visible").count() == 1


def test_without_scripts_all_is_there_as_text_and_tables(opened):
    tab = opened(java_script_enabled=False)
    assert tab.locator(".filters:visible").count() == 0
    tab.locator(".chart summary").first.click()
    assert tab.locator(".chart details table").first.is_visible()
    assert tab.locator("#run-table tbody tr").count() == 7


def test_it_prints_every_curve_also_those_that_were_never_in_view(opened):
    tab = opened(color_scheme="dark", viewport={"width": 800, "height": 300})
    assert tab.evaluate("curves.drawn.size") == 0
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    # Axes and grid are grey; what has a colour is a curve.
    coloured = """canvas => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) {
        const rgb = data.slice(i, i + 3);
        if (data[i + 3] === 255 && Math.max(...rgb) - Math.min(...rgb) > 60) return true;
      }
      return false;
    }"""
    canvases = tab.locator(".chart canvas").all()
    assert len(canvases) == tab.locator(".chart").count() > 0
    assert all(canvas.evaluate(coloured) for canvas in canvases)
    assert tab.pdf().startswith(b"%PDF")
