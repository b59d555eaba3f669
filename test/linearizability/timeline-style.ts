/** Light, quiet, and nothing from elsewhere. `--s`: pixels a millisecond; `--x`, `--w`: milliseconds; `--lane`: number. */
export const timelineStyle = `
:root { --s: 1; --name: 7rem; --lane-height: 22px; color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; color: #1c2430; background: #fff;
  display: flex; flex-direction: column; height: 100vh; }
header { padding: 12px 16px 8px; }
h1 { font-size: 17px; margin: 0 0 2px; }
h2 { font-size: 15px; margin: 0 0 6px; }
p { margin: 2px 0; overflow-wrap: anywhere; }
.good { color: #1a7f4b; }
.bad strong, strong.bad { color: #b3261e; }
.controls { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
button { font: inherit; padding: 2px 10px; border: 1px solid #c3cad5; border-radius: 5px; background: #f6f8fa; cursor: pointer; }
button:hover { background: #e9edf3; }
.hint { color: #66707f; font-size: 12px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px; font-size: 12px; }
.sample { border-radius: 3px; padding: 0 8px; border: 1px solid; background: var(--fill); border-color: var(--line); }
main { flex: 1 1 320px; min-height: 160px; overflow: auto; border-block: 1px solid #dfe4ea; outline: none; }
#chart { position: relative; width: calc(var(--span) * var(--s) * 1px + var(--name) + 40px); min-width: 100%;
  min-height: 100%; }
.row { position: relative; display: flex; border-bottom: 1px solid #eef1f5; min-height: calc(var(--lanes, 1) * var(--lane-height) + 6px); }
.name { position: sticky; left: 0; z-index: 4; flex: 0 0 var(--name); padding: 3px 8px 0; background: #fff;
  border-right: 1px solid #dfe4ea; font-size: 12px; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; flex: 1; }
#axis { position: sticky; top: 0; z-index: 5; background: #fff; height: 24px; border-bottom: 1px solid #dfe4ea; }
#axis .tick { position: absolute; top: 0; height: 24px; padding-left: 4px; border-left: 1px solid #c3cad5;
  color: #66707f; font-size: 11px; white-space: nowrap; }
.bar, .fault { position: absolute; top: calc(3px + var(--lane) * var(--lane-height)); height: 18px;
  left: calc(var(--x) * var(--s) * 1px); width: max(calc(var(--w) * var(--s) * 1px), 3px);
  overflow: clip; white-space: nowrap; font-size: 11px; line-height: 16px; border-radius: 3px; }
.bar { z-index: 2; contain: strict; padding-left: 3px; border: 1px solid var(--line); background: var(--fill); cursor: default; }
.bar:hover, .bar.kept { z-index: 3; outline: 2px solid #1c2430; }
.get { --fill: #dcebfb; --line: #7fb0e2; }
.put { --fill: #d9f2e1; --line: #6dbb8a; }
.append { --fill: #e3f0c8; --line: #9dbb52; }
.delete { --fill: #fbe3cf; --line: #dd9a5c; }
.list { --fill: #e8e0f8; --line: #a18bd6; }
.refused { --fill: #eceff3; --line: #a7b0bd; }
.open { border-style: dashed; border-right: 0; z-index: 1;
  background: linear-gradient(90deg, var(--fill), color-mix(in srgb, var(--fill) 35%, transparent) min(100%, 240px), transparent); }
.bar.open { mask-image: linear-gradient(90deg, #000, #000 min(40%, 160px), rgb(0 0 0 / 25%) min(80%, 480px), rgb(0 0 0 / 8%)); }
.bar.other { opacity: .45; }
.only-key .bar.other { display: none; }
.bar.bad { border: 2px solid #b3261e; line-height: 14px; font-weight: 600; color: #1c2430; z-index: 3; }
.bar.culprit { background: #ffd9d5; }
.bar.get.open { min-width: 28px; }
.fault span { position: sticky; left: calc(var(--name) + 4px); }
.faults { background: #fafbfc; }
.fault { padding-left: 4px; line-height: 18px; background: hsl(var(--hue) 70% 86%); color: hsl(var(--hue) 60% 22%); }
#bands { position: absolute; inset: 24px 0 0 var(--name); pointer-events: none; }
.band, #window { position: absolute; top: 0; bottom: 0; left: calc(var(--x) * var(--s) * 1px);
  width: max(calc(var(--w) * var(--s) * 1px), 1px); }
.band { background: hsl(var(--hue) 75% 55% / 9%); border-left: 1px solid hsl(var(--hue) 60% 55% / 35%); }
#window { background: rgb(179 38 30 / 7%); border-inline: 2px solid rgb(179 38 30 / 55%); }
#detail { margin: 0; padding: 6px 16px; min-height: 5.6em; max-height: 10em; overflow: auto; background: #f6f8fa;
  border-bottom: 1px solid #dfe4ea; font: 12px/1.4 ui-monospace, monospace; white-space: pre-wrap; }
th:not(:last-child), td:not(:nth-last-child(-n+2)) { white-space: nowrap; }
td:nth-last-child(2) { min-width: 9rem; }
#bad-window { padding: 10px 16px 16px; max-height: 38vh; overflow: auto; }
table { border-collapse: collapse; font: 12px/1.4 ui-monospace, monospace; }
th, td { text-align: left; vertical-align: top; padding: 2px 12px 2px 4px; border-bottom: 1px solid #eef1f5; overflow-wrap: anywhere; }
tr.culprit { background: #ffecea; }
pre { overflow: auto; font-size: 12px; }
`;
