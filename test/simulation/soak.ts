/**
 *     npm run soak -- --seeds 2000 [--from 1] [--all-faults] [--plan JSON] [--workers 2] [--no-explain]
 *     npm run soak -- --replay 42 [--all-faults] [--plan JSON]
 *     npm run soak -- --shrink 42 [--all-faults] [--plan JSON] [--minutes 5]
 *     npm run soak -- --labs [--runs N] [--from S] [--only NAME] [--replay SEED] [--markdown]
 *     npm run soak -- --bugs [--bug NAME] [--seeds N] [--from S] [--workers W]
 *
 * Runs many simulations; one again, with its whole trace in `.soak`; makes a failing one smaller; runs the labs' tests again and
 * again; puts known bugs back. Ends with status 1 if anything fails (or a bug is not caught).
 */
import { parseArgs } from 'node:util';
import { replay, shrinkAndShow } from './failing-seed.ts';
import type { SimulationPlan } from './plan.ts';
import { soakSeeds } from './soak-seeds.ts';

if (process.argv.includes('--bugs')) await import('./bugs/run.ts');
else if (process.argv.includes('--labs')) await labs();
else await simulations();

async function simulations(): Promise<void> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string', default: '1' },
      replay: { type: 'string' },
      shrink: { type: 'string' },
      minutes: { type: 'string', default: '5' },
      plan: { type: 'string', default: '{}' },
      'all-faults': { type: 'boolean', default: false },
      explain: { type: 'boolean', default: true },
      workers: { type: 'string' },
    },
  });
  const plan = JSON.parse(values.plan) as Partial<SimulationPlan>;
  const allFaults = values['all-faults'];
  if (values.replay !== undefined) {
    const result = await replay({ seed: Number(values.replay), allFaults, plan });
    if (result === null) process.exitCode = 1;
    else console.log(result);
    return;
  }
  if (values.shrink !== undefined) {
    const run = { seed: Number(values.shrink), allFaults, plan };
    if (await shrinkAndShow(run, Number(values.minutes) * 60_000)) process.exitCode = 1;
    else console.log(`seed ${run.seed} does not fail`);
    return;
  }
  const workers = values.workers === undefined ? null : Number(values.workers);
  const many = { from: Number(values.from), count: Number(values.seeds), allFaults, plan, workers };
  if ((await soakSeeds({ ...many, explain: values.explain })) > 0) process.exitCode = 1;
}

async function labs(): Promise<void> {
  const { values } = parseArgs({
    options: {
      labs: { type: 'boolean' },
      runs: { type: 'string', default: '10' },
      from: { type: 'string', default: '1' },
      only: { type: 'string' },
      replay: { type: 'string' },
      workers: { type: 'string' },
      markdown: { type: 'boolean', default: false },
    },
  });
  const { replayLab, soakLabs } = await import('../labs/soak-labs.ts');
  const only = values.only ?? null;
  const workers = values.workers === undefined ? null : Number(values.workers);
  const failed =
    values.replay === undefined
      ? await soakLabs({
          runs: Number(values.runs),
          from: Number(values.from),
          only,
          workers,
          markdown: values.markdown,
        })
      : await replayLab({ only, seed: Number(values.replay) });
  if (failed > 0) process.exitCode = 1;
}
