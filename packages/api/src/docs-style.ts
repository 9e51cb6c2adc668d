/** Style sheet of `/docs` and `/docs/errors`; inline, so that a page needs nothing else. */
export const docsStyle = `
:root { color-scheme: light dark;
  --ground: light-dark(#fbfbfa, #131416); --panel: light-dark(#ffffff, #1b1d20); --code: light-dark(#f1f1ee, #0e0f11);
  --text: light-dark(#1b1c1e, #e6e6e3); --quiet: light-dark(#5c5f63, #a0a3a8); --line: light-dark(#dcdcd8, #303338);
  --accent: light-dark(#0b57a4, #7db5f2); --good: light-dark(#1a6b3c, #74cf9a); --bad: light-dark(#a32020, #f29a92);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
* { box-sizing: border-box }
html { scroll-padding-top: 4.5rem }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 var(--sans); overflow-wrap: break-word }
a { color: var(--accent); text-underline-offset: 2px }
code, pre, textarea, input, select { font-family: var(--mono); font-size: .875em }
code { background: var(--code); padding: .1em .3em; border-radius: 3px }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.skip { position: absolute; left: -100vw } .skip:focus { left: 1rem; top: 1rem; background: var(--panel); padding: .5rem; z-index: 3 }
header.bar { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; padding: .6rem 1.25rem; background: var(--panel); border-bottom: 1px solid var(--line) }
header.bar strong { margin-right: auto; font-size: 1.05rem }
header.bar label { display: flex; gap: .5rem; align-items: center; font-size: .875rem; color: var(--quiet) }
header.bar input { width: min(22rem, 55vw) }
input, textarea, select { width: 100%; padding: .45rem .55rem; border: 1px solid var(--line); border-radius: 4px; background: var(--ground); color: var(--text); min-height: 2.25rem }
textarea { resize: vertical; line-height: 1.45 }
button { font: 600 .875rem/1 var(--sans); padding: .65rem .9rem; border-radius: 4px; border: 1px solid var(--accent); background: var(--accent); color: var(--ground); cursor: pointer; min-height: 2.25rem }
button.plain { background: none; color: var(--accent); border-color: var(--line); font-weight: 500; padding: .4rem .6rem; min-height: 1.75rem }
button:disabled { opacity: .55; cursor: default }
.layout { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 84rem; margin: 0 auto }
nav.side { position: sticky; top: 3.6rem; align-self: start; max-height: calc(100vh - 3.6rem); overflow-y: auto; padding: 1.25rem 1rem 2rem 1.25rem; font-size: .875rem }
nav.side h2 { font-size: .75rem; font-weight: 600; color: var(--quiet); margin: 1.1rem 0 .3rem }
nav.side ul { list-style: none; margin: 0; padding: 0 }
nav.side a { display: flex; gap: .5rem; padding: .25rem .4rem; border-radius: 4px; color: inherit; text-decoration: none }
nav.side a:hover { background: var(--code) }
nav.side summary { display: none }
main { padding: 1.5rem 1.5rem 6rem; min-width: 0 }
main > .intro { max-width: 46rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem } h2.group { font-size: 1.3rem; margin: 3rem 0 .25rem } h3 { font-size: 1.1rem; margin: 0 } h4 { font-size: .875rem; margin: 1.4rem 0 .4rem }
p { margin: .5rem 0 } .quiet { color: var(--quiet) }
article { border-top: 1px solid var(--line); padding: 1.5rem 0 2rem; display: grid; grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); gap: 0 2rem }
article > header, article > .wide { grid-column: 1 / -1 }
.path { font-family: var(--mono); font-size: .9rem; margin: .25rem 0; overflow-wrap: anywhere }
.method { font: 600 .7rem/1.6 var(--mono); min-width: 3.4rem; color: var(--quiet) }
.path .method { color: var(--accent); font-size: .85rem; margin-right: .4rem }
.facts { font-size: .875rem; color: var(--quiet) }
.fields { margin: 0; border-top: 1px solid var(--line) }
.fields > div { padding: .5rem 0; border-bottom: 1px solid var(--line) }
.fields dt { display: flex; flex-wrap: wrap; gap: .15rem .6rem; align-items: baseline; font-size: .875rem }
.fields dt b { font-family: var(--mono); font-weight: 600 } .fields dt span { color: var(--quiet) }
.fields dd { margin: .1rem 0 0; font-size: .875rem }
.fields .fields { margin: .4rem 0 0 .2rem; padding-left: .8rem; border-left: 2px solid var(--line); border-top: 0 } .fields .fields > div:last-child { border-bottom: 0 }
.required { color: var(--bad) !important }
pre { margin: 0; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code); border: 1px solid var(--line); border-radius: 4px; overflow: auto; max-height: 26rem; line-height: 1.5 }
pre code { background: none; padding: 0; font-size: inherit }
.sample { position: relative; margin-bottom: .25rem } .sample > button { position: absolute; top: .4rem; right: .4rem; background: var(--panel) } h4 + .sample > button { top: -2.1rem; right: 0 } article > div > h4:first-child { margin-top: .6rem }
details > summary { cursor: pointer; font-size: .875rem; font-weight: 600; padding: .5rem 0 }
.errors-list { list-style: none; margin: 0; padding: 0; font-size: .875rem } .errors-list li { padding: .2rem 0; display: grid; grid-template-columns: 2.5rem minmax(0, 1fr); gap: .25rem }
details.wide > summary { width: max-content; color: var(--accent) } details.wide[open] { margin-bottom: 1rem }
form.try { border: 1px solid var(--line); border-radius: 6px; background: var(--panel); padding: .25rem 1rem 1rem; display: grid; gap: .75rem }
form.try label { display: grid; gap: .25rem; font-size: .875rem }
form.try .row { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap }
.answer { display: grid; gap: .5rem } .answer .line { font-size: .875rem; margin: 0 }
.ok { color: var(--good); font-weight: 600 } .no { color: var(--bad); font-weight: 600 }
main.errors { max-width: 48rem; margin: 0 auto } .problem { border-top: 1px solid var(--line); padding: 1rem 0 } .problem h2 { font: 600 1rem/1.4 var(--mono); margin: 0 } .problem h2 a { color: inherit; text-decoration: none } .problem:target { background: var(--panel); box-shadow: -.75rem 0 0 var(--panel), -1rem 0 0 var(--accent) }
.problem dl { display: grid; grid-template-columns: 4rem minmax(0, 1fr); gap: .25rem; margin: .5rem 0 0 } .problem dt { color: var(--quiet) } .problem dd { margin: 0 } .status { font-family: var(--mono) } .tag { border: 1px solid var(--line); border-radius: 3px; padding: 0 .35rem; font-size: .8rem; white-space: nowrap }
@media (max-width: 60rem) {
  .layout { grid-template-columns: minmax(0, 1fr) } article { grid-template-columns: minmax(0, 1fr) }
  nav.side { position: static; max-height: none; padding: .25rem 1rem; border-bottom: 1px solid var(--line) } nav.side summary { display: list-item }
  nav.side a { padding: .4rem } main { padding: 1.25rem 1rem 5rem } header.bar { padding: .6rem 1rem } header.bar label { width: 100% } header.bar input { flex: 1; width: auto }
}
@media (min-width: 60.01rem) { nav.side details:not([open]) > div { display: block } nav.side details::details-content { content-visibility: visible; display: block } }
@media (forced-colors: active) { .problem:target { outline: 2px solid } }
`
