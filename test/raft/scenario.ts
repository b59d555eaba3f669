/**
 * Scenarios: small stories of a group, told as commands and what is seen of them. A line that begins with `>` is a command;
 * the lines below it, up to the next empty one, are what it shows; `#` begins a comment. scenarios/README.txt lists the commands.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Effects, Input, RaftLimits } from '../../src/raft/types.ts';
import { Cluster } from './cluster.ts';
import { type CoreHost, type Disk, diskWith, emptyDisk, type Watcher } from './core-host.ts';
import { configurationOf } from './entries.ts';
import { describeMessage, describePeers, describeProgress, describeStates } from './scenario-text.ts';

/** Runs the commands of a scenario; returns its text with what they show now. */
export function runScenario(text: string): string {
  const scenario = new Scenario();
  const lines: string[] = [];
  let isOutput = false;
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('> ')) {
      lines.push(line, ...scenario.run(line.slice(2)));
      isOutput = true;
    } else if (line.trim() === '' || line.startsWith('#')) {
      lines.push(line);
      isOutput = false;
    } else if (!isOutput) {
      throw new Error(`neither a command nor what one shows: ${line}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

type Match = (message: Request | Reply) => boolean;

interface Seen {
  role: string;
  term: number;
  leaderId: number | null;
  commitIndex: number;
}

class Scenario implements Watcher {
  #disks: Disk[] = [];
  #limits: Partial<RaftLimits> = {};
  #chunkItems = 2;
  /** Null: the group never sleeps. */
  #quiesceAfterMs: number | null = null;
  #group: Cluster | null = null;
  readonly #down = new Set<number>();
  readonly #seen = new Map<number, Seen>();
  readonly #readNames: string[] = [];
  #isShown: Match = () => false;
  #output: string[] = [];

  run(line: string): string[] {
    this.#output = [];
    this.#isShown = () => false;
    const [command = '', ...words] = line.trim().split(/\s+/);
    this.#command(command, words);
    if (this.#group !== null) this.#group.collect();
    return this.#output;
  }

  // ---- before the story

  get group(): Cluster {
    if (this.#group !== null) return this.#group;
    const sleeps = this.#quiesceAfterMs === null ? {} : { quiesceAfterMs: this.#quiesceAfterMs };
    const group = new Cluster({
      disks: this.#disks,
      host: () => ({ limits: this.#limits, chunkItems: this.#chunkItems, ...sleeps }),
    });
    for (const host of group.hosts.values()) this.#seen.set(host.id, seenOf(host));
    group.watch(this);
    group.onDelivery = (message) => {
      if (this.#isShown(message)) this.#output.push(describeMessage(message));
    };
    this.#group = group;
    return group;
  }

  #setUp(command: string, words: readonly string[]): boolean {
    switch (command) {
      case 'peers': {
        const count = Number(words[0]);
        const isEmpty = words[1] === 'unfounded';
        this.#disks = Array.from({ length: count }, () => (isEmpty ? emptyDisk() : diskWith(count, [1])));
        return true;
      }
      case 'log': {
        const [id, ...runs] = words;
        const terms = runs.filter((word) => !word.includes('=')).flatMap(termsOfRun);
        const currentTerm = words.find((word) => word.startsWith('term='))?.slice('term='.length);
        const hardState = currentTerm === undefined ? {} : { currentTerm: Number(currentTerm) };
        this.#disks[Number(id) - 1] = diskWith(this.#disks.length, terms, hardState);
        return true;
      }
      case 'limits':
        for (const word of words) this.#limit(word);
        return true;
      default:
        return false;
    }
  }

  #limit(word: string): void {
    const [name = '', value] = word.split('=');
    if (name === 'chunkItems') this.#chunkItems = Number(value);
    else if (name === 'quiesceAfterMs') this.#quiesceAfterMs = Number(value);
    else this.#limits = { ...this.#limits, [name]: Number(value) };
  }

  // ---- the story

  #command(command: string, words: readonly string[]): void {
    if (this.#group === null && this.#setUp(command, words)) return;
    const id = Number(words[0]);
    switch (command) {
      case 'stand':
        return this.group.host(id).stand();
      case 'found':
        return this.group.host(id).input({ type: 'found', configuration: configurationOf(this.#disks.length) });
      case 'propose':
        return this.#propose(id, words.slice(1));
      case 'read':
        return this.#read(id, words[1] ?? 'a read');
      case 'show':
        return this.#show(words);
      case 'disk':
        return this.#disk(id, words[1] ?? '');
      case 'crash':
      case 'start':
      case 'isolate':
      case 'cut':
      case 'heal':
        return this.#break(command, words.map(Number));
      default:
        return this.#move(command, words);
    }
  }

  #propose(id: number, texts: readonly string[]): void {
    for (const text of texts) {
      const proposal = this.group.host(id).propose(text);
      const where =
        proposal?.outcome === 'appended' ? `appended at ${proposal.index}/${proposal.term}` : proposal?.outcome;
      this.#output.push(`${text}: ${where}`);
    }
  }

  #read(id: number, name: string): void {
    this.#readNames.push(name);
    this.group.host(id).read(this.#readNames.length - 1);
  }

  #show([what = 'peers', id]: readonly string[]): void {
    const hosts = this.group.hosts.values();
    if (what === 'states') this.#output.push(...describeStates(hosts));
    else if (what === 'progress') this.#output.push(...describeProgress(this.group.host(Number(id))));
    else this.#output.push(...describePeers(hosts, (peer) => this.#down.has(peer)));
  }

  #disk(id: number, what: string): void {
    const host = this.group.host(id);
    host.flushAtOnce = what === 'fast';
    if (what === 'fast' || what === 'flush') host.flush();
  }

  #break(command: string, ids: readonly number[]): void {
    const { group } = this;
    if (command === 'heal') return group.heal();
    if (command === 'cut') return group.cut(ids[0] ?? 0, ids[1] ?? 0);
    for (const id of ids) {
      if (command === 'isolate') group.isolate(id);
      else if (command === 'crash') {
        this.#down.add(id);
        group.crash(id);
        this.#seen.set(id, seenOf(group.host(id)));
      } else {
        this.#down.delete(id);
        group.start(id);
      }
    }
  }

  /** What moves messages or time. */
  #move(command: string, words: readonly string[]): void {
    const { group } = this;
    const which = matchOf(words);
    if (!words.includes('quietly')) this.#isShown = () => true;
    switch (command) {
      case 'deliver':
        group.deliver(which);
        return;
      case 'settle':
        return group.settle(which);
      case 'lose':
        for (const { message } of group.take(which)) this.#output.push(`lost: ${describeMessage(message)}`);
        return;
      case 'double':
        for (const packet of group.take(which)) {
          group.inject(packet);
          group.inject(packet);
        }
        return;
      case 'reverse':
        for (const packet of group.take(which).reverse()) group.inject(packet);
        return;
      case 'wait':
        this.#isShown = words.includes('aloud') ? which : () => false;
        return group.advance(Number(words[0]));
      case 'pass':
        return group.advance(Number(words[0]), { settle: false });
      default:
        throw new Error(`no such command: ${command}`);
    }
  }

  // ---- what is seen

  stepped(host: CoreHost, _input: Input, effects: Effects): void {
    const before = this.#seen.get(host.id);
    const now = seenOf(host);
    this.#seen.set(host.id, now);
    if (before === undefined) return;
    const say = (what: string) => this.#output.push(`    ${host.id} ${what}`);
    if (effects.quiesce !== null) say(effects.quiesce.type === 'sleep' ? 'falls asleep' : 'wakes up');
    if (before.role !== now.role || before.term !== now.term || before.leaderId !== now.leaderId)
      say(describeRole(now, host.id));
    if (effects.truncateFrom !== null) say(`deletes its log from ${effects.truncateFrom} on`);
    if (effects.beginCut) say(`makes a cut of its state at ${host.raft.lastApplied}`);
    if (effects.endCut) say('drops its cut');
    if (effects.reset !== null) say(`installs the snapshot of ${effects.reset.lastIncludedIndex}`);
    if (effects.compact !== null) say(`compacts its log up to ${effects.compact.lastIncludedIndex}`);
    if (before.commitIndex !== now.commitIndex) say(`has committed up to ${now.commitIndex}`);
    for (const { id, outcome } of effects.reads) {
      const sees = outcome === 'ready' ? `ready, sees ${host.disk.state.join(' ') || 'nothing'}` : outcome;
      say(`answers ${this.#readNames[id]}: ${sees}`);
    }
  }
}

function seenOf({ raft }: CoreHost): Seen {
  const { role, currentTerm: term, leaderId, commitIndex } = raft;
  return { role, term, leaderId, commitIndex };
}

function describeRole({ role, term, leaderId }: Seen, id: number): string {
  if (role === 'leader') return `leads term ${term}`;
  if (role === 'preCandidate') return `would stand in term ${term + 1}`;
  if (role === 'candidate') return `stands in term ${term}`;
  return leaderId === null || leaderId === id
    ? `knows no leader in term ${term}`
    : `follows ${leaderId} in term ${term}`;
}

/** `4x3` is 4 4 4. */
function termsOfRun(run: string): number[] {
  const [term, times = '1'] = run.split('x');
  return Array(Number(times)).fill(Number(term));
}

/** `1>2` is one direction, `1-2` both, `to:2`, `from:2`, `with:2`; PreVote, Vote or the beginning of a type. All must hold. */
function matchOf(words: readonly string[]): Match {
  const matches = words.map((word): Match => {
    const [, a, arrow, b] = /^(\d+)([>-])(\d+)$/.exec(word) ?? [];
    if (a !== undefined) {
      const [from, to] = [Number(a), Number(b)];
      return (m) => (m.from === from && m.to === to) || (arrow === '-' && m.from === to && m.to === from);
    }
    const [, side, id] = /^(from|to|with|without):(\d+)$/.exec(word) ?? [];
    if (side === 'from') return (m) => m.from === Number(id);
    if (side === 'to') return (m) => m.to === Number(id);
    if (side === 'with') return (m) => m.from === Number(id) || m.to === Number(id);
    if (side === 'without') return (m) => m.from !== Number(id) && m.to !== Number(id);
    if (word === 'PreVote') return (m) => 'preVote' in m && m.preVote;
    if (word === 'Vote') return (m) => 'preVote' in m && !m.preVote;
    if (/^[A-Z]/.test(word)) return (m) => m.type.startsWith(word);
    return () => true;
  });
  return (message) => matches.every((match) => match(message));
}
