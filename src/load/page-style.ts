/** The look of the page, light or dark as the reader has it. Step colours differ in brightness too. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --grid: #d9dee3;
  --good: #116329; --bad: #b3141d;
  --add: #0b6bcb; --wait: #c2410c; --claim: #6d28d9; --started: #a16207; --completed: #0f766e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e6e9ed; --faint: #9aa4af; --grid: #333b44;
    --good: #57c878; --bad: #ff7b72;
    --add: #6cb6ff; --wait: #ff9a57; --claim: #c4a1ff; --started: #e3c04f; --completed: #4fd1c0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 2rem 0 0.5rem; font-size: 1.1rem; }
p { margin: 0.25rem 0; overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td {
  padding: 0.3rem 0.8rem; border-bottom: 1px solid var(--grid); text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
th { color: var(--faint); font-weight: 500; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
td.text { text-align: left; white-space: normal; }
.plots { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem 2rem; }
@media (min-width: 60rem) { .plots { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.uplot, .u-legend { font-family: inherit !important; }
.u-legend { font-size: 0.8rem; }
.u-legend th, .u-legend td { border: 0; padding: 0.1rem 0.2rem; }
.u-select { background: color-mix(in srgb, var(--ink) 12%, transparent) !important; }
.u-cursor-x, .u-cursor-y { border-color: var(--faint) !important; }
`
