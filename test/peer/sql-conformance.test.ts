/** The narrow `Sql`: the simulator's engine and the Durable Object's give the same answers. */
import { describe, expect, test } from 'vitest';
import { runtimeForTests } from '../edge/edge-runtime.ts';
import { NodeSql } from '../simulation/node-sql.ts';
import { checks } from './sql-conformance.ts';

describe('node:sqlite', () => {
  test.each(Object.entries(checks))('%s', (_, check) => {
    check(new NodeSql());
  });
});

describe('a Durable Object', () => {
  const context = runtimeForTests({ entry: 'test/peer/sql-worker.ts', className: 'SqlObject' });

  test.each(Object.keys(checks))('%s', async (name) => {
    const { status, text } = await context.edge.request('POST', `/${encodeURIComponent(name)}`);
    expect([status, text]).toEqual([200, 'passed']);
  });
});
