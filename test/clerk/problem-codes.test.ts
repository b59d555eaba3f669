import { expect, test } from 'vitest';
import { STATUS_OF_CODE } from '../../src/clerk/errors.ts';
import { Problem, type ProblemCode } from '../../src/router/problem.ts';

test('the clerk knows every code of the router, with its status, and none besides but the reserved one', () => {
  const { forbidden, ...known } = STATUS_OF_CODE;
  // The types: one that is missing, or too many, does not compile.
  const codes: Record<ProblemCode, number> = known;
  const ofRouter: keyof typeof known extends ProblemCode ? true : never = true;
  expect([forbidden, ofRouter]).toEqual([403, true]);
  for (const [code, status] of Object.entries(codes)) {
    expect(new Problem(code as ProblemCode, 'detail').status, code).toBe(status);
  }
});
