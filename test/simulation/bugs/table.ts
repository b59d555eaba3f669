/** The table of README.md. */
import type { Bug } from './bug.ts';
import type { Hunt } from './hunt.ts';

export function table(bugs: readonly Bug[], hunts: readonly Hunt[]): string {
  const rows = hunts.map((hunt) => {
    const bug = bugs.find(({ name }) => name === hunt.bug);
    const seenIn = bug?.seenIn ?? '';
    const { caught, seedsRun, events, from } = hunt;
    const found = from + seedsRun - 1;
    const seeds = bug?.from === undefined ? `${found}` : `${found} (begun at ${from})`;
    const by =
      caught === null ? '**not caught**' : `${ruleOf(caught.message)}${caught.expected ? '' : ' (unexpected)'}`;
    return `| ${hunt.bug} | ${seeds} | ${events} | ${by} | ${seenIn} |`;
  });
  return ['| bug | seeds | events before | caught by | seen in |', '| --- | ---: | ---: | --- | --- |', ...rows].join(
    '\n',
  );
}

/** Without the seed, the mix, the instance and the index. */
function ruleOf(message: string): string {
  const rule = message.replace(/^seed \d+ \(.*?\): /, '').replace(/^\S+#\d+~?: /, '');
  return rule.replace(/\|/g, '/').replace(/\s+/g, ' ').slice(0, 90);
}
