/** Beside the page, since its hash is what the Content-Security-Policy allows. */
export const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2230; --faint: #566073; --line: #e1e5eb;
  --soft: #f4f6f8; --accent: #1f5fae; --good: #12723d; --bad: #b42331; --change: #8a5300 }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1216; --ink: #e6e9ee; --faint: #9aa4b4;
  --line: #272d36; --soft: #171b21; --accent: #7fb2f5; --good: #5fd08a; --bad: #ff8b8f;
  --change: #e5ad5c } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; display: grid; grid-template-columns: 20.5rem minmax(0, 1fr); background: var(--ground);
  color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: .5rem 1rem 2rem;
  border-right: 1px solid var(--line); background: var(--soft) }
nav a { display: grid; grid-template-columns: 3.1rem 1fr; align-items: baseline; padding: .15rem .4rem;
  border-radius: 4px; font-size: 13px; overflow-wrap: anywhere; color: inherit; text-decoration: none }
nav a.shape { display: block }
nav a:hover { background: var(--line) }
nav h2 { margin: 1.1rem 0 .25rem; padding: 0 .4rem; font-size: 12px; font-weight: 600;
  color: var(--faint) }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 2px }
.skip { position: absolute; left: -100rem }
.skip:focus { left: 1rem; top: 1rem; z-index: 1; padding: .5rem 1rem; background: var(--ground) }
main { padding: 1.5rem 2.5rem 8rem; max-width: 60rem }
h1 { margin: 0; font-size: 1.6rem }
main > h2 { margin: 3.5rem 0 .5rem; font-size: 1.3rem }
section { border-top: 1px solid var(--line); padding: 1.25rem 0 1.75rem }
section:target h3 { color: var(--accent) }
a { color: var(--accent) }
h3 { margin: 0; font-size: 1.1rem }
h4 { margin: 1.4rem 0 .35rem; font-size: 13px; color: var(--faint) }
p { margin: .5rem 0 }
.route { margin: .35rem 0 .75rem }
.route code { font-size: 14px; overflow-wrap: anywhere }
code, pre { font: 13px/1.5 ui-monospace, monospace }
p code, td code { padding: .05rem .25rem; border-radius: 4px; background: var(--soft) }
.route code, small code { padding: 0; background: none }
pre { margin: .35rem 0; background: var(--soft); border: 1px solid var(--line); padding: .75rem;
  white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .45rem 1rem .45rem 0;
  border-top: 1px solid var(--line); font-weight: normal }
tbody tr:last-child > * { border-bottom: 1px solid var(--line) }
th { width: 15rem; overflow-wrap: anywhere }
td p { margin: 0 }
small { font-size: 13px; color: var(--faint) }
.required { display: block; color: var(--change) }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
summary { cursor: pointer; padding: .2rem 0 }
summary code { font-size: 12px; color: var(--faint) }
details > :not(summary) { margin-left: 1rem }
.good { color: var(--good) }
.bad { color: var(--bad) }
.method { font: 600 11px ui-monospace, monospace; color: var(--accent) }
.method.post { color: var(--good) }
.method.patch { color: var(--change) }
.method.delete { color: var(--bad) }
.route .method { font-size: 13px }
@media (max-width: 50rem) {
  body { display: block }
  nav { position: static; height: auto; max-height: 45vh; border-right: 0;
    border-bottom: 1px solid var(--line) }
  main { padding: 1rem 1rem 4rem }
  th, td { display: block; width: auto; padding-right: 0 }
  th { padding-bottom: .1rem }
  td { border: 0; padding-top: 0 }
  tbody tr:last-child > th { border-bottom: 0 }
  .required { display: inline; margin-left: .5rem }
}
`
