"""What a browser can say of a page: its layout, where the focus is, and what axe-core finds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.sync_api import Error, Locator, Page

#: Our part of Airflow's page, and what is shown over it.
OURS: Final = (".asyncapi-page", "[role=alertdialog]", "[role=menu]")
_AXE: Final = Path(__file__).resolve().parents[3] / "node_modules" / "axe-core" / "axe.min.js"

_FIND_VIOLATIONS: Final = """
async (selectors) => {
  const moving = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime !== Infinity);
  await Promise.all(moving.map(({ finished }) => finished.catch(() => {})));
  const include = selectors.filter((each) => document.querySelector(each) !== null).map((each) => [each]);
  const { passes, violations } = await axe.run({ include });
  if (!passes.some(({ id }) => id === "color-contrast")) {
    return ["axe-core hasn't looked at the page"];
  }
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ failureSummary, html, target }) => `${id} at ${target.join(" ")}: ${failureSummary} ${html}`));
}
"""

# Text that a row shows in part until it is pressed is no fault, nor is a break within what no column could hold.
_FIND_FAULTS: Final = """
(root) => {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push("the page scrolls sideways");
  }
  for (const element of [root, ...root.querySelectorAll("*")]) {
    const { left, right, width } = element.getBoundingClientRect();
    const name = `${element.tagName} ${element.textContent.slice(0, 60)}`;
    if (width > 1 && (left < 0 || right > innerWidth + 1)) {
      faults.push(`${name} is outside of the window`);
    }
    const hasRoom = element.scrollWidth <= element.clientWidth + 1;
    if (width > 1 && !hasRoom && getComputedStyle(element).overflowX !== "visible") {
      faults.push(`${name} is ${element.scrollWidth} wide, in ${element.clientWidth}`);
    }
  }
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("option, pre")) {
      continue;
    }
    for (const { 0: word, index } of text.data.matchAll(/[^\\s._\\-/:+]+[._\\-/:+]*/g)) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      const boxes = [...range.getClientRects()];
      const cell = text.parentElement.closest("td, th")?.getBoundingClientRect() ?? { left: 0, right: innerWidth };
      if (boxes.some(({ left, right, width }) => width > 1 && (left < cell.left - 1 || right > cell.right + 1))) {
        faults.push(`${word} sticks out of its column`);
      }
      const lines = new Set(boxes.map(({ top }) => Math.round(top)));
      if (lines.size > 1 && word.length <= 30) {
        faults.push(`${word} is broken`);
      }
    }
  }
  return faults;
}
"""

_HAS_VISIBLE_FOCUS: Final = """
(element) => {
  // The focus of a box is drawn around what replaces it.
  return [element, ...(element.closest("label")?.querySelectorAll("*") ?? [])].some((each) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(each);
    return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  });
}
"""


def find_violations(page: Page) -> list[str]:
    """List what axe-core finds wrong with our part of the page, once nothing moves."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(_AXE.read_text("utf-8"))
    found: list[str] = page.evaluate(_FIND_VIOLATIONS, list(OURS))
    return found


def find_faults(page: Page) -> list[str]:
    """List what is cut or broken, or has to be scrolled sideways, once the page has got used to its width."""
    root = page.locator(OURS[0])
    try:
        page.wait_for_function(
            f"() => ({_FIND_FAULTS})(document.querySelector('{OURS[0]}')).length === 0", timeout=5000
        )
    except Error:
        found: list[str] = root.evaluate(_FIND_FAULTS)
        return found
    return []


def tab_to(page: Page, target: Locator) -> None:
    """Press the tabulator key until the focus is on an element, and check that the user sees it there."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate(_HAS_VISIBLE_FOCUS), f"the focus isn't visible on {target}"
            return
    raise AssertionError(f"the tabulator key doesn't reach {target}")
