/**
 *     npm run bench [-- --quick]
 *
 * Edgeraft next to one plain Durable Object and to etcd, in one run, alternating; then its bill, and its failover. What is measured
 * how: README.md in this folder. Other arguments: --help.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bill, measureBill, wholeBillSeconds } from './bill.ts';
import { billLines, billVerdicts } from './bill-table.ts';
import { CellBench, type Generator, isAble, type Target } from './cells.ts';
import { chart } from './chart.ts';
import { DIALECTS } from './dialects.ts';
import { hasEtcd } from './etcd.ts';
import { type FailoverResult, type FailoverTimes, failoverTable, measureFailover } from './failover.ts';
import { chooseGenerator } from './generator.ts';
import { type BenchOptions, parseOptions, USAGE, UsageError } from './options.ts';
import { minutesAndSeconds, Progress } from './progress.ts';
import { type CellResult, rounded, rowsOf, type System } from './results.ts';
import { type RunningSystem, send, startSystem } from './systems.ts';
import { cellLines, tableHead, verdictLines } from './table.ts';
import { verdictsOf } from './targets.ts';

const RESULTS_FILE = 'bench-results.json';
const CHART_FILE = 'bench.svg';
/** A run of the generator takes this much more than it measures. */
const ROUND_OVERHEAD_SECONDS = 0.2;
const FAILOVER_TRIALS = 50;
const QUICK_FAILOVER_TRIALS = 3;
const QUICK_NOTE = 'a quick run: few and short rounds, so its figures are rough';
/** Of one trial, with the rest before it and the wait for all peers after it. */
const TRIAL_SECONDS = 2;
const FAILOVER_KINDS = 4;

class Bench {
  readonly #options: BenchOptions;
  readonly #generate: Generator;
  readonly #systems: readonly System[];
  readonly #progress: Progress;
  readonly #cells: CellBench;
  readonly #running = new Map<System, RunningSystem>();

  constructor(options: BenchOptions) {
    this.#options = options;
    this.#generate = chooseGenerator(options.generator);
    this.#systems = options.systems.filter((system) => system !== 'etcd' || hasEtcd());
    if (this.#systems.length < options.systems.length) console.log('etcd is not on the path: it is left out');
    this.#progress = new Progress(expectedSeconds(options, this.#systems));
    this.#cells = new CellBench(this.#generate);
  }

  async run(): Promise<void> {
    try {
      const results = await this.#measureCells();
      const bill = this.#options.bill ? await this.#measureBill() : null;
      // Of one machine: what is measured next has it to itself.
      await this.stop();
      const failover = this.#options.failover ? await this.#measureFailover() : null;
      this.#progress.clear();
      printVerdicts(results, bill, failover);
      if (this.#options.writes) await writeResults(results, bill, failover, this.#options.quick);
      else console.log('\na limited run: nothing was written (--write does)');
    } finally {
      await this.stop();
    }
  }

  async stop(): Promise<void> {
    const all = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(all.map((system) => system.stop()));
  }

  async #measureCells(): Promise<CellResult[]> {
    const { cells, seconds, rounds, warmUpSeconds } = this.#options;
    if (cells.length === 0) return [];
    this.#progress.step(0, 'starting');
    for (const system of this.#systems) await this.#start(system);
    const targets = this.#systems.flatMap((system): Target[] => {
      const url = this.#running.get(system)?.url;
      return url === undefined ? [] : [{ system, url }];
    });
    this.#progress.clear();
    console.log(tableHead());
    const results: CellResult[] = [];
    for (const cell of cells) {
      const label = `${cell.operation}, ${cell.valueBytes} B, ${cell.connections} connections`;
      const onRound = (system: System): void =>
        this.#progress.step(seconds + ROUND_OVERHEAD_SECONDS, `${label}: ${system}`);
      const result = await this.#cells.measure(cell, targets, { seconds, rounds, warmUpSeconds, onRound });
      this.#progress.clear();
      console.log(cellLines(result));
      results.push(result);
    }
    return results;
  }

  async #measureBill(): Promise<Bill> {
    const plainRows = await plainRowsPerPut(await this.#start('plain-object'), this.#cells.newPrefix());
    await this.stop();
    const { peers, quick } = this.#options;
    const { url } = await this.#start('edgeraft');
    const onStep = (seconds: number, label: string): void => this.#progress.step(seconds, label);
    const newPrefix = (): string => this.#cells.newPrefix();
    const bill = await measureBill({ url, peers, quick, generate: this.#generate, newPrefix, onStep }, plainRows);
    this.#progress.clear();
    console.log(`\n${billLines(bill)}`);
    return bill;
  }

  async #measureFailover(): Promise<FailoverResult> {
    const { peers, quick, variables } = this.#options;
    this.#progress.step(0, 'failover');
    const result = await measureFailover({
      trials: quick ? QUICK_FAILOVER_TRIALS : FAILOVER_TRIALS,
      peers,
      variables,
      onTrial: (loss, load) => this.#progress.step(TRIAL_SECONDS, `failover: ${loss}, ${load}`),
    });
    this.#progress.clear();
    console.log(`\nFailover: from the leader's loss to the next acknowledged write\n${failoverTable(result)}`);
    return result;
  }

  async #start(system: System): Promise<RunningSystem> {
    const running = this.#running.get(system) ?? (await startSystem(system, this.#options));
    this.#running.set(system, running);
    return running;
  }
}

function expectedSeconds(options: BenchOptions, systems: readonly System[]): number {
  const { cells, rounds, seconds, warmUpSeconds, quick } = options;
  const pairs = cells.flatMap((cell) =>
    systems.filter((system) => isAble(system, cell)).map((system) => `${system} ${cell.operation}`),
  );
  const forCells = pairs.length * rounds * (seconds + ROUND_OVERHEAD_SECONDS);
  const warmedUp = new Set(pairs).size * (warmUpSeconds + ROUND_OVERHEAD_SECONDS);
  const forBill = options.bill ? wholeBillSeconds(quick) : 0;
  const trials = quick ? QUICK_FAILOVER_TRIALS : FAILOVER_TRIALS;
  return forCells + warmedUp + forBill + (options.failover ? FAILOVER_KINDS * trials * TRIAL_SECONDS : 0);
}

/** As its SQL cursor counts: of a new key and of an existing one alike, or this is not one figure. */
async function plainRowsPerPut({ url }: RunningSystem, prefix: string): Promise<number> {
  const put = DIALECTS['plain-object'].put({ prefix, valueBytes: 64 });
  const replies = [await send(url, put, 0), await send(url, put, 0)];
  const [first, second] = replies.map((reply) => (JSON.parse(reply) as { rowsWritten: number }).rowsWritten);
  if (first === undefined || first !== second) throw new Error(`a plain put writes ${first}, then ${second} rows`);
  return first;
}

function printVerdicts(results: readonly CellResult[], bill: Bill | null, failover: FailoverResult | null): void {
  const verdicts = [...results.flatMap(verdictsOf), ...(bill === null ? [] : billVerdicts(bill))];
  if (verdicts.length > 0) console.log(`\nTargets\n${verdictLines(verdicts)}`);
  const errors = results.flatMap(rowsOf).reduce((sum, row) => sum + row.errors, 0);
  if (errors > 0) console.log(`\n${errors} requests failed: see the table`);
  if (failover !== null) console.log("\nfailover's targets are in its table");
}

async function writeResults(
  results: readonly CellResult[],
  bill: Bill | null,
  failover: FailoverResult | null,
  quick: boolean,
): Promise<void> {
  const rows = results.flatMap(rowsOf);
  const [resultsFile, chartFile] = [join(import.meta.dirname, RESULTS_FILE), join(import.meta.dirname, CHART_FILE)];
  const all = { quick, rows, bill: bill ?? {}, failover: failover === null ? {} : withoutSamples(failover) };
  await writeFile(resultsFile, `${JSON.stringify(all, null, 2)}\n`);
  await writeFile(chartFile, chart(rows, { quick }));
  console.log(`\nwritten: ${resultsFile}, ${chartFile}`);
}

/** The figures alone: the 200 times that they come from are nobody's reading. */
function withoutSamples({ crash, isolation, electionTimeoutMs }: FailoverResult) {
  const figures = ({ medianMs, p99Ms, n }: FailoverTimes) => ({
    medianMs: rounded(medianMs),
    p99Ms: rounded(p99Ms),
    n,
  });
  const both = ({ atRest, underLoad }: FailoverResult['crash']) => ({
    atRest: figures(atRest),
    underLoad: figures(underLoad),
  });
  return { crash: both(crash), isolation: both(isolation), electionTimeoutMs };
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) return console.log(USAGE);
  const options = parseOptions(args);
  const startMs = performance.now();
  const bench = new Bench(options);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await bench.stop();
      process.exit(1);
    });
  }
  if (options.quick) console.log(QUICK_NOTE);
  await bench.run();
  console.log(
    `\n${options.quick ? `${QUICK_NOTE}; ` : ''}it took ${minutesAndSeconds((performance.now() - startMs) / 1000)} minutes`,
  );
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 1;
}
