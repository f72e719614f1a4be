/* What takes the focus and does not show it, after WCAG 2.2, 2.4.7. The last input was a key. */
() => {
  const complaints = [];
  const reached = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const looks = (element) => {
    const style = getComputedStyle(element);
    return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor].join(" ");
  };
  for (const each of document.querySelectorAll(reached)) {
    if (!each.checkVisibility({ checkVisibilityCSS: true }) || each.disabled) continue;
    each.blur();
    const before = looks(each);
    each.focus({ preventScroll: true });
    if (document.activeElement === each && looks(each) === before) {
      complaints.push("no sign of the focus: " + each.outerHTML.slice(0, 120));
    }
    each.blur();
  }
  return complaints;
}
