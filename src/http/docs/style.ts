/** Beside the page, since its hash is what the Content-Security-Policy allows. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb }
@media (prefers-color-scheme: dark) { :root { --accent: #7aa7ff } }
* { box-sizing: border-box }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr);
  font: 15px/1.5 system-ui, sans-serif }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem;
  border-right: 1px solid var(--line) }
nav a { display: block; padding: .1rem 0; font-size: 13px; overflow-wrap: anywhere; color: inherit;
  text-decoration: none }
nav a:hover, nav a:focus-visible { text-decoration: underline }
nav h2 { font-size: 13px; margin: 1rem 0 .25rem; opacity: .7 }
main { padding: 1rem 2rem 6rem; max-width: 62rem }
section { border-top: 1px solid var(--line); padding: .5rem 0 1rem; scroll-margin-top: 1rem }
section:target { border-top-color: var(--accent) }
a { color: var(--accent) }
h3 { font-size: 1.05rem }
h4 { margin: 1rem 0 .25rem; font-size: 13px; opacity: .7 }
p { margin: .4rem 0 }
code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow: auto; border-radius: 6px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
  border-top: 1px solid var(--line); font-weight: normal }
th { width: 16rem; overflow-wrap: anywhere }
td p { margin: 0; opacity: .8 }
abbr { color: var(--accent); text-decoration: none }
summary { cursor: pointer; padding: .15rem 0 }
details > :not(summary) { margin-left: 1rem }
.method { font: 600 11px ui-monospace, monospace; color: var(--accent) }
@media (max-width: 50rem) {
  body { display: block }
  nav { position: static; height: auto; max-height: 40vh; border-right: 0;
    border-bottom: 1px solid var(--line) }
  main { padding: 1rem }
  th { width: 45% }
}
`
