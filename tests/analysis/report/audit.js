// Texts that are too pale for what lies below them, and what scrolls but cannot be reached by keyboard: the rules
// color-contrast and scrollable-region-focusable of axe.
() => {
  const ink = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    ink.clearRect(0, 0, 1, 1);
    ink.fillStyle = colour;
    ink.fillRect(0, 0, 1, 1);
    return [...ink.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const below = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba("white");
  };
  const pale = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("script, style, option, .unseen, .skip")) continue;
    const [high, low] = [light(rgba(getComputedStyle(element).color)), light(below(element))].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) pale.push(text);
  }
  const scrolls = (e) =>
    (/auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth) ||
    (/auto|scroll/.test(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight);
  const unreachable = [...document.querySelectorAll("body *")]
    .filter((e) => scrolls(e) && e.tabIndex < 0 && !e.querySelector("a, button, [tabindex]"))
    .map((e) => e.outerHTML.slice(0, 80));
  return { pale, unreachable };
}
