/** kill -9 of the whole runtime in the midst of 1,000 concurrent appends: no acknowledged one is lost, none is done twice. */
import { expect, test } from 'vitest';
import { ask } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';
import { eachOf, StubbornClerk, type Write } from './stubborn-clerk.ts';

const CLERKS = 8;
const APPENDS_EACH = 125;
const KEYS = 5;
const ROUNDS = 3;
/** Begun at the very moment of the kill: however busy the machine, something is open then. */
const LAST_APPENDS = 200;

const context = runtimeForTests();

interface Append {
  readonly clerk: StubbornClerk;
  readonly write: Write;
  readonly token: string;
  readonly key: string;
}

test(`${ROUNDS} times: 1,000 appends, a kill, a restart, and the unanswered ones again`, {
  timeout: 180_000,
}, async () => {
  const { edge } = context;
  const clerks = Array.from({ length: CLERKS }, (_, i) => new StubbornClerk(edge, `kill-${i}`));
  await Promise.all(clerks.map((clerk) => clerk.write('PUT', `/kv/${clerk.id}`, 'opens the session')));
  for (let round = 1; round <= ROUNDS; round += 1) {
    const appends: Append[] = Array.from({ length: CLERKS * APPENDS_EACH }, (_, n) => {
      const clerk = clerks[n % CLERKS] as StubbornClerk;
      const token = `<${clerk.id}.${n}>`;
      const key = `appends-${round}-${n % KEYS}`;
      return { clerk, token, key, write: clerk.next('PATCH', `/kv/${key}`, token) };
    });
    // Later each time, so that the kill meets the writes in different places.
    const early = appends.length - LAST_APPENDS;
    const killAfter = Math.floor((early * round) / (ROUNDS + 1));
    const acknowledged = new Set<string>();
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const send = async ({ clerk, write, token }: Append): Promise<void> => {
      const reply = await clerk.attempt(write);
      if (reply === null) return;
      expect([200, 201], reply.text).toContain(reply.status);
      acknowledged.add(token);
      if (acknowledged.size === killAfter) resolve();
    };
    const sent = appends.slice(0, early).map(send);
    await enough;
    sent.push(...appends.slice(early).map(send));
    await edge.kill();
    await Promise.all(sent);
    await edge.restart();
    const open = appends.filter(({ token }) => !acknowledged.has(token));
    console.log(`round ${round}: ${acknowledged.size} acknowledged, ${open.length} open at the kill`);
    expect(open.length).toBeGreaterThan(0);

    let replayed = 0;
    await eachOf(open, 200, async ({ clerk, write }) => {
      const reply = await clerk.insist(write);
      expect([200, 201], reply.text).toContain(reply.status);
      if (reply.headers['clerk-replayed'] === 'true') replayed += 1;
    });
    console.log(`round ${round}: ${replayed} of the open ones had been done`);

    const found: string[] = [];
    for (let key = 0; key < KEYS; key += 1) {
      const { text } = await ask(edge, 'GET', `/kv/appends-${round}-${key}`);
      found.push(...(text.match(/<[^>]*>/g) ?? []));
    }
    expect(found.toSorted()).toEqual(appends.map(({ token }) => token).toSorted());
    await edge.whole();
  }
});
